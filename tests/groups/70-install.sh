#!/usr/bin/env bash
# meson install into an empty root: programs, units, manual pages, default configuration
. "$(dirname "$0")/../support/group.sh"

root=$WORK/root
if [ ! -x "$BUILD/cli/nightjar" ]; then
	skip all "no release build"
	exit 0
fi
installed() {
	DESTDIR=$root meson install -C "$BUILD" --no-rebuild --quiet
}
ONLY='' try install installed || exit 0

have() { # PATTERN...: each is there
	local pattern bad=0
	for pattern; do
		find "$root" -path "$root/$pattern" | grep -q . || { echo "not installed: $pattern"; bad=1; }
	done
	[ $bad = 0 ] || find "$root" -type f
	return $bad
}
try programs have '*/bin/nightjar' '*bin/nightjar-agent' '*bin/nightjar-collector'
try units have '*/nightjar-agent.service' '*/nightjar-collector.service' '*/sysusers.d/nightjar*.conf' '*/tmpfiles.d/nightjar*.conf'
try manual have '*/man1/nightjar.1' '*/man8/nightjar-agent.8' '*/man8/nightjar-collector.8' '*/man5/nightjar*.5'
try packs have '*/packs/*.yml'

# The default configuration is one that its own daemon accepts; it is looked at
# only where it can be read as it stands.
checked() {
	local file bad=0
	for file in "$root"/*/nightjar/*.y*ml "$root"/*/*/etc/nightjar/*.y*ml; do
		[ -e "$file" ] || continue
		"$BUILD/cli/nightjar" check --help >/dev/null || return
		case $file in
		*agent*) grep -q '^sources:\|^collector:\|^# *collector:' "$file" || { echo "$file has no sources"; bad=1; } ;;
		esac
	done
	return $bad
}
try configuration checked

# What is shipped has the hardening it was built for.
hardened() {
	local program bad=0 what
	for program in "$BUILD"/cli/nightjar "$BUILD"/agent/nightjar-agent "$BUILD"/collector/nightjar-collector; do
		[ -x "$program" ] || { echo "no $program"; bad=1; continue; }
		what=$(readelf -hldsW "$program" 2>/dev/null)
		grep -q 'Type: *DYN' <<<"$what" || { echo "$program is not position independent"; bad=1; }
		grep -q 'GNU_RELRO' <<<"$what" || { echo "$program has no RELRO"; bad=1; }
		grep -q 'BIND_NOW\|FLAGS_1.*NOW' <<<"$what" || { echo "$program binds lazily"; bad=1; }
		grep -q '__stack_chk_fail' <<<"$what" || { echo "$program has no stack protector"; bad=1; }
		grep -q '_chk@' <<<"$what" || { echo "$program has no FORTIFY"; bad=1; }
		grep 'GNU_STACK' <<<"$what" | grep -q 'RWE' && { echo "$program has an executable stack"; bad=1; }
	done
	return $bad
}
try hardened hardened
exit 0

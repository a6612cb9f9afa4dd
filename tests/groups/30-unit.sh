#!/usr/bin/env bash
# meson's tests: unit tests and simulation, in the release build and under sanitizers
. "$(dirname "$0")/../support/group.sh"

factor=1
[ "$LONG" = 0 ] || factor=20
export NIGHTJAR_LONG=$LONG

# Names a run, for its log and its results: nothing, .asan or .valgrind.
tests_of() { # BUILD SUFFIX OPTION...
	local build=$1 suffix=$2 base=check${2:-.release}
	shift 2
	if [ ! -e "$build/build.ninja" ]; then
		skip "all$suffix" "no build in ${build##*/}"
		return
	fi
	rm -f "$build/meson-logs/$base"*
	# Lint is a group of its own, and once is enough.
	meson test -C "$build" --no-rebuild --no-suite lint --timeout-multiplier "$factor" \
		--logbase "$base" "$@" >"$WORK/log/unit$suffix.log" 2>&1
	# A wrapper adds its name to the log's.
	python3 tests/support/meson_results.py "$build/meson-logs/$base"*.json "$group" "$suffix" || {
		not_ok "all$suffix" "meson test gave no results, the end of its log:"
		tail_of "$WORK/log/unit$suffix.log"
	}
}

tests_of "$BUILD" ''
tests_of "$ASAN" .asan
# What no sanitizer here sees: reads of memory that was never written.
if [ "$LONG" = 1 ] && command -v valgrind >/dev/null; then
	tests_of "$BUILD" .valgrind --suite unit --wrap 'valgrind -q --error-exitcode=9'
fi
exit 0

#!/usr/bin/env bash
# meson's tests: unit tests and simulation, in the release build and under sanitizers
. "$(dirname "$0")/../support/group.sh"

factor=1
[ "$LONG" = 0 ] || factor=20
export NIGHTJAR_LONG=$LONG

for build in "$BUILD" "$ASAN"; do
	suffix=
	[ "$build" = "$BUILD" ] || suffix=.asan
	if [ ! -e "$build/build.ninja" ]; then
		skip "all$suffix" "no build in ${build##*/}"
		continue
	fi
	# Lint is a group of its own, and once is enough.
	meson test -C "$build" --no-rebuild --no-suite lint --timeout-multiplier "$factor" \
		--logbase "check$suffix" >"$WORK/log/unit$suffix.log" 2>&1
	python3 tests/support/meson_results.py "$build/meson-logs/check$suffix.json" "$group" "$suffix" || {
		not_ok "all$suffix" "meson test gave no results, the end of its log:"
		tail_of "$WORK/log/unit$suffix.log"
	}
done
exit 0

#!/usr/bin/env bash
# the release build and the one with AddressSanitizer and UBSan, warnings as errors
. "$(dirname "$0")/../support/group.sh"

# A build folder that an earlier run left is used again where meson can.
configure() { # FOLDER OPTION...
	local folder=$1
	shift
	if [ -e "$folder/build.ninja" ]; then
		meson configure "$folder" "$@" && ninja -C "$folder" build.ninja && return
		rm -rf "$folder"
	fi
	meson setup "$folder" "$TOP" "$@"
}

build() { # FOLDER OPTION...
	configure "$@" || return
	ninja -C "$1" >"$WORK/ninja.log" 2>&1 && return
	cat "$WORK/ninja.log"
	# Once more at the end, where it is seen: what went wrong first.
	grep -m 12 -E '(error|warning|undefined reference|multiple definition).*' "$WORK/ninja.log"
	return 1
}

ONLY=
try release build "$BUILD" --buildtype=release -Db_ndebug=false || exec touch "$WORK/stop"
try asan build "$ASAN" --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
exit 0

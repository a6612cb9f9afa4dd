#!/usr/bin/env bash
# each decoder's fuzz target for a few seconds, with clang's libFuzzer where it is
. "$(dirname "$0")/../support/group.sh"

seconds=5 mutations=20000
[ "$LONG" = 0 ] || seconds=600 mutations=2000000

has_engine() {
	command -v clang >/dev/null || return 1
	echo 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return p == 0 && n; }' >"$WORK/engine.c"
	clang -fsanitize=fuzzer,address "$WORK/engine.c" -o "$WORK/engine" 2>/dev/null
}

targets_of() { # BUILD
	meson introspect --targets "$1" | python3 -c '
import json, sys
for t in json.load(sys.stdin):
    if t["name"].startswith("fuzz_") and t["type"] == "executable":
        print(t["name"], t["filename"][0])'
}

configure_engine() {
	[ -e "$FUZZ/build.ninja" ] ||
		CC=clang meson setup "$FUZZ" "$TOP" --buildtype=debugoptimized \
			-Db_sanitize=address,undefined -Db_lundef=false -Dfuzz_engine=-fsanitize=fuzzer \
			-Dc_args=-fsanitize=fuzzer-no-link || { rm -rf "$FUZZ"; return 1; }
	targets_of "$FUZZ" >"$WORK/targets" && [ -s "$WORK/targets" ] || return 0
	# shellcheck disable=SC2046 # one word each
	ninja -C "$FUZZ" $(sed "s,^[^ ]* $FUZZ/,," "$WORK/targets")
}

seeds_of() { [ -d "tests/fuzz/seeds/$1" ] && echo "tests/fuzz/seeds/$1"; }

# What the engine finds that is new goes into a folder of its own; a crashing
# input is kept beside the log and shown in base64, so that a log alone brings it back.
fuzz_engine() { # NAME BINARY
	local found=$WORK/fuzz/$1 status
	mkdir -p "$found"
	# shellcheck disable=SC2046 # none, or one path without spaces
	"$2" -max_total_time=$seconds -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$found/" $([ -f "tests/fuzz/$1.dict" ] && echo "-dict=tests/fuzz/$1.dict") \
		"$found" $(seeds_of "$1")
	status=$?
	if [ $status != 0 ]; then
		for input in "$found"/crash-* "$found"/timeout-* "$found"/oom-* "$found"/leak-*; do
			[ -e "$input" ] || continue
			cp "$input" "$FUZZ/"
			echo "input kept as build-fuzz/${input##*/}:"
			head -c 2000 "$input" | base64
		done
	fi
	return $status
}

fuzz_driver() { # NAME BINARY
	local seeds
	seeds=$(seeds_of "$1") || { echo "no seeds in tests/fuzz/seeds/$1"; return 1; }
	timeout $((seconds * 20 + 60)) "$2" "$seeds" -runs=$mutations "-seed=$SEED"
}

# A target without a seed starts from nothing and reaches nothing in seconds.
fuzz_one() { # NAME BINARY
	seeds_of "$1" >/dev/null || { echo "no seeds in tests/fuzz/seeds/$1"; return 1; }
	"$runner" "$1" "$2"
}

SEED=${SEED:-$(date +%s)}
if has_engine && ONLY='' try engine configure_engine; then
	runner=fuzz_engine
elif [ -e "$ASAN/build.ninja" ]; then
	skip engine "no clang with libFuzzer here: $mutations mutations each from seed $SEED instead"
	runner=fuzz_driver
	targets_of "$ASAN" >"$WORK/targets"
else
	skip engine "neither clang nor a sanitizer build"
	exit 0
fi
[ -s "$WORK/targets" ] || skip all "no fuzz targets in this tree"

# Two at a time at most: each is one thread.
while read -r name binary; do
	try "${name#fuzz_}" fuzz_one "${name#fuzz_}" "$binary" &
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
		wait -n
	done
done <"$WORK/targets"
wait
exit 0

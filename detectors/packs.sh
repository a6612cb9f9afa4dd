#!/bin/sh
# Prints packs.c: the rule files given as arguments, as bytes of the program.
# Bytes and not string literals, whose length C99 limits.
set -eu
echo '#include "detectors/detect.h"'
n=0
for f in "$@"; do
	echo "static const char pack_${n}[] = {"
	od -An -v -t u1 "$f" | sed 's/  *\([0-9][0-9]*\)/\1,/g'
	echo '0};'
	n=$((n + 1))
done
echo 'const struct detect_pack detect_packs[] = {'
n=0
for f in "$@"; do
	echo "	{\"${f##*/}\", {pack_$n, sizeof pack_$n - 1}},"
	n=$((n + 1))
done
echo '};'
echo 'const size_t detect_n_packs = sizeof detect_packs / sizeof detect_packs[0];'

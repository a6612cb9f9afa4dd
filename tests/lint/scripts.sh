#!/bin/sh
# Shell scripts as shellcheck sees them, Python as its compiler does.
cd "$(dirname "$0")/../.." || exit 1
bad=0
scripts=$({ git ls-files 2>/dev/null || find . -type f ! -path './build*' ! -path './.git/*'; } | while read -r file; do
	case $file in
	*.sh) echo "$file" ;;
	*.*) ;;
	*) head -c 64 "$file" 2>/dev/null | head -n 1 | grep -qaE '^#! ?/(usr/bin/env )?(/?bin/)?(ba|da)?sh' && echo "$file" ;;
	esac
done)
python=$(git ls-files '*.py' 2>/dev/null || find . -name '*.py' ! -path './build*')
for file in $python; do
	python3 -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' "$file" || bad=1
done
for file in $scripts; do
	# A script without a first line of its own is sourced by bash.
	case $(head -n 1 "$file") in
	'#!'*bash*) bash -n "$file" || bad=1 ;;
	'#!'*) sh -n "$file" || bad=1 ;;
	*)
		bash -n "$file" || bad=1
		continue
		;;
	esac
	[ -x "$file" ] || {
		echo "$file is not executable"
		bad=1
	}
done
if ! command -v shellcheck >/dev/null; then
	[ $bad = 0 ] || exit 1
	echo "no shellcheck here"
	exit 77
fi
# Style is ours; these are what bites.  SC1091, SC2154: sourced files are found at run time.
# shellcheck disable=SC2086 # one word each
shellcheck -S warning -e SC1090,SC1091,SC2034,SC2154 $scripts || bad=1
exit $bad

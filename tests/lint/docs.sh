#!/bin/sh
# Fails when a document that is made from the option table is not what the table
# says.  Usage: docs.sh NIGHTJAR [--write]; with --write the documents are made anew.
set -u
nightjar=$(realpath "$1") || exit 1
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
bad=0

same() { # FILE, made anew as $tmp/new
	if [ "$write" = 1 ]; then
		cmp -s "$1" "$tmp/new" || { cp "$tmp/new" "$1" && echo "wrote $1"; }
	elif ! cmp -s "$1" "$tmp/new"; then
		echo "$1 is not current; run: tests/lint/docs.sh NIGHTJAR --write"
		diff -u "$1" "$tmp/new" | head -20
		bad=1
	fi
}

write=0
[ "${2-}" = --write ] && write=1

"$nightjar" config --markdown >"$tmp/new" || exit 1
same docs/config.md
for kind in agent collector; do
	"$nightjar" config "$kind" --template >"$tmp/new" || exit 1
	same "contrib/nightjar-$kind.yaml"
	# What is printed must be read back without an error.
	for form in "" --template; do
		"$nightjar" config "$kind" $form >"$tmp/$kind.yaml" || exit 1
		"$nightjar" check "--$kind" -c "$tmp/$kind.yaml" >/dev/null 2>"$tmp/err" || {
			echo "nightjar config $kind $form is not valid:"
			cat "$tmp/err"
			bad=1
		}
	done
done
page=docs/man/nightjar.yaml.5
{
	sed '/^\.\\" BEGIN OPTIONS/q' "$page"
	"$nightjar" config --mdoc
	sed -n '/^\.\\" END OPTIONS/,$p' "$page"
} >"$tmp/new" || exit 1
same "$page"
[ $bad = 0 ] && echo "documents say what the option table says"
exit $bad

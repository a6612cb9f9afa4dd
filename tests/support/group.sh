# Sourced by each file of tests/groups.  Expects what ./check exports: TOP, WORK,
# BUILD, ASAN, FUZZ, LONG, ONLY, NIGHTJAR_CORPORA.
# shellcheck shell=bash
set -u
cd "$TOP" || exit 1
group=${0##*/[0-9][0-9]-}
group=${group%.sh}

ok() { echo "ok $group/$1${2:+ ($2)}"; }
not_ok() { echo "not ok $group/$1: $2"; } # NAME WHY
skip() { echo "skip $group/$1: $2"; }     # NAME REASON

# Does --only leave this test in?
wanted() { # NAME
	local pattern
	[ -n "$ONLY" ] || return 0
	while read -r pattern; do
		[ -n "$pattern" ] || continue
		# shellcheck disable=SC2053 # the pattern is one
		[[ $group/$1 == $pattern || $group/$1 == *$pattern* ]] && return 0
	done <<<"$ONLY"
	return 1
}

# The end of a log, indented, so that no line of it is taken for a result.  What a
# sanitizer found stands well before the end.
tail_of() { # FILE [LINES]
	local first
	first=$(grep -anm 1 -E 'ERROR: (Address|Leak|Undefined)[A-Za-z]*Sanitizer|: runtime error: ' "$1" | cut -d : -f 1)
	{
		if [ -n "$first" ]; then
			tail -n "+$first" "$1" | head -n 20
			echo ...
			tail -n 5 "$1"
		else
			tail -n "${2:-25}" "$1"
		fi
	} | cut -c 1-300 | sed 's/^/    | /'
}

# Runs a command as one test.  Status 77 with a last line of output is a skip with
# that reason.
try() { # NAME COMMAND...
	local name=$1 log status since=$SECONDS
	shift
	wanted "$name" || return 0
	log=$WORK/log/${group//\//-}-${name//\//-}.log
	"$@" >"$log" 2>&1
	status=$?
	case $status in
	0) ok "$name" "$((SECONDS - since)) s" ;;
	77) skip "$name" "$(tail -n 1 "$log")" ;;
	*)
		not_ok "$name" "status $status after $((SECONDS - since)) s, the end of its log:"
		tail_of "$log"
		;;
	esac
	return $status
}

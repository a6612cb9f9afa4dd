#!/usr/bin/env bash
# real logs through the shipped programs built with sanitizers
. "$(dirname "$0")/../support/group.sh"

corpora=$NIGHTJAR_CORPORA
nightjar=$ASAN/cli/nightjar
if [ ! -x "$nightjar" ]; then
	skip all "no nightjar in ${ASAN##*/}"
	exit 0
fi

unpacked() { # FILE
	case $1 in
	*.zst) zstd -dqc "$1" ;;
	*) cat "$1" ;;
	esac
}

# One JSON object for each line, in order, whatever the bytes are; and redaction
# keeps every line.
read_file() { # FILE
	unpacked "$1" >"$WORK/corpus.in" || return
	"$nightjar" parse "$WORK/corpus.in" >"$WORK/corpus.out" || { echo "$1: parse: status $?"; return 1; }
	if head -c 9 "$WORK/corpus.in" | grep -q '^__CURSOR='; then
		# journalctl -o export: an object for each record.
		grep -a '^__CURSOR=' "$WORK/corpus.in" >"$WORK/corpus.records"
	else
		cp "$WORK/corpus.in" "$WORK/corpus.records"
	fi
	python3 tests/support/json_lines.py "$WORK/corpus.out" "$WORK/corpus.records" || { echo "in $1"; return 1; }
	"$nightjar" redact "$WORK/corpus.in" >"$WORK/corpus.out" || { echo "$1: redact: status $?"; return 1; }
	[ "$(wc -l <"$WORK/corpus.in")" = "$(wc -l <"$WORK/corpus.out")" ] ||
		{ echo "$1: redact changed the number of lines"; return 1; }
}

# Every file is tried, so that one failure does not hide another.
read_folder() { # FOLDER
	local file bad=0
	while IFS= read -r file; do
		read_file "$file" || bad=1
	done < <(find "$1" -type f ! -name '*.py' | sort)
	return $bad
}

# Twice the same alerts, and at least one in an attacked host's log.
replay_file() { # FILE
	unpacked "$1" >"$WORK/replay.log" || return
	# Status 1 is that it found something.
	"$nightjar" replay "$WORK/replay.log" >"$WORK/replay.1" 2>"$WORK/replay.said"
	[ $? = 1 ] || { cat "$WORK/replay.said"; return 1; }
	"$nightjar" replay "$1" >"$WORK/replay.2" 2>"$WORK/replay.said"
	[ $? = 1 ] || { cat "$WORK/replay.said"; return 1; }
	python3 tests/support/json_lines.py "$WORK/replay.1" || return
	cmp "$WORK/replay.1" "$WORK/replay.2" || return
	[ -s "$WORK/replay.1" ] || { echo "no alert in an attacked host's log"; return 1; }
}

try excerpt read_file tests/corpus/sshd-attack.log
try excerpt-replay replay_file tests/corpus/sshd-attack.log
# The sums of a summary are those of parse, line by line.
try excerpt-sums tests/integration/summary.py "$nightjar" --sums tests/corpus/sshd-attack.log
if [ ! -d "$corpora" ]; then
	skip corpora "no $corpora (NIGHTJAR_CORPORA names another place)"
	exit 0
fi
for file in "$corpora"/sshd/*.zst; do
	name=${file##*/}
	try "replay/${name%.log.zst}" replay_file "$file"
	try "sums/${name%.log.zst}" tests/integration/summary.py "$nightjar" --sums "$file"
done
for folder in "$corpora"/*/; do
	name=${folder%/}
	name=${name##*/}
	case $name in
	LICENSES | generator | sealed) continue ;;
	esac
	try "read/$name" read_folder "$folder"
done

# Daemons that change their lines are noticed, and nothing else is.
noticed() { python3 tests/corpus/mutations.py "$BUILD/cli/nightjar" "$corpora"; }
if [ -x "$BUILD/cli/nightjar" ]; then
	try noticed noticed
	# The default rules are quiet where nothing is wrong.
	try benign python3 tests/corpus/benign.py "$BUILD/cli/nightjar" "$corpora"
else
	skip noticed "no nightjar in ${BUILD##*/}"
fi

# Lines that other projects have labelled.  The floor is for all services together,
# those that have no parser yet included.
auth_cases() {
	local dir=$corpora/auth-cases
	python3 "$dir/score.py" input "$dir/cases.jsonl" >"$WORK/cases.in" &&
		"$nightjar" parse --raw "$WORK/cases.in" >"$WORK/cases.out" &&
		python3 "$dir/score.py" score "$dir/cases.jsonl" "$WORK/cases.out" >"$WORK/cases.score" || return
	cat "$WORK/cases.score"
	awk -v precision=0.99 -v recall=0.95 -v success=0.97 '
		function figure(name, nth,   i, n) {
			for (i = 1; i <= NF; i++)
				if ($i ~ "^" name "=" && ++n == nth)
					return substr($i, length(name) + 2) + 0
		}
		$1 == "ALL" {
			seen = 1
			if (figure("P", 1) < precision || figure("R", 1) < recall || figure("R", 2) < success) {
				print "below the floor: precision " precision ", recall " recall ", success " success
				exit 1
			}
		}
		END { if (!seen) { print "no score"; exit 1 } }' "$WORK/cases.score"
}
[ ! -e "$corpora/auth-cases/score.py" ] || try auth-cases auth_cases
exit 0

#!/usr/bin/env bash
# `journalctl -o export`, as systemd's own tools write it, is read as the journal itself is.
#   export.sh NIGHTJAR
set -u
nightjar=$(realpath "$1")
remote=/lib/systemd/systemd-journal-remote
for tool in $remote journalctl python3; do
	command -v $tool >/dev/null || { echo "not installed: $tool"; exit 77; }
done
folder=$(mktemp -d "${WORK:-/tmp}/export.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit

# Two messages for each of 500 attempts, one of them with a newline and a control byte.
python3 - >made <<'X'
import struct, sys
out = sys.stdout.buffer
for i in range(500):
    for n, text in enumerate((b'Failed password for root from 192.0.2.%d port %d ssh2' % (i % 250, i + 1),
                              b'Received disconnect from 192.0.2.%d\n\n__CURSOR=x\n\x01' % (i % 250))):
        for name, value in (b'__CURSOR', b's=1;i=%d' % (i * 2 + n)), (b'__REALTIME_TIMESTAMP', b'%d' % (1763800000000000 + i * 1000000)), \
                (b'__MONOTONIC_TIMESTAMP', b'%d' % (1000000 + i)), (b'_BOOT_ID', b'0123456789abcdef' * 2), (b'_UID', b'0'), \
                (b'_HOSTNAME', b'gw'), (b'_PID', b'%d' % (i + 1000)), (b'SYSLOG_IDENTIFIER', b'sshd'), (b'MESSAGE', text):
            binary = any(c < 32 for c in value)
            out.write(name + (b'\n' + struct.pack('<Q', len(value)) if binary else b'=') + value + b'\n')
        out.write(b'\n')
X
$remote -o x.journal made >/dev/null 2>remote.err || { cat remote.err; exit 1; }
journalctl --file x.journal -o export >exported || exit
bad=0
count() { # WANTED GOT WHAT
	[ "$1" = "$2" ] || { echo "$3: $2, not $1"; bad=1; }
}
count 1000 "$(grep -ac '^_UID=0' exported)" "records of journalctl"
"$nightjar" parse exported >parsed || exit
count 1000 "$(wc -l <parsed)" records
count 500 "$(grep -c '"outcome":"failure".*"ip":"192.0.2.*"port":.*"pid":' parsed)" failures
count 0 "$(grep -vc '"hostname":"gw"' parsed)" "records without their host"
journalctl --file x.journal -o export | "$nightjar" parse - | cmp - parsed || bad=1
gzip -k exported
"$nightjar" replay exported.gz >alerts 2>said
grep -q '^1000 lines.* [5-9][0-9][0-9] understood' said || { tail -n 1 said; bad=1; }

# Damaged: cut within a record, another file behind the cut, CR LF, and a length that can't be.
damaged() { # WHAT ITS_RECORDS ITS_WORDS
	for command in "parse $1" "replay --summary $1"; do
		# shellcheck disable=SC2086 # a command and its argument
		"$nightjar" $command >out 2>said
		grep -q "$3" said || { echo "$command does not say \"$3\":"; cat said; bad=1; }
		grep -q 'comes whole with "journalctl -o export"' said || bad=1
	done
	"$nightjar" parse "$1" 2>/dev/null >out
	count "$2" "$(wc -l <out)" "records of the file $1"
}
half=$(($(wc -c <exported) / 2 - 9)) # not between two
head -c $half exported >short
before=$(grep -ac '^__CURSOR=' short)
# (The records that are made have "__CURSOR=x" on a line of their messages.)
before=$((before - $(grep -ac '^__CURSOR=x' short)))
damaged short $before 'torn'
cat short exported >torn
damaged torn $((before + 1000)) 'torn'
grep -av '[^[:print:]]' exported | grep -a '^[A-Z_]*=' | grep -av '^__CURSOR=x' |
	awk '/^__CURSOR=/ && NR > 1 { print "" } { print } END { print "" }' >text
"$nightjar" parse text >out 2>said || bad=1
[ ! -s said ] || { echo "of a whole file:"; cat said; bad=1; }
sed 's/$/\r/' text >crlf
damaged crlf 1000 'CR LF'
"$nightjar" parse crlf 2>/dev/null | cmp - out || bad=1
{ printf '__CURSOR=x\nMESSAGE\n\377\377\377\377\377\377\377\377\n'; cat text; } >length
damaged length 1001 'bytes 11 to 28 were not read'
exit $bad

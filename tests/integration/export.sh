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
exit $bad

#!/usr/bin/env bash
# nightjar explain: each step is told, lines of a connection join, secrets are not shown.
set -u
nightjar=$1
bad=0
fail() {
	echo "$*"
	bad=1
}
explain() { "$nightjar" explain --zone UTC --now 2026-11-23T00:00:00Z "$@"; }
says() { # WHAT IN
	grep -qF -- "$1" <<<"$2" || fail "does not say: $1"
}
silent() { # WHAT IN
	! grep -qF -- "$1" <<<"$2" || fail "says: $1"
}

failed='Nov 22 15:37:46 gw sshd[42]: Failed password for invalid user pi from 192.0.2.7 port 4022 ssh2'
said=$(explain "$failed") || fail "status $? for a line that is understood"
says 'time    2026-11-22T15:37:46Z' "$said"
says 'family    sshd (parsers/sshd.c)' "$said"
says 'Failed <auth.method> for invalid user <user.name> from <source.ip> port <source.port> ssh2' "$said"
says 'means     ssh_login, failure, 1 new attempt' "$said"
says 'counted by: Many failed logins from one address' "$said"

# The second line of an attempt, whose address is the first one's.
said=$(explain "$failed" 'Nov 22 15:37:47 gw sshd[42]: Access denied for user pi by PAM account configuration [preauth]')
says 'source.ip = "192.0.2.7"  (from an earlier line)' "$said"
says 'an attempt that is counted already: Many failed logins from one address' "$said"

# The same from standard input, and five of them are an alert.
said=$(for pid in 1 2 3 4 5; do echo "${failed/42/$pid}"; done | explain)
says 'alert     Many failed logins from one address' "$said"

# Secrets, also in what nobody understands.
for line in 'Nov 22 15:37:46 gw sudo: bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/mysql -pS3cr3tS3cr3t' \
	'Nov 22 15:37:46 gw app[1]: connecting with password=S3cr3tS3cr3t' 'password=S3cr3tS3cr3t'; do
	said=$(explain "$line")
	silent S3cr3t "$said"
	says 'masked    from byte' "$said"
	said=$(explain --json "$line")
	silent S3cr3t "$said"
	jq -e '.masks[0].rule and .masks[0].byte > 0' <<<"$said" >/dev/null || fail "no mask in JSON: $said"
done

# What is wrong with a line that is not understood.
said=$(explain 'a line of no form') && fail "status 0 for a line that is not understood"
says 'no stamp that is known' "$said"
says 'no family knows this program' "$(explain 'Nov 22 15:37:46 gw app[1]: hello')"
says 'does not know this wording' "$(explain 'Nov 22 15:37:46 gw sshd[1]: hello')"

# Who wrote it: a user can't be sshd.
said=$(explain --source 'unix:/dev/log uid=1000' "$failed")
says 'unproved_sender' "$said"
silent 'source.ip' "$said"

# An attacker's bytes do not reach the terminal.
said=$(explain $'Nov 22 15:37:46 gw sshd[42]: Invalid user \e[31mx from 192.0.2.7 port 1')
silent $'\e' "$said"

# JSON for scripts.
said=$(explain --json "$failed")
jq -e '.understood and .family == "sshd" and .record.source.ip == "192.0.2.7" and
	(.rules | map(.name) | index("Failed login")) and .alerts == []' <<<"$said" >/dev/null || fail "JSON: $said"

# Wrong use, and rules of one's own.
"$nightjar" explain --nonsense >/dev/null 2>&1
[ $? = 2 ] || fail "an unknown option is not wrong use"
"$nightjar" explain --help | grep -q Examples || fail "no examples in --help"
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
printf 'redact:\n  keys: [door_pin]\ndetectors:\n  enabled: false\n' >"$tmp/agent.yaml"
said=$(explain -c "$tmp/agent.yaml" 'Nov 22 15:37:46 gw app: door_pin=4711xy')
silent 4711xy "$said"
says 'detectors are switched off' "$said"

# Pseudonyms, as the agent makes them.
printf 'redact:\n  pseudonyms: [user.name]\n' >"$tmp/names.yaml"
for json in '' --json; do
	said=$(explain $json -c "$tmp/names.yaml" "${failed/ pi / wilhelmine }")
	silent wilhelmine "$said"
	says '*redacted-name-' "$said"
done

# What is decoded from a line is that line's own.
said=$(explain 'type=USER_LOGIN msg=audit(1763826666.000:7): pid=42 uid=0 auid=4294967295 ses=4294967295 msg='"'"'op=login acct=70692078 exe="/usr/sbin/sshd" hostname=? addr=192.0.2.7 terminal=sshd res=failed'"'"'')
says 'user.name = "pi x"' "$said"
silent 'earlier line' "$said"

# Bytes are counted from 1 in both forms.
says 'from byte 10 on' "$(explain 'password=S3cr3tS3cr3t')"
[ "$(explain --json 'password=S3cr3tS3cr3t' | jq .masks[0].byte)" = 10 ] || fail "bytes are counted in two ways"

# Input that can't be read is no empty input, and a file's name no line.
said=$(explain <"$tmp" 2>&1) && fail "status 0 for input that can't be read"
says 'cannot read standard input' "$said"
says 'is a file' "$(explain "$tmp/agent.yaml" 2>&1)"
exit $bad

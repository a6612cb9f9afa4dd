#!/usr/bin/env bash
# nightjar rules: list, check, test and explain; SigmaHQ's rules for Linux, where they are.
set -u
nightjar=$1
bad=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
fail() {
	echo "$*"
	bad=1
}
says() { # WHAT IN
	grep -qF -- "$1" <<<"$2" || fail "does not say: $1"
}

# The default packs are good, and their examples hold.
said=$("$nightjar" rules check 2>&1) || fail "check of the default packs: $said"
says ' 0 mistakes' "$said"
said=$("$nightjar" rules test 2>&1) || fail "test of the default packs: $said"
says ' 0 do not' "$said"
[ "$("$nightjar" rules list --json | wc -l)" -gt 15 ] || fail "list --json is short"

# A folder in a folder; a placeholder; a program that an earlier record of auditd named.
mkdir "$dir/rules" "$dir/rules/inner"
cat >"$dir/rules/inner/good.yml" <<'END'
title: Somebody reads the shadow file
id: 5b0d7c1e-0001-4f0e-9d50-6a8f6f0f7a11
logsource: {product: linux, category: process_creation}
detection:
    s: {Image|endswith: /cat, CommandLine|contains|expand: '%secret%'}
    condition: s
nightjar:
    examples:
        fires:
            - |
                type=SYSCALL msg=audit(1700000000.1:45): arch=c000003e syscall=59 success=yes auid=1000 uid=0 euid=0 tty=pts0 comm="cat" exe="/usr/bin/cat" key=(null)
                type=EXECVE msg=audit(1700000000.1:45): argc=2 a0="cat" a1="/etc/shadow"
            - |
                Mar 14 02:11:01 gate sudo[811]:   bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/cat /etc/shadow
        silent:
            - |
                type=SYSCALL msg=audit(1700000000.1:45): arch=c000003e syscall=59 success=yes auid=1000 uid=0 euid=0 tty=pts0 comm="ls" exe="/usr/bin/ls" key=(null)
                type=EXECVE msg=audit(1700000000.1:45): argc=2 a0="cat" a1="/etc/shadow"
            - |
                type=EXECVE msg=audit(1700000000.1:46): argc=2 a0="cat" a1="/etc/shadow"
END
echo 'secret: [/etc/shadow, /etc/gshadow]' >"$dir/placeholders.yml"
said=$("$nightjar" rules test --placeholders "$dir/placeholders.yml" "$dir/rules" 2>&1) ||
	fail "test of a good rule: $said"
says '4 examples hold, 0 do not' "$said"
said=$("$nightjar" rules test "$dir/rules" 2>&1) && fail "a placeholder that nobody knows is good"
says 'good.yml:5:60: nothing says what the placeholder "%secret%" stands for' "$said"

# An example that does not hold.
sed 's/cat", a1/ls", a1/; s/exe="\/usr\/bin\/ls"/exe="\/usr\/bin\/cat"/' "$dir/rules/inner/good.yml" \
	>"$dir/wrong.yml"
said=$("$nightjar" rules test --placeholders "$dir/placeholders.yml" "$dir/wrong.yml" 2>&1) &&
	fail "an example that does not hold is good"
says 'example 3: must not fire, and did' "$said"

# A mistake is named with its place, the rest loads; what can never fire is named.
cat >"$dir/bad.yml" <<'END'
title: bad
logsource: {product: linux}
detection:
    s: {user.nmae: x}
    condition: s
---
title: never
id: never-1
logsource: {product: linux}
detection:
    s: {ParentImage: x}
    condition: s
END
said=$("$nightjar" rules check "$dir/bad.yml" 2>&1) && fail "a bad rule is good"
says "bad.yml:4:9: field \"user.nmae\" is not known; did you mean \"user.name\"?" "$said"
says 'bad.yml:7: "never" can never fire: no line that is read has ParentImage' "$said"
says '1 rule is good, 1 of them can never fire; 1 mistake' "$said"
sed -n '/never/,$p' "$dir/bad.yml" >"$dir/never.yml"
"$nightjar" rules check "$dir/never.yml" >/dev/null 2>&1 || fail "status of a rule that can't fire"
"$nightjar" rules check --strict "$dir/never.yml" >/dev/null 2>&1 && fail "--strict takes it"

# Nothing where rules should be; a file that is not there; a list of everything.
mkdir "$dir/empty"
said=$("$nightjar" rules check "$dir/empty" 2>&1) && fail "an empty folder is good"
says 'there is no rule in what was named' "$said"
said=$("$nightjar" rules check "$dir/nope.yml" 2>&1) && fail "a file that is not there is good"
grep -qF 'nope.yml:0' <<<"$said" && fail "a place in a file that is not there: $said"
echo '0.0.0.0/0' >"$dir/wide.txt"
said=$("$nightjar" rules check --list "$dir/wide.txt" 2>&1) || fail "a wide list: $said"
says 'wide.txt: the list has every address of IPv4' "$said"
said=$("$nightjar" rules check --list "$dir/empty" 2>&1) && fail "a folder is a list"
says 'this is a folder: name the file of one list' "$said"

# What made an alert.
for i in 1 2 3 4 5; do
	echo "Mar 14 02:11:0$i gate sshd[81$i]: Failed password for root from 192.0.2.7 port 4000$i ssh2"
done >"$dir/auth.log"
"$nightjar" replay --updates "$dir/auth.log" >"$dir/alerts" 2>/dev/null
id=$(grep -o '"alert":{"id":"[0-9a-f]*' "$dir/alerts" | head -n 1 | grep -o '[0-9a-f]*$')
said=$("$nightjar" rules explain "${id:0:12}" "$dir/alerts") || fail "explain: status $?"
says '"Many failed logins from one address", high' "$said"
says 'gte: 5' "$said"
says '"source.address" is "192.0.2.7"' "$said"
says 'counted  5, from' "$said"
"$nightjar" rules explain ffffffffffffff "$dir/alerts" >/dev/null 2>&1 &&
	fail "an alert that is not there is explained"

# All of SigmaHQ's rules for Linux load.
sigma=${NIGHTJAR_SIGMA:-../shared/sigma}/sigmahq-rules-linux.tar.zst
if [ -e "$sigma" ]; then
	mkdir "$dir/sigmahq"
	tar -C "$dir/sigmahq" -xf "$sigma" || fail "can't unpack $sigma"
	said=$("$nightjar" rules check "$dir/sigmahq/rules" 2>/dev/null) || fail "SigmaHQ: $said"
	n=$(find "$dir/sigmahq/rules" -name '*.yml' | wc -l)
	says "$n rules are good, " "$said"
	says ' 0 mistakes' "$said"
else
	echo "SigmaHQ's rules were not tried: $sigma is not there"
fi
exit $bad

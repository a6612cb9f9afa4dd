#!/usr/bin/env bash
# The main job on a private host: real logins, a real rsyslog, the shipped daemons in
# their sandboxes.  Both daemons are killed in the middle and the log is rotated; then
# the collector's store is held against the log itself.
#
#   end_to_end.sh FOLDER     inside `enter`; prints the group's results
here=$(dirname "$0")
. "$here/../support/group.sh"
. tests/integration/host.sh
. tests/integration/fleet.sh
group=e2e
folder=$1

# Seconds that a loaded machine may take for what usually takes a fraction of one.
PATIENCE=60

give_up() { # NAME WHY [LOG...]
	local log
	not_ok "$1" "$2"
	shift 2
	for log; do
		[ ! -e "$log" ] || { echo "    $log:"; tail_of "$log" 15; }
	done
	exit 0
}

random() { head -c 18 /dev/urandom | base64 | tr -d '/+=' | head -c "$1"; }

# Never written into a file here but by rsyslog, which is told to.
CANARY=Cn$(random 20)
PASSWORD=$(random 12)

host_up "$folder/host" && add_user alice "$PASSWORD" && add_user bob "$PASSWORD" &&
	syslog_up && sshd_up 2222 || give_up host "the private host does not come up" "$folder/host/sshd.out"
fleet_up "$folder/fleet" >"$folder/fleet.log" 2>&1 ||
	give_up identities "no identities or configurations" "$folder/fleet.log"
collector_start || give_up collector "the collector does not start" "$FLEET/collector.log"
agent_start || give_up agent "the agent does not start" "$FLEET/agent.log" "$FLEET/collector.log"

# What the daemons may do, as the kernel tells it.
sandboxed() { # PID USER
	local status bad=0
	status=$(cat "/proc/$1/status")
	grep -qE "^Uid:([[:space:]]$(id -u "$2")){4}" <<<"$status" || { echo "not $2: $(grep Uid <<<"$status")"; bad=1; }
	grep -qE '^NoNewPrivs:[[:space:]]1' <<<"$status" || { echo "may gain rights"; bad=1; }
	grep -qE '^Seccomp:[[:space:]]2' <<<"$status" || { echo "no seccomp filter"; bad=1; }
	# At most CAP_DAC_READ_SEARCH, number 2.
	grep -qE '^CapEff:[[:space:]]000000000000000[04]$' <<<"$status" || { echo "$(grep CapEff <<<"$status")"; bad=1; }
	return $bad
}
try sandbox/agent sandboxed "$AGENT_PID" nightjar
try sandbox/collector sandboxed "$COLLECTOR_PID" nightjar-collector

# An ordinary day, then an attack that succeeds.
login alice "$PASSWORD" 127.0.0.7 2222 || give_up logins "a good login fails" /var/log/auth.log
attack() {
	local n
	for n in 1 2 3 4 5 6 7 8; do
		login alice "wrong$n" 127.0.0.66 2222 &
	done
	for n in root admin oracle pi; do
		login "$n" "wrong$n" 127.0.0.67 2222 &
	done
	# A secret that is a password for once: sshd writes it nowhere.
	login bob "$CANARY" 127.0.0.68 2222 &
	for n in $(jobs -rp); do
		case $n in
		"$AGENT_PID" | "$COLLECTOR_PID" | "$SYSLOG_PID" | "$SSHD_PID") ;;
		*) wait "$n" ;;
		esac
	done
	login alice "$PASSWORD" 127.0.0.66 2222
} 2>/dev/null
attack || give_up logins "the attack itself fails" /var/log/auth.log
logger -p auth.info -t backup "connecting with password=$CANARY host=db1"
logger -p auth.notice -t app "GET https://admin:$CANARY@example.net/ token=$CANARY"

alert_about() { # ADDRESS
	grep -lqs "127\.0\.0\.$1" "$FLEET"/alerts/*.json
}
wait_for $PATIENCE alert_about 66 && ok alert/exec-hook ||
	give_up alert/exec-hook "no alert about 127.0.0.66 reached the hook in $PATIENCE s" "$FLEET/agent.log"
alerts_are_objects() {
	local file
	for file in "$FLEET"/alerts/*.json; do
		jq -e 'type == "object"' "$file" >/dev/null || { cat "$file"; return 1; }
	done
}
try alert/json alerts_are_objects

# Lines keep coming while one end after the other is killed and the log rotates.
chatter() {
	local n=0
	while [ -e "$folder/chatter" ]; do
		n=$((n + 1))
		logger -p auth.info -t chatter "line $n of many"
		sleep 0.02
	done
}
: >"$folder/chatter"
chatter &
CHATTER_PID=$!
sleep 1
collector_kill
sleep 1
logger -p auth.info -t app "while the collector is away: secret_key=$CANARY"
sleep 1
collector_start || give_up killed/collector "the collector does not start again" "$FLEET/collector.log"
sleep 1
agent_kill
sleep 1
rotate
sleep 1
agent_start || give_up killed/agent "the agent does not start again" "$FLEET/agent.log"
sleep 1
# Both at once, and a rotation while the agent lives.
collector_kill
agent_kill
agent_start || give_up killed/both "the agent does not start without a collector" "$FLEET/agent.log"
rotate
sleep 1
collector_start || give_up killed/both "the collector does not start a third time" "$FLEET/collector.log"
sleep 1
rm "$folder/chatter"
wait $CHATTER_PID
login alice "$PASSWORD" 127.0.0.7 2222
# Nothing may be on its way in rsyslog itself.
syslog_down
ok killed "collector twice, agent twice, log rotated twice"

source_lines() { cat /var/log/auth.log.2 /var/log/auth.log.1 /var/log/auth.log; }
source_lines >"$folder/source"
total=$(wc -l <"$folder/source")
search() { nightjar search -c "$FLEET/collector.yaml" --json "$@"; }
stored() { [ "$(search | wc -l)" -ge "$total" ]; }
wait_for $PATIENCE stored
search >"$folder/stored" 2>"$folder/search.log"
sleep 2
search >"$folder/stored" 2>>"$folder/search.log"

# The store and the log, line by line: what the source holds, redacted and parsed
# here, against what the collector says, as multisets and in each stream's order.
nightjar parse "$folder/source" >"$folder/wanted"
try once python3 tests/integration/same_records.py "$folder/wanted" "$folder/stored" "$folder/source"
try verify nightjar store verify -c "$FLEET/collector.yaml"

found() { # COUNT ARGUMENT...
	local wanted=$1 n
	shift
	n=$(search "$@" | wc -l)
	[ "$n" -ge "$wanted" ] || { echo "search $*: $n records, at least $wanted wanted"; return 1; }
}
try search/outcome found 3 --outcome success --user alice
try search/address found 8 --ip 127.0.0.66
try search/text found 1 'while the collector is away'
alerts_stored() { [ "$(search --alerts | wc -l)" -ge 1 ]; }
wait_for $PATIENCE alerts_stored && ok alert/stored || not_ok alert/stored "no alert in the collector's store"

# An agent that is killed judges again what it had judged since it last saved, and
# tells the same alerts again: under the same ids.
same_once() {
	local twice
	twice=$(search --alerts | jq -r 'select(.alert.state == "new") |
		[.rule.id, (.alert.group | tostring), .alert.first, .message, .alert.id] | @tsv' | sort -u |
		cut -f 1-4 | uniq -d)
	[ -z "$twice" ] || { echo "two ids for the same: $twice"; return 1; }
}
try alert/same-ids same_once

# The canary: in the source log, and nowhere else.
masked() {
	grep -q "$CANARY" "$folder/source" || { echo "the canary is not even in the source"; return 1; }
	! grep -q "$CANARY" "$folder/stored" || { echo "the canary is in the store"; return 1; }
	[ "$(grep -c 'connecting with password=' "$folder/stored")" = 1 ] || { echo "the line of it is not"; return 1; }
}
try canary/stored masked
nowhere() {
	local files
	# Compared by content, on standard input, so that no command line holds it.
	files=$(grep -rlaFs -f <(echo "$CANARY") "$folder" "$WORK" /etc /run /var/log /home /var/spool /dev/shm |
		grep -vxE "$folder/(source|host/log/auth\.log(\.[12])?)|/var/log/auth\.log(\.[12])?")
	[ -z "$files" ] || { echo "the canary is in:"; echo "$files"; return 1; }
}
try canary/files nowhere
not_in_memory() {
	local pid bad=0
	for pid in $(watched) $COLLECTOR_PID; do
		echo "$pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
		python3 tests/support/memory_has.py "$pid" <<<"$CANARY" || bad=1
	done
	return $bad
}
try canary/memory not_in_memory

try stop/agent agent_stop
try stop/collector collector_stop
quiet() { ! grep -nE 'ERROR: AddressSanitizer|runtime error|assert|Sanitizer' "$FLEET"/*.log; }
try quiet quiet
[ "$KEEP_LOGS" = 0 ] || cp "$FLEET"/*.log "$WORK/log/"
exit 0

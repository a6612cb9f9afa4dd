#!/usr/bin/env bash
# What is wrong is refused in one line that names the thing, the place and the remedy;
# the daemon stays up where that is safe, and a bad certificate costs no CPU.
#
#   bad_input.sh FOLDER     prints the group's results
#
# Everything is on loopback, under ports that are free; as root the daemons are
# nobody's.
here=$(dirname "$0")
. "$here/../support/group.sh"
# shellcheck disable=SC2034 # for group.sh
group=e2e/bad-input
folder=$1
pki=$folder/pki
user=$(id -un)
[ "$(id -u)" != 0 ] || user=nobody
pids=()

finish() {
	local pid
	for pid in "${pids[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
}
trap finish EXIT

nightjar() { "$BUILD/cli/nightjar" "$@"; }

wait_for() { # SECONDS COMMAND...
	local until=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $until ] || return 1
		sleep 0.1
	done
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

identities() {
	nightjar pki init --dir "$pki" && nightjar pki collector --dir "$pki" localhost 127.0.0.1 &&
		nightjar pki device --dir "$pki" good && nightjar pki device --dir "$pki" expired || return
	nightjar pki init --dir "$folder/other" && nightjar pki device --dir "$folder/other" foreign &&
		nightjar pki init --dir "$folder/named" && nightjar pki collector --dir "$folder/named" logs.example || return
	# The one with another name is of the same authority.
	cp "$pki"/authority.* "$folder/named/" &&
		nightjar pki collector --dir "$folder/named" --force logs.example
}

# The same certificate with a term that is over, which nightjar pki does not make.
expire() {
	local ca=$folder/ca
	mkdir "$ca" && : >"$ca/index" && echo 4242 >"$ca/serial" || return
	cat >"$ca/cnf" <<-X
		[ca]
		default_ca = d
		[d]
		database = $ca/index
		serial = $ca/serial
		new_certs_dir = $ca
		default_md = sha256
		policy = p
		x509_extensions = x
		[p]
		commonName = supplied
		[x]
		basicConstraints = CA:FALSE
		keyUsage = critical, digitalSignature
		extendedKeyUsage = critical, clientAuth
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid
		subjectAltName = URI:urn:nightjar:device:expired
		[req]
		distinguished_name = n
		[n]
	X
	openssl req -new -config "$ca/cnf" -key "$pki/expired.key" -subj /CN=expired -out "$ca/csr" &&
		openssl ca -batch -notext -config "$ca/cnf" -cert "$pki/authority.crt" -keyfile "$pki/authority.key" \
			-startdate 20240101000000Z -enddate 20240201000000Z -in "$ca/csr" -out "$pki/expired.crt"
}

collector_yaml() { # NAME PORT PKI
	cat >"$folder/$1.yaml" <<-X
		listen: 127.0.0.1:$2
		state: $folder/$1
		user: $user
		control: $folder/$1/control
		identity: {certificate: $3/collector.crt, key: $3/collector.key, authority: $3/authority.crt}
		store: {directory: $folder/$1/store}
		limits: {handshake_timeout: 2s}
	X
	mkdir -p "$folder/$1/store"
	chown -R "$user" "$folder/$1"
}

agent_yaml() { # NAME PORT CERTIFICATE AUTHORITY [LOG]
	mkdir -p "$folder/$1"
	[ $# -gt 4 ] || echo 'Nov 22 15:00:00 host app: a line' >"$folder/$1/log"
	cat >"$folder/$1.yaml" <<-X
		collector: 127.0.0.1:$2
		state: $folder/$1
		user: $user
		control: $folder/$1/control
		identity: {certificate: $3.crt, key: $3.key, authority: $4}
		sources: {files: [{paths: [${5-$folder/$1/log}]}]}
		spool: {directory: $folder/$1/spool}
	X
	chown -R "$user" "$folder/$1"
}

start() { # PROGRAM NAME: its pid is in $pid
	"$BUILD/$1/nightjar-$1" -c "$folder/$2.yaml" </dev/null 2>"$folder/$2.err" &
	pid=$!
	pids+=("$pid")
}

# One line of a log or of what a program says has all of the patterns.
says() { # FILE PATTERN...
	local file=$1 text pattern
	text=$(cat "$file")
	shift
	for pattern; do
		text=$(grep -E -- "$pattern" <<<"$text") || return 1
	done
}

show_why() { # FILE
	echo "no line of $1 says so:"
	head -n 12 "$1"
	return 1
}

# A configuration that is refused, with one line, by -n and by nightjar check alike.
refused() { # NAME TEXT PATTERN...
	local name=$1 text=$2 bad=0 out=$folder/refused.out
	shift 2
	printf '%s\n' "$text" >"$folder/$name.yaml"
	"$BUILD/agent/nightjar-agent" -n -c "$folder/$name.yaml" 2>"$out" && { echo "it is taken"; bad=1; }
	[ "$(wc -l <"$out")" = 1 ] || { echo "not one line:"; bad=1; }
	says "$out" "$name\.yaml:[0-9]+:[0-9]+" "$@" || bad=1
	nightjar check --agent -c "$folder/$name.yaml" >"$folder/refused.check" 2>&1 && { echo "nightjar check takes it"; bad=1; }
	[ $bad = 0 ] || cat "$out"
	return $bad
}

# Ends at once, with a line about it.
ends() { # PROGRAM NAME PATTERN...
	local program=$1 name=$2 status
	shift 2
	start "$program" "$name"
	wait "$pid"
	status=$?
	[ $status != 0 ] || { echo "it ends with 0"; return 1; }
	says "$folder/$name.err" level=error "$@" || show_why "$folder/$name.err"
}

# Stays up and says it.
stays() { # PID NAME PATTERN...
	local pid=$1 name=$2
	shift 2
	wait_for 20 says "$folder/$name.err" "$@" || show_why "$folder/$name.err" || return
	kill -0 "$pid" || { echo "it does not stay up"; return 1; }
}

ticks() { # PID: user and system time of it
	awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"
}

# Less than 2 % of a core, and few lines in the log.
idle() { # PID NAME
	local before after lines
	before=$(ticks "$1")
	lines=$(wc -l <"$folder/$2.err")
	sleep 5
	after=$(ticks "$1")
	lines=$(($(wc -l <"$folder/$2.err") - lines))
	echo "$((after - before)) ticks of $(getconf CLK_TCK) a second, $lines lines in 5 s"
	[ $((after - before)) -le $((5 * $(getconf CLK_TCK) / 50)) ] && [ $lines -le 10 ]
}

# Somebody who is not a collector: KIND is silent, garbage or plain.
wrong_peer() { # KIND PORT
	python3 - "$@" <<'X' &
import os, socket, sys, threading

kind, port = sys.argv[1], int(sys.argv[2])
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", port))
listener.listen(16)


def answer(peer):
    try:
        if kind == "garbage":
            peer.sendall(os.urandom(4096))
        elif kind == "plain":
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        while peer.recv(65536):
            pass
    except OSError:
        pass


while True:
    peer, _ = listener.accept()
    threading.Thread(target=answer, args=(peer,), daemon=True).start()
X
	pids+=($!)
}

# Somebody who is not an agent, to the collector.
wrong_client() { # PORT KIND
	python3 - "$@" <<'X'
import os, socket, sys

port, kind = int(sys.argv[1]), sys.argv[2]
with socket.create_connection(("127.0.0.1", port), 10) as s:
    if kind == "garbage":
        s.sendall(os.urandom(65536))
    elif kind == "plain":
        s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    s.settimeout(15)
    try:
        while s.recv(4096):
            pass
    except ConnectionResetError:
        pass
X
}

chmod 711 "$folder"
identities >"$folder/pki.log" 2>&1 || { not_ok identities "nightjar pki fails:"; tail_of "$folder/pki.log"; exit 0; }
chmod 755 "$pki" "$folder/other" "$folder/named"
[ "$(id -u)" != 0 ] || chown "$user" "$pki"/*.key "$folder/other"/*.key "$folder/named"/*.key

# ---- configurations ----

try unknown-key refused unknown 'colector: localhost:7514' 'unknown key "colector"' 'did you mean "collector"'
try unknown-key-below refused below $'shipping:\n  batch_dely: 1s' 'batch_dely' 'did you mean'
try wrong-unit refused unit $'shipping:\n  batch_delay: 5 parsecs' 'batch_delay|parsecs' '[0-9](ms|s|m)\b'
try out-of-range refused range $'shipping:\n  memory_max: 1KiB' memory_max '1 ?MiB'
try no-yaml refused noyaml $'shipping: [' 'noyaml'
missing_file() {
	"$BUILD/agent/nightjar-agent" -n -c "$folder/nothing.yaml" 2>"$folder/refused.out" && return 1
	says "$folder/refused.out" nothing.yaml 'no such file' || show_why "$folder/refused.out"
}
try no-configuration missing_file

# ---- the command ----

complains() { # STATUS PATTERN COMMAND...
	local wanted=$1 pattern=$2 status
	shift 2
	nightjar "$@" >"$folder/command.out" 2>"$folder/command.err" </dev/null
	status=$?
	[ $status = "$wanted" ] || { echo "it ends with $status, not $wanted"; return 1; }
	[ ! -s "$folder/command.out" ] && [ "$(wc -l <"$folder/command.err")" -le 2 ] || { echo "it says more than it should"; return 1; }
	says "$folder/command.err" "$pattern" || show_why "$folder/command.err"
}
try command/unknown complains 2 'unknown command "serach", did you mean "search"' serach
try command/unlike complains 2 'unknown command "frobnicate"$' frobnicate
try command/nobody-to-reload complains 1 "reload: nobody answers at $folder/nothing: .*not running" reload -s "$folder/nothing"
try command/nobody-to-ask complains 1 "status: nobody answers at $folder/nothing: .*not running" status -s "$folder/nothing"

# ---- a collector that works, and agents that it must not take ----

port=$(free_port)
collector_yaml collector "$port" "$pki"
start collector collector
COLLECTOR=$pid
wait_for 20 nightjar status -s "$folder/collector/control" ||
	{ not_ok collector "the collector does not start:"; tail_of "$folder/collector.err"; exit 0; }

# The same port, and nobody's account: neither may leave a folder behind that is root's.
collector_yaml second "$port" "$pki"
try port-in-use ends collector second "127.0.0.1 port $port" 'in use' 'another program'
if [ "$(id -u)" = 0 ]; then
	collector_yaml strange "$(free_port)" "$pki"
	sed -i -e 's/^user: .*/user: nightjar-no-such-user/' -e "s#^state: .*#state: $folder/strange/state#" "$folder/strange.yaml"
	try no-such-user ends collector strange 'no user nightjar-no-such-user' 'useradd'
	try no-such-user-no-folder test ! -e "$folder/strange/state"
	collector_yaml others "$(free_port)" "$pki"
	chown root "$folder/others/store"
	try store-of-others ends collector others 'others/store/lock' 'permission denied' "belong to the collector's user"
	chown -R root "$folder/others/store" && chmod 700 "$folder/others/store" && touch "$folder/others/store/store.id"
	as_user() { setpriv --reuid "$user" --clear-groups --inh-caps=-all "$BUILD/cli/nightjar" "$@" 2>"$folder/command.err"; }
	search_of_others() {
		as_user search --store "$folder/others/store" && { echo "it ends with 0"; return 1; }
		says "$folder/command.err" 'store\.id' 'ask as root' || show_why "$folder/command.err"
	}
	try command/store-of-others search_of_others
fi
agent_yaml missing "$port" "$pki/nobody" "$pki/authority.crt"
try certificate-missing ends agent missing 'nobody\.crt' 'nightjar pki'
agent_yaml unissued "$port" "$folder/other/foreign" "$pki/authority.crt"
try certificate-unissued ends agent unissued 'foreign\.crt' 'authority\.crt' 'nightjar pki'
# One that trusts our collector, under a certificate of somebody else's authority.
cat "$pki/authority.crt" "$folder/other/authority.crt" >"$folder/both.crt"
agent_yaml foreign "$port" "$folder/other/foreign" "$folder/both.crt"
start agent foreign
FOREIGN=$pid
if command -v openssl >/dev/null && expire >"$folder/expire.log" 2>&1; then
	chown "$user" "$pki"/expired.*
	agent_yaml expired "$port" "$pki/expired" "$pki/authority.crt"
	start agent expired
	EXPIRED=$pid
else
	EXPIRED=
fi
named_port=$(free_port)
collector_yaml named "$named_port" "$folder/named"
start collector named
agent_yaml misnamed "$named_port" "$pki/good" "$pki/authority.crt"
start agent misnamed
MISNAMED=$pid
for kind in silent garbage plain; do
	peer_port=$(free_port)
	wrong_peer $kind "$peer_port"
	agent_yaml "$kind" "$peer_port" "$pki/good" "$pki/authority.crt"
	start agent $kind
	declare "AGENT_$kind=$pid"
done
nowhere_port=$(free_port)
agent_yaml nowhere "$nowhere_port" "$pki/good" "$pki/authority.crt"
start agent nowhere
NOWHERE=$pid

try certificate-foreign stays "$FOREIGN" foreign 'level=(warn|error)' '127\.0\.0\.1' 'certificate' 'authority|nightjar pki'
try certificate-foreign-told stays "$COLLECTOR" collector 'level=(warn|error)' '127\.0\.0\.1:[0-9]+' 'authority'
if [ -n "$EXPIRED" ]; then
	try certificate-expired stays "$EXPIRED" expired 'level=error' 'expired\.crt expired on 2024-02-01' 'nightjar pki'
	try certificate-expired-refused stays "$EXPIRED" expired 'level=warn' 'cannot reach the collector' 'expired|certificate'
else
	skip certificate-expired "no openssl to make one with"
fi
try wrong-name stays "$MISNAMED" misnamed 'level=(warn|error)' '127\.0\.0\.1' 'name' 'nightjar pki|logs\.example'
# shellcheck disable=SC2154 # declared above
{
	try peer/garbage stays "$AGENT_garbage" garbage 'level=(warn|error)' '127\.0\.0\.1' 'TLS|collector'
	try peer/plaintext stays "$AGENT_plain" plain 'level=(warn|error)' '127\.0\.0\.1' 'TLS|collector'
}
try peer/nowhere stays "$NOWHERE" nowhere 'level=(warn|error)' '127\.0\.0\.1' "$nowhere_port" 'refused'

# All in the same five seconds.
measured=()
measure() { # NAME PID
	try "cpu/$1" idle "$2" "$1" &
	measured+=($!)
}
measure foreign "$FOREIGN"
measure misnamed "$MISNAMED"
# shellcheck disable=SC2154
measure garbage "$AGENT_garbage"
[ -z "$EXPIRED" ] || measure expired "$EXPIRED"
measure collector "$COLLECTOR"
wait "${measured[@]}"

# ---- a log that may not be read, then may ----

agent_yaml unreadable "$port" "$pki/good" "$pki/authority.crt"
unreadable() {
	local as=()
	if [ "$(id -u)" = 0 ]; then
		chown root "$folder/unreadable/log"
	fi
	chmod 000 "$folder/unreadable/log"
	# Started as root it would keep the right to read any log that is configured.
	setpriv --reuid "$user" --clear-groups --inh-caps=-all true 2>/dev/null &&
		as=(setpriv --reuid "$user" --clear-groups --inh-caps=-all)
	"${as[@]}" "$BUILD/agent/nightjar-agent" -c "$folder/unreadable.yaml" </dev/null 2>"$folder/unreadable.err" &
	pid=$!
	pids+=("$pid")
	stays "$pid" unreadable 'level=(warn|error)' 'unreadable/log' 'permission denied' || return
	chmod 644 "$folder/unreadable/log"
	wait_for 30 stored 'a line' || { echo "not read after it may be"; show_why "$folder/unreadable.err"; }
}
stored() { nightjar search -c "$folder/collector.yaml" --json "$1" | grep -q message; }
try unreadable-log unreadable
try command/no-such-device complains 1 'no device is called "nowhere-gw".*store list' search -c "$folder/collector.yaml" --device nowhere-gw
try command/nothing-between complains 2 'since is later than --until' search -c "$folder/collector.yaml" --since 1h --until 2h
try command/no-limit complains 2 'limit "0" is no number' search -c "$folder/collector.yaml" --limit 0

# ---- peers of the collector ----

for kind in garbage plain silent; do
	try "client/$kind" wrong_client "$port" $kind
done
# Of many from one address some are counted only, so it may take several.
client_is_told() {
	wrong_client "$port" garbage
	says "$folder/collector.err" 'level=(warn|info|error)' '127\.0\.0\.1:[0-9]+' 'TLS|handshake|is it a nightjar agent'
}
client_said() { wait_for 60 client_is_told || show_why "$folder/collector.err"; }
try client/said client_said
kill -0 "$COLLECTOR" 2>/dev/null && ok client/stays-up || not_ok client/stays-up "the collector ended"
[ "$KEEP_LOGS" = 0 ] || cp "$folder"/*.err "$WORK/log/"
# After ten seconds of silence an agent gives up, too.
# shellcheck disable=SC2154
try peer/silent stays "$AGENT_silent" silent 'level=(warn|error)' '127\.0\.0\.1' 'time'
exit 0

# shellcheck shell=bash
# Sourced after host.sh, on the private host: Nightjar's own daemons there, with
# identities made by `nightjar pki`, each under its own user and in its sandbox.
#
#   fleet_up FOLDER          users, identities, configurations
#   collector_start, agent_start, and _stop (cleanly), _kill (SIGKILL)
#   watched                  the pids of agent and helpers
#
# COLLECTOR_PID and AGENT_PID are children of the shell.

fleet_up() { # FOLDER
	FLEET=$1
	PORT=7514
	useradd -r -M -s /usr/sbin/nologin nightjar && usermod -aG adm nightjar &&
		useradd -r -M -s /usr/sbin/nologin nightjar-collector || return
	mkdir -p "$FLEET/agent" "$FLEET/collector" "$FLEET/store" "$FLEET/alerts" || return
	"$BUILD/cli/nightjar" pki init --dir "$FLEET/pki" &&
		"$BUILD/cli/nightjar" pki collector --dir "$FLEET/pki" localhost 127.0.0.1 &&
		"$BUILD/cli/nightjar" pki device --dir "$FLEET/pki" gateway || return
	write_hook
	write_agent_yaml >"$FLEET/agent.yaml"
	write_collector_yaml >"$FLEET/collector.yaml"
	chown -R nightjar "$FLEET/agent" "$FLEET/alerts" "$FLEET"/pki/gateway.*
	chown -R nightjar-collector "$FLEET/collector" "$FLEET/store" "$FLEET"/pki/collector.*
	chmod 711 "$FLEET" "$FLEET/pki"
}

# The exec hook: each alert into a file of its own, under its id.
write_hook() {
	cat >"$FLEET/hook" <<-X
		#!/bin/sh
		cat >"$FLEET/alerts/.\$\$" && mv "$FLEET/alerts/.\$\$" "$FLEET/alerts/\$NIGHTJAR_ID.\$\$.json"
	X
	chmod 755 "$FLEET/hook"
}

write_agent_yaml() {
	cat <<-X
		collector: localhost:$PORT
		state: $FLEET/agent
		user: nightjar
		control: $FLEET/agent/control
		identity:
		  certificate: $FLEET/pki/gateway.crt
		  key: $FLEET/pki/gateway.key
		  authority: $FLEET/pki/authority.crt
		sources:
		  files:
		    - paths: [/var/log/auth.log]
		detectors:
		  packs: [$TOP/detectors/packs]
		hooks:
		  - name: test
		    type: exec
		    command: [$FLEET/hook]
		shipping:
		  batch_delay: 200ms
		  reconnect_min: 200ms
		  reconnect_max: 1s
		spool:
		  directory: $FLEET/agent/spool
	X
}

write_collector_yaml() {
	cat <<-X
		listen: 127.0.0.1:$PORT
		state: $FLEET/collector
		user: nightjar-collector
		control: $FLEET/collector/control
		identity:
		  certificate: $FLEET/pki/collector.crt
		  key: $FLEET/pki/collector.key
		  authority: $FLEET/pki/authority.crt
		store:
		  directory: $FLEET/store
	X
}

nightjar() { "$BUILD/cli/nightjar" "$@"; }

daemon_up() { # WHAT: status answers, and the process lives
	wait_for 20 nightjar status -s "$FLEET/$1/control"
}

collector_start() {
	"$BUILD/collector/nightjar-collector" -c "$FLEET/collector.yaml" 2>>"$FLEET/collector.log" &
	COLLECTOR_PID=$!
	daemon_up collector
}

agent_start() {
	"$BUILD/agent/nightjar-agent" -c "$FLEET/agent.yaml" 2>>"$FLEET/agent.log" &
	AGENT_PID=$!
	daemon_up agent
}

collector_kill() { kill -KILL "$COLLECTOR_PID" && { wait "$COLLECTOR_PID" || :; } 2>/dev/null; }
agent_kill() { kill -KILL "$AGENT_PID" && { wait "$AGENT_PID" || :; } 2>/dev/null; }
collector_stop() { kill -TERM "$COLLECTOR_PID" && wait "$COLLECTOR_PID"; }
agent_stop() { kill -TERM "$AGENT_PID" && wait "$AGENT_PID"; }

# The agent and every process under it.
watched() {
	local todo=("$AGENT_PID") pid
	while [ ${#todo[@]} -gt 0 ]; do
		pid=${todo[0]}
		todo=("${todo[@]:1}")
		echo "$pid"
		while read -r pid; do
			todo+=("$pid")
		done < <(ps -o pid= --ppid "$pid" | tr -d ' ')
	done
}

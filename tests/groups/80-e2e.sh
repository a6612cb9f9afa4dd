#!/usr/bin/env bash
# end to end on real daemons: sshd and rsyslog in a private host, agent, collector
. "$(dirname "$0")/../support/group.sh"
. tests/integration/host.sh

chmod 711 "$WORK"
try host bash tests/integration/host_test.sh

end_to_end() {
	local folder=$WORK/e2e
	mkdir -m 711 "$folder" && enter tests/integration/end_to_end.sh "$folder"
}
if ! reason=$(can_enter); then
	skip end-to-end "$reason"
elif [ ! -x "$BUILD/agent/nightjar-agent" ] || [ ! -x "$BUILD/collector/nightjar-collector" ]; then
	skip end-to-end "no daemons in ${BUILD##*/}"
else
	end_to_end
fi

# Messages on sockets, from real senders; a journal, from a real journald.
systemd_journal() { timeout 300 tests/integration/journal.py "$BUILD" "$WORK/journal"; }
syslog_sockets() { tests/integration/sockets.py "$BUILD" "$WORK/sockets"; }
if [ ! -x "$BUILD/agent/nightjar-agent" ] || [ ! -x "$BUILD/collector/nightjar-collector" ]; then
	skip sockets "no daemons in ${BUILD##*/}"
else
	try sockets syslog_sockets
	try journal systemd_journal
fi

# Commands, the kernel's log, watched files, reload.
other_sources() { tests/integration/sources.py "$BUILD" "$WORK/sources"; }
if [ ! -x "$BUILD/agent/nightjar-agent" ] || [ ! -x "$BUILD/collector/nightjar-collector" ]; then
	skip sources "no daemons in ${BUILD##*/}"
else
	try sources other_sources
fi

# Hooks, commands, sockets, watched files and collectors that change while the daemons run.
changing() { tests/integration/reload.py "$BUILD" "$WORK/reload"; }
if [ ! -x "$BUILD/agent/nightjar-agent" ] || [ ! -x "$BUILD/collector/nightjar-collector" ]; then
	skip reload "no daemons in ${BUILD##*/}"
else
	try reload changing
fi

# Lists and databases of places that come, are damaged and are replaced under an agent.
places() { tests/integration/places.py "$BUILD" "$WORK/places"; }
if [ ! -x "$BUILD/agent/nightjar-agent" ] || [ ! -x "$BUILD/tests/make_mmdb" ]; then
	skip places "no agent or no tests in ${BUILD##*/}"
elif ! "$BUILD/cli/nightjar" rules check --geoip /dev/null 2>&1 | grep -q 'without libmaxminddb'; then
	try places places
else
	skip places "built without libmaxminddb"
fi

# Known attempts at real daemons, and what is read of them.
if [ -x "$BUILD/cli/nightjar" ]; then
	try daemons timeout 300 tests/integration/daemons.sh "$BUILD/cli/nightjar"
else
	skip daemons "no nightjar in ${BUILD##*/}"
fi

# What becomes of a line, told.
try explain tests/integration/explain.sh "$BUILD/cli/nightjar"
try rules tests/integration/rules.sh "$BUILD/cli/nightjar"
try summary tests/integration/summary.py "$BUILD/cli/nightjar"

# An export of a journal, by systemd's own tools.
try export tests/integration/export.sh "$BUILD/cli/nightjar"

# A replay of a log and a live run over it.
replay_live() { tests/integration/replay_live.py "$BUILD" "$WORK/replay-live"; }
if [ ! -x "$BUILD/agent/nightjar-agent" ] || [ ! -x "$BUILD/collector/nightjar-collector" ]; then
	skip replay-live "no daemons in ${BUILD##*/}"
else
	try replay-live replay_live
fi

# What is wrong is refused, in a line that says so.
if [ ! -x "$BUILD/agent/nightjar-agent" ] || [ ! -x "$BUILD/collector/nightjar-collector" ]; then
	skip bad-input "no daemons in ${BUILD##*/}"
else
	mkdir -m 711 "$WORK/bad" && tests/integration/bad_input.sh "$WORK/bad"
fi
exit 0

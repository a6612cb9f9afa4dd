#!/usr/bin/env bash
# agent and collector in one process on virtual time, either killed at its calls in turn
. "$(dirname "$0")/../support/group.sh"

# The release build counts calls as any other does, and is ten times as fast.
sim=$BUILD/tests/sim/sim
if [ ! -x "$sim" ]; then
	skip all "no simulation in ${BUILD##*/}"
	exit 0
fi
SEED=${SEED:-1}
agent_every=1 collector_every=1 runs=150 drawn=300
if [ "$LONG" = 1 ]; then
	runs=5000 drawn=5000
	SEED=$(date +%s)
fi

# Says what was done, and only in a failure what the two of them logged meanwhile.
simulate() { # ARGUMENT...
	"$sim" --seed "$SEED" "$@" || { echo "again with: tests/sim/sim --seed $SEED $*"; return 1; }
}
try kill-agent simulate --kill agent --every $agent_every
try kill-collector simulate --kill collector --every $collector_every
try random simulate --scenario plain --kills --runs $runs
try drawn simulate --runs $drawn
try compressed simulate --compress --runs $drawn
try between simulate --between --runs $drawn
try shared "$BUILD/tests/sim/sim_shared" --seed "$SEED" --runs $((drawn / 2))
shared_seeds() { # Which once failed.
	local s
	for s in 12 104 1564 1748 3864; do
		"$BUILD/tests/sim/sim_shared" --seed "$s" || return
	done
}
try shared-seeds shared_seeds
try seeds "$sim" --seeds tests/sim/seeds.txt
exit 0

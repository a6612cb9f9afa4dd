#!/usr/bin/env python3
"""The alerts of a live run are those of a replay: a log with late lines, an agent in its sandbox, and `nightjar replay` of
the same file.  KILL=1: the agent is killed while it reads.

  replay_live.py BUILD FOLDER     prints one line for each thing that holds; status 1 when one does not
"""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import sockets
from sockets import Fleet, held, wait_for

LINES = 8000
LATE_S = 240
RULES = """title: failed
name: failed
logsource: {product: linux, category: authentication}
detection: {s: {event.outcome: failure}, condition: s}
---
title: One address on many users
id: 5d1c4c54-30a0-4f2e-8f7c-31c0b8a4d001
correlation: {type: value_count, rules: failed, group-by: [source.ip], timespan: 30m, condition: {field: user.name, gte: 4}}
---
title: Few failed logins of a user
id: 5d1c4c54-30a0-4f2e-8f7c-31c0b8a4d002
correlation: {type: event_count, rules: failed, group-by: [user.name], timespan: 2m, condition: {lte: 2}}
---
title: The median of the ports is high
id: 5d1c4c54-30a0-4f2e-8f7c-31c0b8a4d003
correlation: {type: value_percentile, rules: failed, group-by: [source.ip], timespan: 10m,
    condition: {field: source.port, percentile: 50, gt: 55000}}
"""


class Reader(Fleet):
    def agent_yaml(self):
        f = self.folder
        packs = pathlib.Path(__file__).resolve().parents[2] / "detectors/packs"
        return ("collector: 127.0.0.1:%d\nstate: %s/agent\nuser: %s\ncontrol: %s/agent/control\n" % (
            self.port, f, self.user, f)
            + self.identity("gateway")
            + "sources:\n  files:\n    - {paths: [%s/logs/auth.log], zone: UTC}\n" % f
            + "detectors: {packs: [%s, %s/rules]}\n" % (packs, f)
            + "shipping: {batch_delay: 200ms, reconnect_min: 200ms, reconnect_max: 1s}\n"
            + "spool: {directory: %s/agent/spool}\n" % f)

    def told(self):
        text = self.nightjar("search", "--alerts", "--json", "-c", self.folder / "collector.yaml")
        return final(text.splitlines())


def final(lines):
    """The last word on each alert: by its identity, with rule, first, last and count."""
    alerts = {}
    for line in lines:
        a = json.loads(line)
        rank = {"new": 0, "update": 1, "end": 2}[a["alert"]["state"]]
        key = (rank, a["alert"]["count"])
        if a["alert"]["id"] not in alerts or key >= alerts[a["alert"]["id"]][0]:
            alerts[a["alert"]["id"]] = (key, a["rule"]["id"], a["alert"]["first"], a["alert"]["last"], a["alert"]["count"])
    return {i: a[1:] for i, a in alerts.items() if a[4] > 0 and "-" in a[1] and len(a[1]) == 36}


def write_log(path, dice):
    """Three days, the last of them three days ago, each line up to four minutes behind its place."""
    start = int(time.time()) // 86400 * 86400 - 6 * 86400
    lines = []
    for i in range(LINES):
        at = start + i * 3 * 86400 // LINES
        who = dice.choice(["root", "anna", "bert", "pi", "admin", "oracle"])
        what = "Accepted" if dice.random() < 0.1 else "Failed"
        # Bursts: an address is busy for a while, and then gone.
        address = "192.0.2.%d" % (i // 40 % 50) if dice.random() < 0.5 else "198.51.100.%d" % dice.randrange(250)
        text = "%s gw sshd[%d]: %s password for %s from %s port %d ssh2" % (
            time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(at)), i, what, who, address,
            dice.randrange(20000, 65000))
        lines.append((at + (dice.random() * LATE_S if dice.random() < 0.3 else 0), i, text))
    path.write_text("".join(text + "\n" for _, _, text in sorted(lines)))


def main():
    folder = pathlib.Path(sys.argv[2])
    seed = int(os.environ.get("SEED", time.time_ns() % 1000000))
    print("# seed %d" % seed, flush=True)
    (folder / "logs").mkdir(parents=True)
    (folder / "rules").mkdir()
    (folder / "rules/more.yml").write_text(RULES)
    write_log(folder / "logs/auth.log", random.Random(seed))
    fleet = Reader(pathlib.Path(sys.argv[1]), folder)
    replay = subprocess.run([str(fleet.build / "cli/nightjar"), "replay", "--packs", str(folder / "rules"),
                             "--zone", "UTC", str(folder / "logs/auth.log")], stdout=subprocess.PIPE, text=True)
    want = final(replay.stdout.splitlines())
    rules = {a[0] for a in want.values()}
    held("a replay finds alerts of many rules", len(want) > 100 and len(rules) >= 6, (len(want), len(rules)))
    try:
        fleet.start("collector")
        fleet.start("agent")
        sockets.sandboxed(fleet)
        if os.environ.get("KILL"):
            wait_for(lambda: fleet.status()["pipeline"]["lines"] > LINES / 10)
            fleet.end("agent", signal.SIGKILL)
            fleet.start("agent")
        wait_for(lambda: fleet.told() == want)
        got = fleet.told()
        held("a live run over the log tells the same %d alerts" % len(want), got == want,
             {"missing": [want[i] for i in want if i not in got][:5],
              "more": [got[i] for i in got if i not in want][:5],
              "others": [(got[i], want[i]) for i in want if i in got and got[i] != want[i]][:5]})
    finally:
        fleet.end("agent")
        fleet.end("collector")
    return 1 if sockets.failures else 0


if __name__ == "__main__":
    sys.exit(main())

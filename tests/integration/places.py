#!/usr/bin/env python3
"""Lists and databases of places under a live agent in its sandbox: missing, damaged, cut short while in use, replaced; and a
replay over the same log.

  places.py BUILD FOLDER     prints one line for each thing that holds; status 1 when one does not
"""
import json
import os
import pathlib
import subprocess
import sys
import time

import sockets
from sockets import Fleet, held, wait_for

BERLIN = "192.0.2.0/24 DE 52.52 13.405 20 64500 Berlin\n"
TOKYO = "198.51.100.0/24 JP 35.6895 139.6917 20 64501 Tokyo\n"
# Somebody has put both into one town.
ONE_TOWN = BERLIN + "198.51.100.0/24 DE 52.52 13.405 20 64500 Berlin\n"
RULE = """title: An address on the list
id: 5d1c4c54-30a0-4f2e-8f7c-31c0b8a4d004
logsource: {product: linux, category: authentication}
detection: {s: {event.outcome: success, source.ip|expand: '%bad_hosts%'}, condition: s}
level: high
nightjar: {group-by: [source.ip]}
"""
TRAVEL = "Impossible travel"
HEALTH = "A list or database of the rules can't be used"


class Places(Fleet):
    def agent_yaml(self):
        f = self.folder
        packs = pathlib.Path(__file__).resolve().parents[2] / "detectors/packs"
        return ("state: %s/agent\nuser: %s\ncontrol: %s/agent/control\n" % (f, self.user, f)
                + "sources:\n  files:\n    - {paths: [%s/logs/auth.log], zone: UTC}\n" % f
                + "hooks: [{name: log, type: file, path: %s/agent/alerts}]\n" % f
                + "alerts: {cooldown: 0s}\n"
                + "detectors:\n  packs: [%s, %s/rules]\n  refresh: 1s\n" % (packs, f)
                + "  lists: [%s/refer/bad_hosts.txt]\n  geoip: [%s/refer/City.mmdb]\n" % (f, f))

    def make(self, lines):
        subprocess.run([str(self.build / "tests/make_mmdb"), "GeoLite2-City", str(self.folder / "refer/City.mmdb")],
                       input=lines, text=True, check=True)

    def replace_list(self, text):
        new = self.folder / "refer/new"
        new.write_text(text)
        os.rename(new, self.folder / "refer/bad_hosts.txt")

    def login(self, user, address):
        with open(self.folder / "logs/auth.log", "a") as log:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
            log.write("%s gw sshd[7]: Accepted publickey for %s from %s port 40001 ssh2\n" % (stamp, user, address))

    def alerts(self, title, **where):
        try:
            lines = (self.folder / "agent/alerts").read_text().splitlines()
        except FileNotFoundError:
            return []
        found = [json.loads(line) for line in lines]
        return [a for a in found if a["rule"]["name"] == title and a["alert"]["state"] == "new"
                and all(a["alert"]["group"].get(k.replace("_", ".")) == v for k, v in where.items())]

    def comes(self, title, **where):
        return wait_for(lambda: self.alerts(title, **where))

    def detectors(self):
        return self.status()["pipeline"]["detectors"]


def missing(fleet):
    health = wait_for(lambda: len(fleet.alerts(HEALTH)) == 2 and fleet.alerts(HEALTH)) or []
    held("a list and a database that are missing are an alert each",
         sorted(a["alert"]["group"]["nightjar.subject"].rsplit("/", 1)[1] for a in health)
         == ["City.mmdb", "bad_hosts.txt"], health)
    held("and the agent goes on", fleet.detectors()["geoip"]["read"] == 0, fleet.detectors())


def come(fleet):
    fleet.make(BERLIN + TOKYO)
    fleet.replace_list("# source: the test\n192.0.2.66\n300.1.2.3\n")
    held("both are read when they come, in the sandbox",
         wait_for(lambda: fleet.detectors()["geoip"]["read"] == 1 and fleet.detectors()["lists"]["read"] == 1),
         fleet.detectors())
    fleet.login("anna", "192.0.2.1")
    fleet.login("anna", "10.0.0.1")
    fleet.login("anna", "198.51.100.1")
    alert = (fleet.comes(TRAVEL, user_name="anna") or [{}])[0]
    held("impossible travel is told, with the place", alert.get("source", {}).get("geo")
         == {"country_iso_code": "JP", "location": {"lat": 35.6895, "lon": 139.6917}}, alert)
    held("and with both lines", len(alert.get("alert", {}).get("evidence", [])) >= 2, alert)
    fleet.login("mallory", "192.0.2.66")
    alert = (fleet.comes("An address on the list", source_ip="192.0.2.66") or [{}])[0]
    found = alert.get("threat", {}).get("enrichments", [{}])[0]
    held("an address on the list is told, with the list's source and age",
         found.get("feed") == {"name": "bad_hosts", "reference": "the test"} and "modified_at" in found.get("indicator", {}),
         alert)
    log = (fleet.folder / "agent.log").read_text()
    held("the wrong line of the list is named", "bad_hosts.txt:3" in log, log[-1000:])


def cut_short(fleet):
    os.truncate(fleet.folder / "refer/City.mmdb", 0)
    held("a database that is cut short is an alert", wait_for(lambda: len(fleet.alerts(HEALTH)) == 3),
         fleet.alerts(HEALTH))
    # From a network whose place is not remembered yet.
    fleet.login("bert", "192.0.2.201")
    fleet.login("bert", "198.51.100.201")
    held("and what was read before stays in use", fleet.comes(TRAVEL, user_name="bert"), fleet.alerts(TRAVEL))


def replaced(fleet):
    before = fleet.detectors()
    fleet.make(ONE_TOWN)
    fleet.replace_list("192.0.2.77\n")
    log = fleet.folder / "agent.log"
    held("a good one in its place is read", wait_for(lambda: log.read_text().count("what=\"GeoLite2-City") == 2), before)
    held("and the list as well", wait_for(lambda: log.read_text().count("1 networks, 0 texts") == 2), log.read_text()[-500:])
    fleet.login("carl", "192.0.2.1")
    fleet.login("carl", "198.51.100.1")
    fleet.login("mallory", "192.0.2.66")
    fleet.login("mallory", "192.0.2.77")
    held("what is in the new list is told", fleet.comes("An address on the list", source_ip="192.0.2.77"))
    held("and what is in it no more is not", len(fleet.alerts("An address on the list", source_ip="192.0.2.66")) == 1)
    held("in one town nobody travels", not fleet.alerts(TRAVEL, user_name="carl"), fleet.alerts(TRAVEL))


def by_reload(fleet):
    fleet.make(BERLIN + TOKYO)
    done = subprocess.run([str(fleet.build / "cli/nightjar"), "reload", "-s", str(fleet.folder / "agent/control")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    held("a reload is taken", done.returncode == 0, done.stdout)
    log = fleet.folder / "agent.log"
    held("and looks at once", wait_for(lambda: log.read_text().count("what=\"GeoLite2-City") == 3), log.read_text()[-500:])
    fleet.login("dora", "192.0.2.1")
    fleet.login("dora", "198.51.100.1")
    held("rules know of both", fleet.comes(TRAVEL, user_name="dora"))


def replay(fleet):
    done = subprocess.run([str(fleet.build / "cli/nightjar"), "replay", "--geoip", str(fleet.folder / "refer/City.mmdb"),
                           "--list", str(fleet.folder / "refer/bad_hosts.txt"), "--packs", str(fleet.folder / "rules"),
                           "--updates", str(fleet.folder / "logs/auth.log")], stdout=subprocess.PIPE, text=True)
    found = {a["alert"]["id"]: a["alert"]["group"]["user.name"] for a in map(json.loads, done.stdout.splitlines())
             if a["rule"]["name"] == TRAVEL and a["alert"]["state"] == "new"}
    live = {a["alert"]["id"]: a["alert"]["group"]["user.name"] for a in fleet.alerts(TRAVEL)}
    # Only the replay had the same database all the time.
    held("a replay tells of the same travels, by the same identities",
         {i: who for i, who in found.items() if who != "carl"} == live and sorted(live.values()) == ["anna", "bert", "dora"],
         (found, live))


def main():
    build, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    for name in ("logs", "rules", "refer"):
        (folder / name).mkdir(parents=True)
    (folder / "rules/list.yml").write_text(RULE)
    (folder / "logs/auth.log").touch()
    fleet = Places(build, folder)
    try:
        fleet.start("agent")
        sockets.sandboxed(fleet)
        missing(fleet)
        come(fleet)
        cut_short(fleet)
        replaced(fleet)
        by_reload(fleet)
        replay(fleet)
    finally:
        fleet.end("agent")
    return 1 if sockets.failures else 0


if __name__ == "__main__":
    sys.exit(main())

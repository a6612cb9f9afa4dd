#!/usr/bin/env python3
"""Syslog sockets with real senders: logger and rsyslog, real daemons in their sandboxes, SIGKILL in between.

  sockets.py BUILD FOLDER     prints one line for each thing that holds; status 1 when one does not

Every message is numbered, so the store can be held against what was sent: never twice; and each that was handed over
longer before a kill of the agent than a batch takes to reach the disk, once.
"""
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

PATIENCE = 60
BATCH_DELAY = 0.2
# What a loaded machine may take from a batch's end to the end of its sync.
SLACK = 3.0
NUMBER = re.compile(r"n=([a-z0-9-]+)/(\d+)\b")
failures = 0


def held(name, good, why=""):
    global failures
    print("%s %s%s" % ("ok" if good else "not ok", name, "" if good else ": " + str(why)), flush=True)
    failures += not good


def wait_for(what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.05)
    return what()


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Fleet:
    """One agent and one collector."""

    def __init__(self, build, folder):
        self.build, self.folder = build.resolve(), folder.resolve()
        self.port = free_port(socket.SOCK_STREAM)
        self.udp, self.tcp = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
        self.user = "nobody" if os.geteuid() == 0 else os.environ.get("USER", str(os.getuid()))
        self.agent = self.collector = None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        for name in ("agent", "collector", "store", "sockets"):
            (self.folder / name).mkdir(exist_ok=True)
        for argv in (("init",), ("collector", "localhost", "127.0.0.1"), ("device", "gateway")):
            self.nightjar("pki", argv[0], "--dir", self.folder / "pki", *argv[1:])
        (self.folder / "agent.yaml").write_text(self.agent_yaml())
        (self.folder / "collector.yaml").write_text(self.collector_yaml())
        if os.geteuid() == 0:
            for name in ("agent", "collector", "store", "pki"):
                subprocess.run(["chown", "-R", self.user, self.folder / name], check=True)

    def nightjar(self, *argv):
        return subprocess.run([str(self.build / "cli/nightjar")] + [str(a) for a in argv], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout

    def identity(self, name):
        pki = self.folder / "pki"
        return "identity: {certificate: %s/%s.crt, key: %s/%s.key, authority: %s/authority.crt}\n" % (
            pki, name, pki, name, pki)

    def agent_yaml(self):
        f = self.folder
        return ("collector: 127.0.0.1:%d\nstate: %s/agent\nuser: %s\ncontrol: %s/agent/control\n" % (
            self.port, f, self.user, f)
            + self.identity("gateway")
            + "sources:\n  files: []\n  syslog:\n"
            + "    - {type: unix, path: %s/sockets/log, rate: 0}\n" % f
            + "    - {type: unix-stream, path: %s/sockets/stream, mode: \"0660\", rate: 0}\n" % f
            + "    - {type: udp, address: \"127.0.0.1:%d\", rate: 0}\n" % self.udp
            + "    - {type: tcp, address: \"127.0.0.1:%d\", rate: 0}\n" % self.tcp
            + "    - {type: unix, path: %s/sockets/slow, rate: 10, burst: 20}\n" % f
            + "shipping: {batch_delay: 200ms, reconnect_min: 200ms, reconnect_max: 1s}\n"
            + "spool: {directory: %s/agent/spool}\n" % f)

    def collector_yaml(self):
        f = self.folder
        return ("listen: 127.0.0.1:%d\nstate: %s/collector\nuser: %s\ncontrol: %s/collector/control\n" % (
            self.port, f, self.user, f)
            + self.identity("collector") + "store: {directory: %s/store}\n" % f)

    def start(self, name):
        program = self.build / name / ("nightjar-" + name)
        with open(self.folder / (name + ".log"), "ab") as log:
            process = subprocess.Popen([str(program), "-c", str(self.folder / (name + ".yaml"))],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        setattr(self, name, process)
        if not wait_for(lambda: self.status(name) or process.poll() is not None):
            raise SystemExit("%s does not answer" % name)
        if process.poll() is not None:
            raise SystemExit("%s ended: %s" % (name, (self.folder / (name + ".log")).read_text()[-2000:]))

    def end(self, name, number=signal.SIGTERM):
        process = getattr(self, name)
        if process is not None and process.poll() is None:
            process.send_signal(number)
            process.wait(PATIENCE)
        setattr(self, name, None)

    def status(self, name="agent"):
        try:
            return json.loads(self.nightjar("status", "--json", "-s", self.folder / name / "control"))
        except (subprocess.CalledProcessError, ValueError):
            return None

    def records(self):
        text = self.nightjar("search", "--json", "-c", self.folder / "collector.yaml")
        return [json.loads(line) for line in text.splitlines()]

    def numbers(self):
        found = collections.Counter()
        for record in self.records():
            if is_line(record):
                for name, number in NUMBER.findall(record.get("message", "")):
                    found[name, int(number)] += 1
        return found


def is_line(record):
    return not {"gap", "gap_open", "open", "close"} & set(record.get("nightjar", record).get("flags", []))


def logger(*argv, **kw):
    subprocess.run(["logger"] + [str(a) for a in argv], check=True, **kw)


def every_way(fleet, label, count):
    """Numbered messages by every transport that logger knows; what was sent."""
    text = "".join("n=%%s-%s/%d and some words\n" % (label, i) for i in range(count))
    server = ["--server", "127.0.0.1", "--port"]
    ways = {
        "dgram": ["--socket", fleet.folder / "sockets/log"],
        "stream": ["--socket", fleet.folder / "sockets/stream"],
        "udp": server + [fleet.udp, "--udp"],
        "udp5424": server + [fleet.udp, "--udp", "--rfc5424"],
        "tcp": server + [fleet.tcp, "--tcp"],
        "octets": server + [fleet.tcp, "--tcp", "--octet-count"],
        "octets5424": server + [fleet.tcp, "--tcp", "--octet-count", "--rfc5424"],
    }
    for way, argv in ways.items():
        logger(*argv, "-t", "unit", input=text.replace("%s", way), text=True)
    return {(way + "-" + label, i) for way in ways for i in range(count)}


def wrong(found, sent):
    """What is not there exactly once."""
    return {"missing": sorted(sent - set(found))[:5], "doubled": [k for k, v in found.items() if v > 1][:5]} \
        if sent - set(found) or any(v > 1 for v in found.values()) else None


def delivered(fleet, sent):
    wait_for(lambda: not sent - set(fleet.numbers()))
    return wrong({k: v for k, v in fleet.numbers().items() if k in sent}, sent)


def plain(fleet):
    sent = every_way(fleet, "a", 200)
    why = delivered(fleet, sent)
    held("every message of every transport is stored once", not why, why)
    records = [r for r in fleet.records() if "n=octets5424-a/7 " in r.get("message", "")]
    good = records and records[0].get("log", {}).get("syslog", {}).get("priority") == 13 and \
        records[0].get("process", {}).get("name") == "unit"
    held("an RFC 5424 header is read", good, records)
    text = fleet.nightjar("search", "--streams", "-c", fleet.folder / "collector.yaml")
    held("a stream says who its peer is", "uid=%d" % os.getuid() in text and "peer=127.0.0.1" in text, text[:400])


def too_fast(fleet):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(str(fleet.folder / "sockets/slow"))
        for i in range(500):
            s.send(b"<13>fast: n=slow/%d" % i)
    time.sleep(2)
    gaps = lambda: sum(int(n) for r in fleet.records()
                       for n in re.findall(r"socket rate-limit lines=(\d+)", json.dumps(r)))
    there = lambda: sum(k[0] == "slow" for k in fleet.numbers())
    wait_for(lambda: gaps() + there() == 500, 20)
    held("what is over the rate is counted in gap records", gaps() + there() == 500 and gaps() > 400,
         (gaps(), there()))


def collector_away(fleet):
    """What is spooled survives SIGKILL of both ends."""
    fleet.end("collector", signal.SIGKILL)
    sent = every_way(fleet, "b", 100)
    # On disk: nothing of it fills a batch any more.
    wait_for(lambda: fleet.status()["sources"]["syslog"]["messages"] >= 500 + len(sent))
    time.sleep(BATCH_DELAY + SLACK)
    fleet.end("agent", signal.SIGKILL)
    fleet.start("collector")
    fleet.start("agent")
    why = delivered(fleet, sent)
    held("what was spooled before a SIGKILL is stored once", not why, why)


def kills(fleet, times):
    """A writer all the while, the agent killed at any moment.  A message that did not get in, or that was sent shortly
    before a kill, may be missing; none may be there twice."""
    import random
    seed = int(os.environ.get("SEED", time.time_ns() % 1000000))
    print("# seed %d" % seed, flush=True)
    dice = random.Random(seed)
    accepted, killed, number = {}, [], 0
    for _ in range(times):
        end = time.monotonic() + dice.uniform(0.5, 4)
        while time.monotonic() < end:
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                    s.connect(str(fleet.folder / "sockets/log"))
                    s.setblocking(False)
                    s.send(b"<13>killed: n=kill/%d" % number)
                    accepted["kill", number] = time.monotonic()
                    number += 1
            except OSError:
                pass
            time.sleep(0.002)
        fleet.end("agent", signal.SIGKILL)
        killed.append(time.monotonic())
        fleet.start("agent")
    last = fleet.status()
    wait_for(lambda: fleet.status()["shipping"]["lanes"]["kept"]["unacknowledged_batches"] == 0)
    time.sleep(1)
    found = {k: v for k, v in fleet.numbers().items() if k[0] == "kill"}
    doubled = [k for k, v in found.items() if v > 1]
    lost = [k for k, at in accepted.items() if k not in found
            and not any(at > end - BATCH_DELAY - SLACK and at <= end for end in killed)]
    held("%d messages, %d SIGKILLs: none is stored twice" % (number, times), not doubled, doubled[:5])
    held("none is lost that was handed over %.1f s before a kill" % (BATCH_DELAY + SLACK), not lost, (lost[:5], last))
    held("messages were stored between the kills", len(found) > number / 4, (len(found), number))


def rsyslog(fleet):
    """A real relay, to TCP with octet counting and to UDP."""
    if not shutil.which("rsyslogd") and not os.path.exists("/usr/sbin/rsyslogd"):
        print("# skipped: no rsyslogd here")
        return
    f = fleet.folder
    (f / "rsyslog").mkdir(exist_ok=True)
    (f / "rsyslog/conf").write_text("""
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="%s/rsyslog/in" CreatePath="off" RateLimit.Interval="0")
action(type="omfwd" target="127.0.0.1" port="%d" protocol="tcp" TCP_Framing="octet-counted"
       template="RSYSLOG_SyslogProtocol23Format")
action(type="omfwd" target="127.0.0.1" port="%d" protocol="udp" template="RSYSLOG_ForwardFormat")
""" % (f, fleet.tcp, fleet.udp))
    relay = subprocess.Popen([shutil.which("rsyslogd") or "/usr/sbin/rsyslogd", "-n", "-f", f / "rsyslog/conf",
                              "-i", f / "rsyslog/pid"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for((f / "rsyslog/in").exists)
        text = "".join("n=relayed/%d words\n" % i for i in range(100))
        logger("--socket", f / "rsyslog/in", "-t", "unit", input=text, text=True)
        sent = {("relayed", i) for i in range(100)}
        twice = lambda: {k: v for k, v in fleet.numbers().items() if k in sent}
        wait_for(lambda: sum(twice().values()) >= 200)
        held("what rsyslog relays by TCP and by UDP is there once each",
             set(twice()) == sent and all(v == 2 for v in twice().values()), list(twice().items())[:5])
    finally:
        relay.terminate()
        relay.wait(PATIENCE)


def sandboxed(fleet):
    status = pathlib.Path("/proc/%d/status" % fleet.agent.pid).read_text()
    held("the agent that reads sockets is filtered", re.search(r"^Seccomp:\s2", status, re.M), status)
    caps = re.search(r"^CapEff:\s(\S+)", status, re.M).group(1)
    held("and has no rights but CAP_DAC_READ_SEARCH", int(caps, 16) & ~4 == 0, caps)


def main():
    fleet = Fleet(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    try:
        fleet.start("collector")
        fleet.start("agent")
        sandboxed(fleet)
        plain(fleet)
        too_fast(fleet)
        rsyslog(fleet)
        collector_away(fleet)
        kills(fleet, int(os.environ.get("KILLS", 5)))
        fleet.end("agent")
    finally:
        fleet.end("agent")
        fleet.end("collector")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

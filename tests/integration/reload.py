#!/usr/bin/env python3
"""A changed configuration in running daemons, in their sandboxes: hooks, commands, sockets, watched files, collectors.

  reload.py BUILD FOLDER     prints one line for each thing that holds; status 1 when one does not
"""
import os
import pathlib
import socket
import subprocess
import sys
import threading

import sockets
from sockets import Fleet, held, wait_for

KEEPER = """#!/bin/sh
# Numbers, until it is told to end; then how many there were is in a file.
n=0
trap 'echo $n >%(said)s/keep; exit 0' TERM
while :; do
	echo "Nov 22 15:00:00 gw unit[1]: n=keep/$n and some words"
	n=$((n + 1))
	sleep 0.02
done
"""
ENDER = """#!/bin/sh
# One line, and an end that is an alert.
echo "Nov 22 15:00:00 gw unit[1]: n=$1/0 and some words"
exit 3
"""
HOOK = """#!/bin/sh
cat >>%(said)s/$1
echo >>%(said)s/$1
"""


class Changing(Fleet):
    hooks = commands = syslog = "[]"
    watch = "[]"
    collectors = ""
    more = ""
    collector_more = ""

    def agent_yaml(self):
        f = self.folder
        return ("collector: %s\nstate: %s/agent\nuser: %s\ncontrol: %s/agent/control\n" % (
            self.collectors or "127.0.0.1:%d" % self.port, f, self.user, f)
            + self.identity("gateway")
            + "sources:\n  files: []\n  commands: %s\n  syslog: %s\n" % (self.commands, self.syslog)
            + "watch: {paths: %s, poll: 300ms}\nhooks: %s\n" % (self.watch, self.hooks)
            + "shipping: {batch_delay: 100ms, reconnect_min: 200ms, reconnect_max: 1s}\n"
            + "spool: {directory: %s/agent/spool}\n" % f + self.more)

    def collector_yaml(self):
        return Fleet.collector_yaml(self) + self.collector_more

    def reload(self, name="agent"):
        yaml = self.agent_yaml() if name == "agent" else self.collector_yaml()
        (self.folder / (name + ".yaml")).write_text(yaml)
        return self.ask(name)

    def ask(self, name="agent"):
        done = subprocess.run([str(self.build / "cli/nightjar"), "reload", "-s", str(self.folder / name / "control")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode == 0, done.stdout

    def said(self, name):
        try:
            return (self.folder / "said" / name).read_text()
        except FileNotFoundError:
            return ""

    def exec_hook(self, name):
        return "{name: %s, type: exec, command: [%s/hook, %s]}" % (name, self.folder, name)

    def keeper(self):
        return "{command: [%s/keeper], label: keep}" % self.folder

    def ender(self, name):
        return "{command: [%s/ender, %s], label: %s, restart_min: 1h, restart_max: 1h}" % (self.folder, name, name)

    def stream(self, name, more=""):
        return "{type: unix-stream, path: %s/agent/%s, rate: 0%s}" % (self.folder, name, more)

    def connects(self):
        return self.status()["shipping"]["connection"]["connects"]

    def there(self, name, number):
        return wait_for(lambda: (name, number) in self.numbers(), 30)


def dial(fleet, name):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(str(fleet.folder / "agent" / name))
    return s


def forward(port):
    """The same collector at another port."""
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve():
        while True:
            near = listening.accept()[0]
            far = socket.create_connection(("127.0.0.1", port))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, daemon=True).start()
    return listening.getsockname()[1]


def has(text, *parts):
    return all(part in text for part in parts)


def running(fleet, program):
    """Of the agent's grandchildren, those that run this program."""
    pids = subprocess.run(["ps", "-eo", "pid=,args="], stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [int(line.split()[0]) for line in pids if "%s/%s" % (fleet.folder, program) in line and "sh" in line]


def begin(fleet):
    fleet.hooks = "[%s]" % fleet.exec_hook("one")
    fleet.commands = "[%s]" % fleet.keeper()
    fleet.syslog = "[%s]" % fleet.stream("first")
    fleet.watch = "[%s/watched/*]" % fleet.folder
    (fleet.folder / "agent.yaml").write_text(fleet.agent_yaml())
    fleet.start("collector")
    fleet.start("agent")
    held("a command runs", fleet.there("keep", 0), fleet.status())


def added(fleet):
    """What is new begins, what was there goes on."""
    pid, keeper, connects = fleet.agent.pid, running(fleet, "keeper"), fleet.connects()
    with dial(fleet, "first") as first:
        first.send(b"<13>unit: n=first/0\n<13>unit: n=fir")
        fleet.there("first", 0)
        fleet.hooks = "[%s, %s, {name: log, type: file, path: %s/agent/alerts}]" % (
            fleet.exec_hook("two"), fleet.exec_hook("one"), fleet.folder)
        fleet.commands = "[%s, %s]" % (fleet.ender("ender"), fleet.keeper())
        fleet.syslog = "[%s, %s]" % (fleet.stream("second"), fleet.stream("first"))
        fleet.watch = "[%s/other/*]" % fleet.folder
        fleet.collectors = "[127.0.0.1:1, 127.0.0.1:%d]" % fleet.port
        good, text = fleet.reload()
        held("a reload says of each section what it took up",
             good and has(text, "hooks: 1 kept, 2 added", "sources.commands: 1 kept, 1 added",
                          "sources.syslog: 1 kept, 1 added", "watch.paths: changed", "collector: changed"), text)
        first.send(b"st/1\n")
        with dial(fleet, "second") as second:
            second.send(b"<13>unit: n=second/0\n")
            held("a socket that is new is read, and a connection that was open before goes on",
                 fleet.there("second", 0) and fleet.there("first", 1), fleet.numbers())
    held("a command that is new runs", fleet.there("ender", 0), fleet.status())
    held("and one that stays is the same process",
         keeper and running(fleet, "keeper") == keeper, (keeper, running(fleet, "keeper")))
    held("its end reaches the hooks that are new and the one that stays",
         wait_for(lambda: all("ender" in fleet.said(h) for h in ("one", "two")), 20) and
         "ender" in (fleet.folder / "agent/alerts").read_text(), (fleet.said("one"), fleet.said("two")))
    # The first scan with the other patterns takes what is there as it is.
    scans = fleet.status()["sources"]["watch"]["scans"]
    wait_for(lambda: fleet.status()["sources"]["watch"]["scans"] > scans + 1)
    (fleet.folder / "other/b").write_text("two")
    told = 'modified path="%s/other/b"' % fleet.folder
    held("files of other patterns are watched",
         wait_for(lambda: any(told in r.get("message", "") for r in fleet.records()), 20), "")
    held("nothing was started or connected anew",
         fleet.agent.pid == pid and fleet.agent.poll() is None and fleet.connects() == connects, fleet.status())
    good, text = fleet.ask()
    held("without a change there is nothing to take up", good and "nothing to take up" in text, text)


def refused(fleet):
    """What can't be used changes nothing, and why is said."""
    hooks, keeper = fleet.hooks, running(fleet, "keeper")
    fleet.hooks = "[{name: bad, type: exec, command: [%s/nothing-there]}]" % fleet.folder
    fleet.commands = "[]"
    good, text = fleet.reload()
    held("a hook whose program is not there refuses the reload",
         not good and has(text, "hooks: bad:", "nothing-there", "everything is as it was"), text)
    fleet.hooks = hooks
    fleet.commands = "[{command: [%s/loose]}]" % fleet.folder
    good, text = fleet.reload()
    held("so does a command that others can write to", not good and "can be written by others" in text, text)
    fleet.commands = "[%s, %s]" % (fleet.ender("ender"), fleet.keeper())
    syslog = fleet.syslog
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        fleet.syslog = "[{type: tcp, address: \"127.0.0.1:%d\"}]" % s.getsockname()[1]
        good, text = fleet.reload()
    held("and an address at which another program listens",
         not good and "another program listens there" in text, text)
    fleet.syslog = syslog
    fleet.hooks = "[%s]" % fleet.exec_hook("three")
    (fleet.folder / "agent.yaml").write_text(fleet.agent_yaml())
    (fleet.folder / "agent.yaml").chmod(0o666)
    good, text = fleet.ask()
    held("no program is taken from a configuration that others can write to",
         not good and has(text, "agent.yaml", "can be written by others"), text)
    (fleet.folder / "agent.yaml").chmod(0o644)
    fleet.hooks = hooks
    good, text = fleet.reload()
    held("after all of that everything is as it was",
         good and "nothing to take up" in text and running(fleet, "keeper") == keeper, text)
    with dial(fleet, "first") as s:
        s.send(b"<13>unit: n=first/2\n")
        held("and goes on", fleet.there("first", 2), fleet.status())


def needs_restart(fleet):
    hooks, syslog = fleet.hooks, fleet.syslog
    fleet.hooks = hooks[:-1] + ", {name: far, type: file, path: /var/nowhere/alerts}]"
    fleet.syslog = syslog[:-1] + ", {type: unix, path: %s/sockets/log}]" % fleet.folder
    fleet.watch = "[%s/other/*, /var/nowhere/*]" % fleet.folder
    good, text = fleet.reload()
    held("what the sandbox does not allow is named with why, and the rest is taken",
         good and has(text, "far: /var/nowhere/alerts lies outside of what the sandbox was closed for",
                      "sockets/log needs rights that the running agent has given up",
                      "/var/nowhere/* lies outside"), text)
    fleet.hooks, fleet.syslog = hooks, syslog
    fleet.watch = "[%s/other/*]" % fleet.folder
    fleet.reload()


def gone(fleet):
    """What is not named any more ends, when what it had is taken."""
    keeper = running(fleet, "keeper")
    with dial(fleet, "second") as second:
        second.send(b"<13>unit: n=second/1\n<13>unit: n=second/2")
        fleet.hooks = "[%s]" % fleet.exec_hook("two")
        fleet.commands = "[%s]" % fleet.ender("again")
        fleet.syslog = "[%s]" % fleet.stream("first", ", label: other")
        good, text = fleet.reload()
        held("what is gone is told in the answer",
             good and has(text, "hooks: 1 kept, 2 gone", "sources.commands: 1 added, 2 gone",
                          "sources.syslog: 1 changed, 1 gone"), text)
        second.settimeout(20)
        held("its connections are closed", second.recv(1) == b"", "")
    held("its programs end", wait_for(lambda: not any(pathlib.Path("/proc/%d" % p).exists() for p in keeper), 20)
         and keeper, keeper)
    count = int(wait_for(lambda: fleet.said("keep"), 20))
    sent = {("keep", i) for i in range(count)} | {("first", i) for i in range(3)} | {("second", i) for i in range(3)}
    why = sockets.delivered(fleet, sent)
    held("and every line of it is stored once", not why, why)
    one = fleet.said("one")
    held("alerts go to the hook that stays and to no other",
         wait_for(lambda: "again" in fleet.said("two"), 20) and fleet.said("one") == one, fleet.said("two"))


def other_collector(fleet):
    """The one that is connected is not named any more."""
    connects, port = fleet.connects(), forward(fleet.port)
    fleet.collectors = "127.0.0.1:%d" % port
    good, text = fleet.reload()
    held("an agent goes to the collector that is named instead",
         good and wait_for(lambda: fleet.connects() > connects and
                           fleet.status()["shipping"]["connection"]["port"] == port, 20), text)
    with dial(fleet, "first") as s:
        s.send(b"<13>unit: n=first/3\n")
    held("and nothing is lost or doubled", not sockets.delivered(fleet, {("first", 3)}), "")


def collector(fleet):
    connects = fleet.connects()
    fleet.collector_more = "limits: {devices: 7, per_address: 9}\nlog_level: debug\nhooks:\n  - %s\n  - %s\n" % (
        fleet.exec_hook("fleet-one"), fleet.exec_hook("fleet-two"))
    good, text = fleet.reload("collector")
    held("a collector takes up hooks and limits",
         good and has(text, "hooks: 1 kept, 1 added", "limits.devices: changed", "limits.per_address: changed"), text)
    fleet.commands = "[%s]" % fleet.ender("third")
    fleet.reload()
    held("and its new hook gets a device's alert",
         wait_for(lambda: "third" in fleet.said("fleet-two"), 20), fleet.said("fleet-two"))
    certificate = fleet.folder / "pki/collector.crt"
    good_one = certificate.read_text()
    certificate.write_text("nothing of the kind")
    fleet.collector_more = ""
    good, text = fleet.reload("collector")
    held("one that finds its certificate damaged changes nothing and says why",
         not good and has(text, "identity: ", "collector.crt", "everything is as it was"), text)
    certificate.write_text(good_one)
    good, text = fleet.reload("collector")
    held("and takes up the rest once it is put right",
         good and has(text, "limits.devices: changed", "hooks: 2 gone"), text)
    held("no device was disconnected by any of it", fleet.connects() == connects, (connects, fleet.status()))


def main():
    build, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    Changing.collector_more = "hooks: [{name: fleet-one, type: exec, command: [%s/hook, fleet-one]}]\n" % (
        folder.resolve())
    fleet = Changing(build, folder)
    folder = fleet.folder
    for name in ("watched", "other", "said"):
        (folder / name).mkdir()
    (folder / "said").chmod(0o1777)
    (folder / "watched/a").write_text("one")
    (folder / "other/b").write_text("one")
    for name, text in (("keeper", KEEPER), ("ender", ENDER), ("hook", HOOK), ("loose", ENDER)):
        (folder / name).write_text(text % {"said": folder / "said"} if "%" in text else text)
        (folder / name).chmod(0o777 if name == "loose" else 0o755)
    try:
        for part in (begin, added, refused, needs_restart, gone, other_collector, collector):
            part(fleet)
    finally:
        fleet.end("agent")
        fleet.end("collector")
    if sockets.failures:
        for name in ("agent", "collector"):
            print((folder / (name + ".log")).read_text()[-3000:], file=sys.stderr)
    return 1 if sockets.failures else 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())

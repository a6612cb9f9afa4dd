#!/usr/bin/env python3
"""Commands, the kernel's log, watched files and reload: real daemons in their sandboxes, SIGKILL in between.

  sources.py BUILD FOLDER     prints one line for each thing that holds; status 1 when one does not
"""
import os
import pathlib
import signal
import subprocess
import sys
import time

import sockets
from sockets import Fleet, held, wait_for

COUNTER = """#!/bin/sh
# Fifty numbers in each run, then it ends; what it has said is in a file.
n=$(cat %(state)s 2>/dev/null || echo 0)
end=$((n + 50))
echo "password=hunter2 run from $n" >&2
while [ $n -lt $end ] && [ $n -lt %(count)d ]; do
	echo "Nov 22 15:00:00 gw unit[1]: n=cmd/$n and some words"
	n=$((n + 1))
done
echo $n >%(state)s
[ $n -lt %(count)d ] || exec sleep 600
exit 3
"""
COUNT = 300


def kernel_log():
    try:
        with open("/dev/kmsg", "rb", buffering=0):
            pass
        return os.geteuid() == 0
    except OSError:
        return False


class Sources(Fleet):
    files = "[]"
    more = ""

    def agent_yaml(self):
        f = self.folder
        return ("collector: 127.0.0.1:%d\nstate: %s/agent\nuser: %s\ncontrol: %s/agent/control\n" % (
            self.port, f, self.user, f)
            + self.identity("gateway")
            + "sources:\n  files: %s\n  kernel: %s\n" % (self.files, "true" if kernel_log() else "false")
            + "  commands:\n    - {command: [%s/counter], label: counter, restart_min: 100ms, restart_max: 200ms}\n" % f
            + "watch:\n  paths: [%s/watched/*]\n  poll: 500ms\n" % f
            + "shipping: {batch_delay: 200ms, reconnect_min: 200ms, reconnect_max: 1s}\n"
            + "spool: {directory: %s/agent/spool}\n" % f + self.more)

    def write(self):
        (self.folder / "agent.yaml").write_text(self.agent_yaml())

    def messages(self, part):
        return [r["message"] for r in self.records() if sockets.is_line(r) and part in r.get("message", "")]

    def agent_log(self):
        return (self.folder / "agent.log").read_text()

    def reload(self):
        return subprocess.run([str(self.build / "cli/nightjar"), "reload", "-s", str(self.folder / "agent/control")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def commands(fleet):
    sent = {("cmd", i) for i in range(COUNT)}
    why = sockets.delivered(fleet, sent)
    held("every line of a command that ends and is started again is stored once", not why, why)
    log = fleet.agent_log()
    held("its end is told", "ended with exit status 3" in log and fleet.status()["pipeline"]["alerts"] > 0,
         fleet.status()["pipeline"])
    held("what it says on standard error is logged without its secrets",
         "says on standard error" in log and "hunter2" not in log, log[-500:])
    children = subprocess.run(["pgrep", "-f", str(fleet.folder / "counter")], stdout=subprocess.PIPE, text=True).stdout
    sleeping = subprocess.run(["ps", "-o", "pid=", "--ppid", runner_of(fleet)], stdout=subprocess.PIPE,
                              text=True).stdout.split()
    fleet.end("agent")
    gone = wait_for(lambda: not any(pathlib.Path("/proc", p).exists() for p in sleeping), 10)
    held("it ends with the agent", sleeping and gone, (children, sleeping))
    fleet.start("agent")


def runner_of(fleet):
    pids = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(fleet.agent.pid)], stdout=subprocess.PIPE,
                          text=True).stdout.splitlines()
    return next(line.split()[0] for line in pids if "--runner" in line)


def watched(fleet):
    folder = fleet.folder / "watched"

    def told(word, name, times=1):
        part = '%s path="%s/%s"' % (word, folder, name)
        wait_for(lambda: len(fleet.messages(part)) >= times, 20)
        return fleet.messages(part)

    (folder / "a").write_text("two")
    found = told("modified", "a")
    held("a change of a watched file is told once, with its hash before and after",
         len(found) == 1 and
         "sha256=3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3 was " in found[0] and
         found[0].endswith("sha256=7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"), found)
    record = next(r for r in fleet.records() if r.get("message") in found)
    held("it is an event about a file", record.get("file", {}).get("path") == str(folder / "a") and
         record["event"]["category"] == "file", record)
    fleet.end("agent")
    (folder / "b").write_text("one")
    fleet.start("agent")
    held("one that was made while no agent ran is told", len(told("created", "b")) == 1, told("created", "b"))
    fleet.end("agent", signal.SIGKILL)
    (folder / "a").unlink()
    fleet.start("agent")
    held("and one that was deleted behind a killed one's back", len(told("deleted", "a")) >= 1, "")


def kernel(fleet):
    if not kernel_log():
        print("skip the kernel's log: /dev/kmsg cannot be opened here", flush=True)
        return
    label = "kmsg%d" % os.getpid()

    def say(numbers):
        for i in numbers:
            # Each through an opening of its own: the kernel limits how much one may say.
            with open("/dev/kmsg", "wb", buffering=0) as f:
                f.write(b"nightjar-check: n=%s/%d and some words\n" % (label.encode(), i))

    say(range(20))
    wait_for(lambda: sum(name == label for name, _ in fleet.numbers()) >= 10)
    fleet.end("agent", signal.SIGKILL)
    say(range(20, 40))
    fleet.start("agent")
    say(range(40, 50))
    why = sockets.delivered(fleet, {(label, i) for i in range(50)})
    held("every record of the kernel's log is stored once, through a kill", not why, why)


def reload(fleet):
    fleet.files = "[{paths: [%s/logs/*.log]}]" % fleet.folder
    fleet.more = "redact: {keys: [door]}\nlog_level: debug\n"
    fleet.write()
    (fleet.folder / "logs/x.log").write_text("Nov 22 15:00:00 gw unit[1]: n=new/1 door=1234\n")
    pid, done = fleet.agent.pid, fleet.reload()
    held("a reload is taken", done.returncode == 0 and "reloaded" in done.stdout, done.stdout)
    found = wait_for(lambda: fleet.messages("n=new/1 "), 20)
    held("a file that it names is read, and a key that it names is masked",
         bool(found) and "1234" not in found[0], (found, fleet.agent_log()[-800:]))
    fleet.more = "redact: {keyz: [door]}\n"
    fleet.write()
    done = fleet.reload()
    held("a bad one is refused with file, line and column, and changes nothing",
         done.returncode == 1 and "agent.yaml:" in done.stdout and "keyz" in done.stdout and
         fleet.agent.pid == pid and fleet.agent.poll() is None, done.stdout)
    fleet.more = "sandbox: false\n"
    fleet.files = "[{paths: [/nowhere/*.log]}]"
    fleet.write()
    done = fleet.reload()
    held("what needs a restart is named, and what lies outside of the sandbox",
         done.returncode == 0 and "sandbox: takes effect after a restart" in done.stdout and
         "/nowhere/*.log lies outside" in done.stdout, done.stdout)
    with open(fleet.folder / "logs/x.log", "a") as f:
        f.write("Nov 22 15:00:00 gw unit[1]: n=new/2 late\n")
    fleet.files, fleet.more = "[{paths: [%s/logs/*.log]}]" % fleet.folder, ""
    fleet.write()
    os.kill(pid, signal.SIGHUP)
    why = sockets.delivered(fleet, {("new", 1), ("new", 2)})
    collector = fleet.folder / "collector.yaml"
    collector.write_text(collector.read_text() + "limits: {devices: 7}\noutput: {file: %s/store/out}\n" % fleet.folder)
    done = subprocess.run([str(fleet.build / "cli/nightjar"), "reload", "-s", str(fleet.folder / "collector/control")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    held("a collector reloads and names what needs a restart",
         done.returncode == 0 and "output.file: takes effect after a restart" in done.stdout and
         "limits.devices: changed" in done.stdout, done.stdout)
    held("SIGHUP does the same, and a file that is named again is read on", not why, why)


def main():
    build, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    fleet = Sources(build, folder)
    folder = fleet.folder
    for name in ("watched", "logs", "said"):
        (folder / name).mkdir()
    (folder / "watched/a").write_text("one")
    (folder / "logs/x.log").write_text("")
    (folder / "said").chmod(0o1777)
    (folder / "counter").write_text(COUNTER % {"state": folder / "said/n", "count": COUNT})
    (folder / "counter").chmod(0o755)
    # The sandbox is closed with the folder of the logs, so that a reload may name it.
    fleet.files = "[{paths: [%s/logs/none.log]}]" % folder
    fleet.write()
    fleet.start("collector")
    fleet.start("agent")
    time.sleep(1)
    try:
        for part in (commands, watched, kernel, reload):
            part(fleet)
    finally:
        fleet.end("agent")
        fleet.end("collector")
    if sockets.failures:
        print(fleet.agent_log()[-2000:], file=sys.stderr)
    return 1 if sockets.failures else 0


sys.exit(main())

#!/usr/bin/env python3
"""The journal, with a real systemd-journald in a mount name space of its own: rotation, user journals, SIGKILL of the agent,
files vacuumed before they were read, and damaged ones.

  journal.py BUILD FOLDER     prints one line for each thing that holds; status 1 when one does not, 77 when it can't run

Messages are numbered and logged through journald's own sockets; the store must hold each once, and what was vacuumed or
damaged must be told by gap records whose counts add up.
"""
import glob
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import sockets
from sockets import Fleet, held, logger, wait_for

JOURNALD = "/lib/systemd/systemd-journald"
LOG = "/run/systemd/journal/dev-log"


class JournalFleet(Fleet):
    def __init__(self, build, folder):
        self.fields = "[_SYSTEMD_UNIT, _UID, _COMM, _TRANSPORT]"
        super().__init__(build, folder)

    def agent_yaml(self):
        f = self.folder
        return ("collector: 127.0.0.1:%d\nstate: %s/agent\nuser: %s\ncontrol: %s/agent/control\n" % (
            self.port, f, self.user, f)
            + self.identity("gateway")
            + "sources:\n  files: []\n  journal: [{fields: %s}]\n" % self.fields
            + "shipping: {batch_delay: 200ms, reconnect_min: 200ms, reconnect_max: 1s}\n"
            + "spool: {directory: %s/agent/spool}\n" % f)

    def gaps(self):
        """(entries, reason) of each gap of the journal."""
        out = []
        for record in self.records():
            found = re.search(r"(journal-[a-z]+) entries=(\d+)", json.dumps(record))
            if found:
                out.append((int(found.group(2)), found.group(1)))
        return out


class Journald:
    def __init__(self, folder):
        self.folder = folder
        for path, argv in (("/run", ["mount", "-t", "tmpfs", "run", "/run"]),
                           ("/var/log", ["mount", "--bind", str(folder), "/var/log"])):
            subprocess.run(argv, check=True)
        # A journald of systemd 257 ends at once where no control group file system is mounted.
        if not os.listdir("/sys/fs/cgroup"):
            subprocess.run(["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"], check=True)
        machine = pathlib.Path("/etc/machine-id").read_text().strip()
        self.journal = pathlib.Path("/var/log/journal") / machine
        self.journal.mkdir(parents=True)
        for path in ("/run/systemd/journal", "/run/udev", "/run/log/journal", "/run/systemd/journald.conf.d"):
            os.makedirs(path)
        pathlib.Path("/run/systemd/journal/flushed").touch()
        pathlib.Path("/run/systemd/journald.conf.d/test.conf").write_text(
            "[Journal]\nStorage=persistent\nReadKMsg=no\nAudit=no\nRateLimitBurst=0\nForwardToSyslog=no\nSplitMode=uid\n")
        self.start()

    def start(self):
        self.process = subprocess.Popen([JOURNALD], stdin=subprocess.DEVNULL)
        ready = lambda: os.path.exists(LOG) and (self.journal / "system.journal").exists()
        wait_for(lambda: ready() or self.process.poll() is not None)
        if self.process.poll() is not None or not ready():
            sys.exit("systemd-journald does not run here: status %s" % self.process.poll())

    def archived(self):
        return set(glob.glob(str(self.journal / "*@*")))

    def rotate(self):
        before = self.archived()
        self.process.send_signal(signal.SIGUSR2)
        wait_for(lambda: self.archived() - before)
        time.sleep(0.2)
        return self.archived() - before

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def count(self, path=None):
        out = subprocess.run(["journalctl", "--no-pager", "-q", "-o", "cat"]
                             + (["--file", path] if path else ["-D", str(self.journal)]),
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
        return out.count(b"\n")


def write(name, numbers, user=None):
    text = "".join("n=%s/%d some words\n" % (name, i) for i in numbers)
    argv = ["logger", "--socket", LOG, "-t", "unit"]
    if user is not None:
        argv = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"] + argv
    subprocess.run(argv, input=text, text=True, check=True)
    # journald has them when the last is there.
    last = b"n=%s/%d " % (name.encode(), numbers[-1])
    there = lambda: last in subprocess.run(["journalctl", "--no-pager", "-q", "-o", "cat", "-n", "400", "-D", "/var/log/journal"],
                                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
    wait_for(there)
    return {(name, i) for i in numbers}


def wrong(fleet, sent, patience=40):
    wait_for(lambda: not sent - set(fleet.numbers()), patience)
    return sockets.wrong({k: v for k, v in fleet.numbers().items() if k in sent}, sent)


def fields(fleet):
    logger("--socket", LOG, "-t", "sshd", "-p", "auth.info",
           "Failed password for root from 203.0.113.9 port 4022 ssh2")
    find = lambda: [r for r in fleet.records() if "203.0.113.9" in json.dumps(r)]
    record = (wait_for(find) or [{}])[0]
    held("an entry is understood as its line in a file would be",
         record.get("event", {}).get("outcome") == "failure" and record.get("source", {}).get("ip") == "203.0.113.9"
         and record.get("process", {}).get("name") == "sshd", record)
    subprocess.run(["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "logger", "--socket", LOG, "-t", "sshd",
                    "-p", "auth.info", "Failed password for root from 203.0.113.77 port 4022 ssh2"], check=True)
    forged = (wait_for(lambda: [r for r in fleet.records() if "203.0.113.77" in json.dumps(r)]) or [{}])[0]
    held("what a user says in sshd's name is kept and is no login",
         forged.get("event", {}).get("action") == "unproved_sender" and "source" not in forged
         and forged.get("process", {}).get("user", {}).get("id") == "1000" and "outcome" not in forged.get("event", {}), forged)
    held("its fields are kept", record.get("log", {}).get("syslog", {}).get("structured_data", {})
         .get("journal@32473", {}).get("_UID") == "0", record)


def kills(fleet, journald):
    """Two writers, one of them a user's with a journal of its own; rotations and SIGKILLs."""
    seed = int(os.environ.get("SEED", time.time_ns() % 1000000))
    print("# seed %d" % seed, flush=True)
    dice = random.Random(seed)
    sent, n = set(), 0
    for _ in range(int(os.environ.get("KILLS", 5))):
        for _ in range(dice.randint(2, 6)):
            more = dice.randint(1, 120)
            sent |= write("kill", range(n, n + more), dice.choice([None, 1000]))
            n += more
            if dice.random() < 0.4:
                journald.rotate()
            time.sleep(dice.uniform(0, 0.4))
        fleet.end("agent", signal.SIGKILL)
        if dice.random() < 0.5:
            fleet.end("collector", signal.SIGKILL)
            fleet.start("collector")
        if dice.random() < 0.6:
            sent |= write("kill", range(n, n + 50), 1000)
            n += 50
            journald.rotate()
        fleet.start("agent")
    why = wrong(fleet, sent)
    held("%d entries in rotated journals of two users, SIGKILLs in between: each is stored once" % n, not why, why)
    held("and nothing is called lost", not fleet.gaps(), fleet.gaps())


def vacuumed(fleet, journald):
    wait_for(lambda: fleet.status()["sources"]["journal"]["behind"] == 0)
    time.sleep(1)
    fleet.end("agent")
    kept = write("vacuum-a", range(50))
    journald.rotate()
    gone = write("vacuum-b", range(60)) | write("vacuum-c", range(40), 1000)
    files = journald.rotate()
    # Each archived file with its own entries, by journalctl.
    lost = sum(journald.count(path) for path in files)
    kept |= write("vacuum-d", range(50)) | write("vacuum-e", range(20), 1000)
    for path in files:
        os.unlink(path)
    fleet.start("agent")
    why = wrong(fleet, kept)
    held("what is left after a vacuum is read", not why, why)
    told = lambda: sum(n for n, reason in fleet.gaps() if reason == "journal-vacuumed")
    wait_for(lambda: told() >= lost, 20)
    held("what was vacuumed unread is told with its exact count", told() == lost and lost >= len(gone),
         (told(), lost, fleet.gaps()))
    held("and none of it is there", not gone & set(fleet.numbers()))


def damaged(fleet, journald):
    wait_for(lambda: fleet.status()["sources"]["journal"]["behind"] == 0)
    time.sleep(1)
    fleet.end("agent")
    sent = write("damage", range(400))
    path = sorted(p for p in journald.rotate() if "/system@" in p)[0]
    after = write("damage-after", range(50))
    with open(path, "r+b") as f:
        # In the middle of the entries, and single bits further on.
        at = f.read().index(b"n=damage/150 ")
        f.seek(at)
        f.write(b"\0" * 8192)
        dice = random.Random(7)
        for _ in range(10):
            f.seek(at + 8192 + dice.randrange(30000))
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 1 << dice.randrange(8)]))
    before = sum(n for n, _ in fleet.gaps())
    fleet.start("agent")
    why = wrong(fleet, after)
    held("what is behind a damaged file is read", not why, why)
    wait_for(lambda: fleet.status()["sources"]["journal"]["behind"] == 0, 20)
    time.sleep(2)
    there = sent & set(fleet.numbers())
    told = sum(n for n, _ in fleet.gaps()) - before
    held("of the damaged file what can be read is there (%d of 400)" % len(there), 0 < len(there) < 400, len(there))
    # The entry whose very text was overwritten is given by libsystemd, with what stands there now.
    held("what can't be read is told (%d)" % told, told >= 400 - len(there) - 1, (told, len(there)))
    held("and the file is named in the log", os.path.basename(path) in (fleet.folder / "agent.log").read_text())


def cut_off(fleet, journald):
    """A file that is truncated while the agent has it mapped: the kernel answers with SIGBUS."""
    wait_for(lambda: fleet.status()["sources"]["journal"]["behind"] == 0)
    before = sum(n for n, _ in fleet.gaps())
    fleet.agent.send_signal(signal.SIGSTOP)
    sent = write("cut", range(400))
    path = sorted(p for p in journald.rotate() if "/system@" in p)[0]
    after = write("cut-after", range(50))
    os.truncate(path, pathlib.Path(path).read_bytes().index(b"n=cut/100 ") & ~4095)
    fleet.agent.send_signal(signal.SIGCONT)
    why = wrong(fleet, after)
    held("what comes after a file that was cut off is read", not why, why)
    held("by the same process", fleet.agent.poll() is None, fleet.agent.poll())
    there = sent & set(fleet.numbers())
    told = sum(n for n, _ in fleet.gaps()) - before
    held("of the file that was cut off what is missing is told (%d and %d of 400)" % (len(there), told),
         len(there) + told >= 400 > len(there), (len(there), told))


def broken_header(fleet, journald):
    """A file nobody can open does not keep the others from being read."""
    fleet.end("agent")
    (journald.journal / "system@broken.journal").write_bytes(b"no journal at all" * 100)
    sent = write("broken", range(20))
    fleet.start("agent")
    why = wrong(fleet, sent)
    held("a file that is no journal is passed over", not why, why)
    held("and named", "system@broken.journal" in (fleet.folder / "agent.log").read_text())


def main():
    if os.geteuid() != 0 or not os.path.exists(JOURNALD) or not shutil.which("journalctl"):
        print("needs root and systemd-journald")
        return 77
    if "NIGHTJAR_INSIDE" not in os.environ:
        os.environ["NIGHTJAR_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable] + sys.argv)
    folder = pathlib.Path(sys.argv[2])
    (folder / "log").mkdir(parents=True)
    fleet = JournalFleet(pathlib.Path(sys.argv[1]), folder)
    journald = Journald(folder.resolve() / "log")
    try:
        sent = write("before", range(100))
        fleet.start("collector")
        fleet.start("agent")
        sockets.sandboxed(fleet)
        why = wrong(fleet, sent)
        held("entries from before the first start are read", not why, why)
        fields(fleet)
        kills(fleet, journald)
        vacuumed(fleet, journald)
        damaged(fleet, journald)
        cut_off(fleet, journald)
        broken_header(fleet, journald)
        fleet.end("agent")
    finally:
        fleet.end("agent")
        fleet.end("collector")
        journald.stop()
    return 1 if sockets.failures else 0


if __name__ == "__main__":
    sys.exit(main())

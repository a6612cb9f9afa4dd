"""The place of a crash test: two network name spaces with a link between them, an agent and a collector as they
are shipped, writers that log, and the files they log to."""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import signal
import subprocess
import time

NEAR, FAR, PORT = "10.77.0.1", "10.77.0.2", 7514
FILE_SYSTEM = 512 << 20  # what the daemons' file systems hold when they are not made full


def call(*argv, check=True):
    return subprocess.run([str(a) for a in argv], check=check, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def make_network():
    """This side is the agent's; the collector lives in the name space `far`."""
    call("mount", "-t", "tmpfs", "run", "/run")
    os.mkdir("/run/netns")
    call("ip", "netns", "add", "far")
    call("ip", "link", "set", "lo", "up")
    call("ip", "link", "add", "near0", "type", "veth", "peer", "name", "far0", "netns", "far")
    call("ip", "addr", "add", NEAR + "/24", "dev", "near0")
    call("ip", "-n", "far", "addr", "add", FAR + "/24", "dev", "far0")
    call("ip", "-n", "far", "link", "set", "lo", "up")
    for side in ("near", "far"):
        set_link(side, True)


def set_link(side, up):
    space = ["-n", "far"] if side == "far" else []
    call("ip", *space, "link", "set", side + "0", "up" if up else "down")


class Daemon:
    """One end: started, killed, stopped and continued; an end of its own accord is held against it."""

    def __init__(self, name, argv, log):
        self.name, self.argv, self.log = name, [str(a) for a in argv], log
        self.process, self.frozen = None, False
        self.starts, self.exits = 0, []

    def start(self):
        if self.alive():
            return
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.frozen = False
        self.starts += 1

    def alive(self):
        """Also finds out what ended by itself."""
        if self.process is None:
            return False
        status = self.process.poll()
        if status is None:
            return True
        self.exits.append(status)
        self.process = None
        return False

    def signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def kill(self):
        """SIGKILL; whether there was anything to kill."""
        if not self.alive():
            return False
        self.process.kill()
        self.process.wait()
        self.process = None
        return True

    def freeze(self, frozen):
        self.frozen = frozen
        self.signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def stop(self, patience):
        """SIGTERM; an exit status, or None when it had to be killed."""
        if not self.alive():
            return None
        self.freeze(False)
        self.process.terminate()
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = None
        self.process = None
        return status


class Writer:
    """A process that appends numbered lines (writer.c)."""

    def __init__(self, program, path, ident, rate, seed, lock, errors):
        self.path, self.ident, self.count = path, ident, None
        self.process = subprocess.Popen([program, str(path), str(ident), str(rate), str(seed), str(lock)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)

    def reopen(self):
        self.process.send_signal(signal.SIGHUP)

    def files(self):
        """(device, inode) of every file that it has open."""
        for held in pathlib.Path("/proc/%d/fd" % self.process.pid).iterdir():
            with contextlib.suppress(OSError):
                found = held.stat()
                yield found.st_dev, found.st_ino

    def end(self):
        """Lines written: its own count."""
        self.process.terminate()
        said = self.process.communicate()[0]
        if self.process.returncode != 0:
            raise RuntimeError("writer %d ended with status %d" % (self.ident, self.process.returncode))
        self.count = int(said)


class World:
    # FILE, mode of rotation, names of what was rotated, writers, lines a second
    FILES = (("plain.log", "rename", "number", 2, 120),
             ("cut.log", "copytruncate", "number", 2, 120),
             ("dated.log", "rename", "date", 1, 60),
             ("cutdated.log", "copytruncate", "date", 1, 60),
             ("slow.log", "rename", "number", 1, 3))

    def __init__(self, folder, build, seed, rate, small_disks):
        self.folder, self.build, self.seed, self.rate = pathlib.Path(folder), pathlib.Path(build), seed, rate
        self.logs, self.lock = self.folder / "log", self.folder / "lock"
        self.small_disks = small_disks
        self.writers = []
        self.agent = Daemon("agent", [self.build / "agent/nightjar-agent", "-c", self.folder / "agent.yaml"],
                            self.folder / "agent.err")
        self.collector = Daemon("collector", ["nsenter", "--net=/run/netns/far",
                                              self.build / "collector/nightjar-collector", "-c",
                                              self.folder / "collector.yaml"], self.folder / "collector.err")

    def nightjar(self, *argv):
        return [str(a) for a in (self.build / "cli/nightjar", *argv)]

    def set_up(self):
        make_network()
        for name in ("agent", "store", "collector", "log"):
            (self.folder / name).mkdir()
        if self.small_disks:
            for name in ("agent", "store"):
                call("mount", "-t", "tmpfs", "-o", "mode=755,size=%d" % FILE_SYSTEM, "small", self.folder / name)
        (self.folder / "collector.yaml").write_text(self.collector_yaml())
        (self.folder / "agent.yaml").write_text(self.agent_yaml())
        self.lock.touch()
        pki = self.folder / "pki"
        call(*self.nightjar("pki", "init", "--dir", pki))
        call(*self.nightjar("pki", "collector", "--dir", pki, FAR))
        call(*self.nightjar("pki", "device", "--dir", pki, "gateway"))
        call("chown", "-R", "nobody", pki, *(self.folder / n for n in ("agent", "store", "collector")))

    def identity(self, name):
        return "".join("  %s: %s\n" % (key, self.folder / "pki" / file) for key, file in (
            ("certificate", name + ".crt"), ("key", name + ".key"), ("authority", "authority.crt")))

    def collector_yaml(self):
        return ("listen: %s:%d\nstate: %s\nuser: nobody\ncontrol: %s\nidentity:\n%sstore:\n  directory: %s\n" % (
            FAR, PORT, self.folder / "collector", self.folder / "collector/control",
            self.identity("collector"), self.folder / "store"))

    def agent_yaml(self):
        """As shipped, but for hurrying: a test of minutes has no time for pauses of minutes."""
        return ("collector: %s:%d\nstate: %s\nuser: nobody\ncontrol: %s\nidentity:\n%s"
                "sources:\n  files:\n    - paths: [%s]\n"
                "shipping:\n  batch_delay: 50ms\n  reconnect_min: 100ms\n  reconnect_max: 200ms\n"
                "spool:\n  directory: %s\n  max: 16MiB\n" % (
                    FAR, PORT, self.folder / "agent", self.folder / "agent/control", self.identity("gateway"),
                    self.logs / "*.log", self.folder / "agent/spool"))

    def start_writers(self, program, lock):
        ident = 0
        errors = open(self.folder / "writers.err", "ab")
        for name, _, _, writers, rate in self.FILES:
            for _ in range(writers):
                ident += 1
                # Only a writer that is alone in its file may write a line in two halves: an even number.
                number = ident * 2 + (1 if writers > 1 else 0)
                self.writers.append(Writer(str(program), self.logs / name, number,
                                           max(1, int(rate * self.rate / writers)), self.seed * 1000 + number,
                                           self.lock if lock else "", errors))

    @contextlib.contextmanager
    def nobody_writes(self):
        """Every writer that takes the lock waits, none of them in the middle of a line."""
        with open(self.lock, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def daemons(self):
        return (self.agent, self.collector)

    def status(self, daemon):
        """What a daemon says of itself, or None."""
        asked = subprocess.run(self.nightjar("status", "--json", "-s", self.folder / daemon.name / "control"),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               timeout=20, check=False)
        try:
            return json.loads(asked.stdout) if asked.returncode == 0 else None
        except ValueError:
            return None

    def make_full(self, name, spare):
        """The file system of `name` holds what it holds and `spare` bytes; spare None: as much as ever."""
        path = self.folder / name
        for tries in range(30):
            size = FILE_SYSTEM
            if spare is not None:
                had = os.statvfs(path)
                # What is written meanwhile has to fit in: ever more, if it is written fast.
                size = (had.f_blocks - had.f_bfree) * had.f_frsize + spare + max(0, tries - 9) * 16384
            if call("mount", "-o", "remount,size=%d" % size, path, check=False).returncode == 0:
                return
        raise RuntimeError("the size of %s can't be set" % path)

    def records(self, *argv):
        """Lines of `nightjar search --json`, one by one; also left in the folder."""
        with open(self.folder / "search.err", "wb") as errors, open(self.folder / "search.out", "w") as kept:
            search = subprocess.Popen(self.nightjar("search", "-c", self.folder / "collector.yaml", "--json", *argv),
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True)
            for line in search.stdout:
                kept.write(line)
                yield line
            if search.wait() != 0:
                raise RuntimeError("nightjar search: " + (self.folder / "search.err").read_text()[-500:])

    def settle(self, patience, times=8):
        """Waits until the agent has nothing more to do, by its own word, so many times in a row."""
        quiet, since = 0, time.monotonic()
        while quiet < times and time.monotonic() - since < patience:
            time.sleep(0.25)
            said = self.status(self.agent)
            if said is None:
                quiet = 0
                continue
            shipping = said.get("shipping", {})
            sources = said["sources"]
            busy = (not sources["reading"] or sources["lag_bytes"] or sources["searching"] or any(lane["unacknowledged_batches"] for lane in shipping.get("lanes", {}).values()) or
                    shipping.get("connection", {}).get("state") == "waiting")
            quiet = 0 if busy else quiet + 1
        return quiet >= times


TOKEN = re.compile(rb"w(\d+)n(\d+)")

"""What goes wrong: each fault has a stream of random numbers of its own, all from the one seed."""
import contextlib
import heapq
import itertools
import os
import random
import shutil
import time

from judge import lines_of
from world import set_link


class Clock:
    """Calls things when they are due, in one thread."""

    def __init__(self):
        self.queue, self.order = [], itertools.count()

    def after(self, seconds, what):
        heapq.heappush(self.queue, (time.monotonic() + seconds, next(self.order), what))

    def run(self, until):
        while not until():
            due = self.queue[0][0] - time.monotonic()
            if due > 0:
                time.sleep(min(due, 0.1))
                continue
            heapq.heappop(self.queue)[2]()


class Fault:
    def __init__(self, world, clock, seed):
        self.world, self.clock = world, clock
        self.random = random.Random("%d %s" % (seed, type(self).__name__))
        self.count = 0

    def begin(self):
        """Schedules the first."""

    def heal(self):
        """Everything as it was; nothing more is scheduled by what is still queued."""

    def mostly(self, mean):
        return min(self.random.expovariate(1 / mean), 5 * mean)


class Kill(Fault):
    """SIGKILL of either end or both, at any moment of their lives, their first milliseconds included."""

    def __init__(self, world, clock, seed, pace):
        super().__init__(world, clock, seed)
        self.pace = pace
        self.of = {"agent": 0, "collector": 0}
        self.starting = set()
        self.calm = None

    def begin(self):
        self.clock.after(1, self.strike)

    def strike(self):
        which = self.random.choices(((self.world.agent,), (self.world.collector,), self.world.daemons()), (5, 4, 1))[0]
        for daemon in which:
            if daemon.kill():
                self.count += 1
                self.of[daemon.name] += 1
            # One that ended by itself is started again as well.
            if daemon.name not in self.starting:
                self.starting.add(daemon.name)
                pause = 0 if self.random.random() < 0.5 else self.random.uniform(0, 0.4)
                self.clock.after(pause, lambda daemon=daemon: self.revive(daemon))
        self.clock.after(self.mostly(self.pace), self.strike)
        if self.calm is not None:
            self.calm()

    def revive(self, daemon):
        self.starting.discard(daemon.name)
        daemon.start()

    def heal(self):
        for daemon in self.world.daemons():
            daemon.start()


class Stop(Fault):
    """SIGSTOP and, a while later, SIGCONT."""

    def begin(self):
        self.clock.after(self.mostly(2), self.strike)

    def strike(self):
        daemon = self.random.choice(self.world.daemons())
        if daemon.alive() and not daemon.frozen:
            self.count += 1
            daemon.freeze(True)
            process = daemon.process
            self.clock.after(self.random.uniform(0.02, 0.8), lambda: self.release(daemon, process))
        self.clock.after(self.mostly(2), self.strike)

    @staticmethod
    def release(daemon, process):
        if daemon.process is process:
            daemon.freeze(False)

    def heal(self):
        for daemon in self.world.daemons():
            daemon.freeze(False)


class Link(Fault):
    """The link is cut, at either end of the cable."""

    def begin(self):
        self.clock.after(self.mostly(4), self.strike)

    def strike(self):
        side = self.random.choice(("near", "far"))
        self.count += 1
        set_link(side, False)
        self.clock.after(self.random.uniform(0.05, 1.5), lambda: self.mend(side))

    def mend(self, side):
        set_link(side, True)
        self.clock.after(self.mostly(4), self.strike)

    def heal(self):
        for side in ("near", "far"):
            set_link(side, True)


class Full(Fault):
    """The file system of the agent's state and spool, or of the store, has no room left."""

    def begin(self):
        self.clock.after(self.mostly(5), self.strike)

    def strike(self):
        name = self.random.choice(("agent", "store"))
        self.count += 1
        self.world.make_full(name, self.random.choice((0, 4096, self.random.randrange(1 << 16))))
        self.clock.after(self.random.uniform(0.1, 1.5), lambda: self.mend(name))

    def mend(self, name):
        self.world.make_full(name, None)
        self.clock.after(self.mostly(5), self.strike)

    def heal(self):
        for name in ("agent", "store"):
            self.world.make_full(name, None)


def identity(found):
    return found.st_dev, found.st_ino


class Rotated:
    def __init__(self, path):
        self.path, self.read = path, False


class Rotation(Fault):
    """Each file about once a second, as logrotate does it.

    modes: which of rename and copytruncate; keep: so many rotated files are left of each, and those that nobody had the
    time to read (unless destroy).  While a file is copied and truncated the lock is held, so that no line falls
    between (unless race).  A writer hears of a renaming at most `linger` seconds later.
    """

    def __init__(self, world, clock, seed, modes, keep, destroy, race):
        super().__init__(world, clock, seed)
        self.modes, self.keep, self.destroy, self.race = modes, keep, destroy, race
        self.destroyed, self.old, self.serial = [], {}, 0
        self.linger = 0.2

    def everything_was_read(self):
        """But for those that a writer has open still: it goes on in one until it hears of the rotation."""
        in_use = {held for writer in self.world.writers for held in writer.files()}
        for old in self.old.values():
            for rotated in old:
                rotated.read = rotated.read or identity(os.stat(rotated.path)) not in in_use

    def begin(self):
        for index, (name, mode, naming, _, _) in enumerate(self.world.FILES):
            if mode not in self.modes and mode != "either":
                mode = self.modes[0]
            self.old[name] = []
            self.clock.after(1 + index / len(self.world.FILES),
                             lambda n=name, m=mode, a=naming: self.rotate(n, m, a))

    def rotate(self, name, mode, naming):
        live = self.world.logs / name
        chosen = self.random.choice(self.modes) if mode == "either" else mode
        if live.exists() and live.stat().st_size > 0:
            self.count += 1
            target = self.make_room(name, naming)
            if chosen == "rename":
                self.rename(name, live, target)
            else:
                self.copy_truncate(live, target)
        self.clock.after(self.random.uniform(0.7, 1.3), lambda: self.rotate(name, mode, naming))

    def make_room(self, name, naming):
        """The oldest goes, the others move up; where the next rotated file belongs."""
        old = self.old[name]
        while len(old) >= self.keep and (old[-1].read or self.destroy):
            gone = old.pop()
            self.destroyed.append(lines_of(gone.path))
            os.unlink(gone.path)
        if naming == "date":
            self.serial += 1
            target = self.world.logs / ("%s-20261122-%06d" % (name, self.serial))
        else:
            for i in range(len(old), 0, -1):
                moved = self.world.logs / ("%s.%d" % (name, i + 1))
                os.rename(old[i - 1].path, moved)
                old[i - 1].path = moved
            target = self.world.logs / (name + ".1")
        old.insert(0, Rotated(target))
        return target

    def rename(self, name, live, target):
        os.rename(live, target)
        os.close(os.open(live, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        for writer in self.world.writers:
            if writer.path == live:
                # Until it hears of it, it goes on in the renamed file.
                self.clock.after(self.random.uniform(0, self.linger), writer.reopen)

    def copy_truncate(self, live, target):
        with self.world.nobody_writes() if not self.race else contextlib.nullcontext():
            shutil.copyfile(live, target)
            os.truncate(live, 0)

    def remaining(self):
        return [lines_of(path) for path in self.world.logs.iterdir()]

#!/usr/bin/env python3
"""Where lines wait and where they go: fail-over between collectors, renewed certificates, a full spool, and what
the agent writes to disk, with the daemons as they are shipped, in their sandboxes.

  spool.py BUILD FOLDER TEST     prints what is wrong; status 0, 1 or 77 (with a reason)

Everything is on loopback under ports that are free; as root the daemons are nobody's.  Lines are numbered, and
each must stand once in the stores."""
import collections
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

BUILD, FOLDER, TEST = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
USER = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
PATIENCE = 60
running = []


def call(*argv, **more):
    return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **more)


def nightjar(*argv, good=True):
    done = call(BUILD / "cli/nightjar", *argv)
    if good and done.returncode != 0:
        fail("nightjar %s: %s" % (" ".join(map(str, argv)), done.stdout[-2000:]))
    return done


def fail(why):
    print(why)
    for log in sorted(FOLDER.glob("*.log")):
        print("  %s:" % log.name)
        for line in log.read_text(errors="replace").splitlines()[-15:]:
            print("    " + line[:300])
    sys.exit(1)


def wait_for(what, condition, seconds=PATIENCE):
    until = time.monotonic() + seconds
    while True:
        if condition():
            return
        if time.monotonic() > until:
            fail("not within %d s: %s" % (seconds, what))
        time.sleep(0.1)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def own(path):
    call("chown", "-R", USER, path)


def identities():
    pki = FOLDER / "pki"
    nightjar("pki", "init", "--dir", pki)
    nightjar("pki", "collector", "--dir", pki, "localhost", "127.0.0.1")
    nightjar("pki", "device", "--dir", pki, "gw")
    own(pki)
    os.chmod(pki, 0o755)


class Daemon:
    def __init__(self, kind, name):
        self.kind, self.name, self.process = kind, name, None
        self.folder = FOLDER / name
        self.folder.mkdir(exist_ok=True)
        self.yaml, self.log = FOLDER / (name + ".yaml"), FOLDER / (name + ".log")

    def start(self, stdin=subprocess.DEVNULL, wait=True):
        own(self.folder)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(BUILD / self.kind / ("nightjar-" + self.kind)), "-c", str(self.yaml)],
                                            stdin=stdin, stdout=log, stderr=log)
        running.append(self.process)
        if wait:
            wait_for(self.name + " answers", lambda: self.status() is not None, 20)

    def status(self):
        done = nightjar("status", "-s", self.folder / "control", "--json", good=False)
        try:
            return json.loads(done.stdout) if done.returncode == 0 else None
        except ValueError:
            return None

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.wait(30)

    def said(self, text):
        return self.log.exists() and text in self.log.read_text(errors="replace")


def collector(name, port, store=None, member=""):
    c = Daemon("collector", name)
    c.port, c.store = port, store or c.folder / "store"
    c.store.mkdir(exist_ok=True)
    c.yaml.write_text("""listen: 127.0.0.1:%d
state: %s
user: %s
control: %s/control
identity: {certificate: %s/pki/collector.crt, key: %s/pki/collector.key, authority: %s/pki/authority.crt,
  check_interval: 1s}
store: {directory: %s, member: "%s"}
""" % (port, c.folder, USER, c.folder, FOLDER, FOLDER, FOLDER, c.store, member))
    return c


def agent(collectors, shipping="", spool="", sources=None, name="agent", top=""):
    a = Daemon("agent", name)
    a.lines = a.folder / "app.log"
    a.lines.touch()
    a.spool = a.folder / "spool"
    a.yaml.write_text("""collector: %s
state: %s
user: %s
control: %s/control
identity: {certificate: %s/pki/gw.crt, key: %s/pki/gw.key, authority: %s/pki/authority.crt, check_interval: 1s}
sources: %s
shipping: {batch_delay: 50ms, reconnect_min: 100ms, reconnect_max: 1s, reconnect_spread: 200ms%s}
spool: {directory: %s%s}
%s""" % (collectors, a.folder, USER, a.folder, FOLDER, FOLDER, FOLDER,
         sources or "{files: [{paths: [%s]}]}" % a.lines, shipping, a.spool, spool, top))
    return a


written = 0


def write(a, n, pause=0.0):
    """n more numbered lines."""
    global written
    for _ in range(n):
        with open(a.lines, "a") as f:
            f.write("Nov 22 15:00:00 host app: line %06d of many\n" % written)
        written += 1
        if pause:
            time.sleep(pause)


def stored(store):
    """How often each line stands there, and the reasons of its gaps."""
    lines, gaps = collections.Counter(), []
    for text in nightjar("search", "--store", store, "--json").stdout.splitlines():
        record = json.loads(text)
        message = record.get("message", "")
        if message.startswith("line "):
            lines[int(message.split()[1])] += 1
        elif any("gap" in flag for flag in record["nightjar"]["flags"]):
            gaps.append(message)
    return lines, gaps


def once(*stores, total=None):
    """Every line once in all of them together."""
    total = written if total is None else total
    all_lines = collections.Counter()
    for store in stores:
        all_lines += stored(store)[0]
    lost = [n for n in range(total) if all_lines[n] == 0]
    doubled = [n for n in all_lines if all_lines[n] > 1]
    if lost or doubled:
        fail("of %d lines %d are lost (from %s on), %d doubled (from %s on)" % (
            total, len(lost), lost[:1], len(doubled), sorted(doubled)[:1]))


def count(*stores):
    return sum(len(stored(s)[0]) for s in stores)


def settled(*stores):
    wait_for("%d lines are stored" % written, lambda: count(*stores) >= written)


def verify(*collectors):
    for c in collectors:
        nightjar("store", "verify", "--store", c.store)


# ---- the tests ----

def fail_over():
    """Two collectors with a store each: nothing twice, nothing missing, each told what the other holds."""
    identities()
    a, b = collector("a", free_port()), collector("b", free_port())
    gw = agent("[127.0.0.1:%d, 127.0.0.1:%d]" % (a.port, b.port), ", return_after: 3s")
    a.start()
    b.start()
    gw.start()
    write(gw, 300)
    settled(a.store, b.store)
    if count(b.store) != 0:
        fail("the second collector was used although the first was there")
    # What is acknowledged by one must not go to the other.
    wait_for("all of it is acknowledged", lambda: gw.status()["shipping"]["memory_bytes"] == 0 or
             all(v["unacknowledged_batches"] == 0 for v in gw.status()["shipping"]["lanes"].values()))
    before = gw.status()["shipping"]["last_acknowledgement"]
    a.kill()
    write(gw, 300, 0.005)
    settled(a.store, b.store)
    wait_for("the last acknowledgement is a later one", lambda: gw.status()["shipping"]["last_acknowledgement"] > before)
    status = gw.status()["shipping"]["connection"]
    if status["port"] != b.port or status["preferred"]:
        fail("status does not tell of the second collector: %s" % status)
    write(gw, 100)
    settled(a.store, b.store)
    a.start()
    wait_for("the agent is back at the first", lambda: gw.status()["shipping"]["connection"]["port"] == a.port and
             gw.status()["shipping"]["connection"]["state"] == "connected")
    write(gw, 300)
    settled(a.store, b.store)
    once(a.store, b.store)
    for c in (a, b):
        gaps = stored(c.store)[1]
        if not any("held-by" in g for g in gaps):
            fail("the store of %s is not told what the other holds: %s" % (c.name, gaps))
    if count(b.store) == 0:
        fail("nothing went to the second collector")
    gw.kill(signal.SIGTERM)
    verify(a, b)


def kept_fail_over():
    """The same for lines that can't be read again: the gap over what the other store has comes with the first of
    them that the new one gets."""
    global written
    identities()
    a, b = collector("a", free_port()), collector("b", free_port())
    gw = agent("[127.0.0.1:%d, 127.0.0.1:%d]" % (a.port, b.port), ", return_after: 2s",
               sources="{files: [], stdin: true}")
    a.start()
    b.start()
    gw.start(stdin=subprocess.PIPE)

    def say(n):
        global written
        for _ in range(n):
            gw.process.stdin.write(b"Nov 22 15:00:00 host app: line %06d of many\n" % written)
            written += 1
        gw.process.stdin.flush()
        settled(a.store, b.store)
        wait_for("all of it is acknowledged", lambda: all(
            v["unacknowledged_batches"] == 0 for v in gw.status()["shipping"]["lanes"].values()))

    def at(c):
        connection = gw.status()["shipping"]["connection"]
        return connection["port"] == c.port and connection["state"] == "connected"

    say(100)
    a.kill()
    wait_for("the agent is at the second", lambda: at(b))
    say(100)
    a.start()
    wait_for("the agent is back at the first", lambda: at(a))
    say(100)
    gw.process.stdin.close()
    gw.kill(signal.SIGTERM)
    once(a.store, b.store)
    for c in (a, b):
        if len(stored(c.store)[0]) == 0 or not any("held-by" in g for g in stored(c.store)[1]):
            fail("%s: %d lines, gaps %s" % (c.name, len(stored(c.store)[0]), stored(c.store)[1]))
    verify(a, b)


def one_store():
    """A second collector over the same store takes over when the first dies: the same store, so nothing moves."""
    identities()
    a = collector("a", free_port())
    b = collector("b", free_port(), a.store)
    gw = agent("[[127.0.0.1:%d, 127.0.0.1:%d]]" % (a.port, b.port))
    a.start()
    b.start(wait=False)
    b.process.wait(20)
    if not b.said("another collector has this store open"):
        fail("two collectors opened one store")
    gw.start()
    now, other = a, b
    for _ in range(4):
        write(gw, 200, 0.001)
        now.kill()
        write(gw, 100)
        other.start()
        now, other = other, now
    write(gw, 100)
    settled(a.store)
    once(a.store)
    if stored(a.store)[1]:
        fail("a gap in a store that never changed: %s" % stored(a.store)[1])
    gw.kill(signal.SIGTERM)
    now.kill(signal.SIGTERM)
    verify(a)


class Relay:
    """Between the agent and a collector: cut on the agent's side, the collector's stays and what was under way
    arrives there."""

    def __init__(self, to):
        self.to, self.refuses, self.agents = to, False, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            agent_side, _ = self.listener.accept()
            try:
                other = None if self.refuses else socket.create_connection(("127.0.0.1", self.to.port))
            except OSError:
                other = None
            if other is None:
                agent_side.close()
                continue
            self.agents.append(agent_side)
            for pair in ((agent_side, other), (other, agent_side)):
                threading.Thread(target=self.pump, args=pair + (agent_side,), daemon=True).start()

    @staticmethod
    def pump(source, target, agent_side):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        if source is not agent_side:  # The collector has closed it: the agent hears of that.
            try:
                source.close()
                agent_side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        self.refuses = True
        while self.agents:
            try:
                self.agents.pop().shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def shared_store():
    """Two collectors run on one store, and an agent goes to and fro between them, while the one that it leaves is
    stopped, killed or merely out of its reach, with batches in flight."""
    identities()
    a = collector("a", free_port(), member="a")
    b = collector("b", free_port(), a.store, member="b")
    relays = {c.name: Relay(c) for c in (a, b)}
    gw = agent("[127.0.0.1:%d, 127.0.0.1:%d]" % (relays["a"].port, relays["b"].port), ", return_after: 1h")
    own(a.store)
    a.start()
    b.start()
    gw.start()
    done = threading.Event()

    def writer():
        while not done.is_set():
            write(gw, 5)
            time.sleep(0.005)

    def at(c):
        now = gw.status()["shipping"]["connection"]
        return now["port"] == relays[c.name].port and now["state"] == "connected"

    threads = [threading.Thread(target=writer, daemon=True)]
    threads[0].start()
    here, there = a, b
    wait_for("the agent is at the first", lambda: at(a))
    for turn in range(12):
        time.sleep(0.3)
        how = ("stopped", "killed", "out of reach")[turn % 3]
        if how == "stopped":
            here.process.send_signal(signal.SIGSTOP)
            time.sleep(0.2)  # What the agent sends now is in flight.
        relays[there.name].refuses = False
        relays[here.name].cut()
        if how == "killed":
            here.kill()
        wait_for("turn %d (%s): the agent is at %s" % (turn, how, there.name), lambda: at(there))
        before = written
        wait_for("turn %d (%s): %s stores" % (turn, how, there.name), lambda: count(a.store) > before)
        if how == "stopped":
            here.process.send_signal(signal.SIGCONT)
        elif how == "killed":
            here.start()
        if turn % 4 == 3:
            verify(a)
        here, there = there, here
    done.set()
    threads[0].join()
    settled(a.store)
    once(a.store)
    if stored(a.store)[1]:
        fail("a gap in a store that never changed: %s" % stored(a.store)[1])
    for c in (a, b):
        if not c.said("another collector of this store has this device now"):
            fail("%s was never told that the other has the device" % c.name)
    gw.kill(signal.SIGTERM)
    a.kill(signal.SIGTERM)
    verify(b)
    b.kill(signal.SIGTERM)
    verify(b)
    once(a.store)
    # Whoever wants the store for itself, or a name that is in use, is told.
    b.start()
    for wrong, member in (("several collectors share this store", ""), ("under this name", "b")):
        c = collector("c", free_port(), a.store, member=member)
        c.start(wait=False)
        c.process.wait(20)
        if not c.said(wrong):
            fail("a third collector is not told what is wrong: " + wrong)


def two_policies():
    """Sources of one lane under two policies take turns on it: segments of two queues, over kills of both ends."""
    identities()
    a = collector("a", free_port())
    gw = agent("127.0.0.1:%d" % a.port, sources="{files: [{paths: [%s]}, {paths: [%s], policy: drop-oldest}]}" % (
        FOLDER / "agent/app.log", FOLDER / "agent/other.log"))
    other = gw.folder / "other.log"
    other.touch()
    a.start()
    gw.start()
    ours = gw.lines

    def both(n):
        for i in range(n):
            gw.lines = ours if i % 2 == 0 else other
            write(gw, 1, 0.01)

    both(100)
    a.kill()
    both(100)
    a.start()
    both(100)
    gw.kill()
    both(50)
    gw.start()
    both(100)
    gw.kill(signal.SIGTERM)
    both(20)
    gw.start()
    settled(a.store)
    once(a.store)
    lanes = gw.status()["shipping"]["lanes"]
    if lanes["file"]["records"] == 0 or lanes["file.oldest"]["records"] == 0:
        fail("not two queues: %s" % lanes)
    gw.kill(signal.SIGTERM)
    verify(a)


def certificate_of(pki, name):
    return (pki / (name + ".crt")).read_bytes()


def renewed():
    """Certificates renewed under traffic, with a broken set in between."""
    if not shutil.which("openssl"):
        print("no openssl here")
        sys.exit(77)
    identities()
    pki = FOLDER / "pki"
    a = collector("a", free_port())
    gw = agent("127.0.0.1:%d" % a.port)
    a.start()
    gw.start()
    write(gw, 100, 0.002)
    ends = gw.status()["certificate_ends"]
    call("openssl", "req", "-new", "-key", pki / "gw.key", "-subj", "/CN=gw", "-addext",
         "subjectAltName=URI:urn:nightjar:device:gw", "-out", pki / "gw.csr")
    old = certificate_of(pki, "gw")
    # A file that is cut off while somebody copies it: named, and not used.
    (pki / "half").write_bytes(old[:len(old) // 2])
    os.rename(pki / "half", pki / "gw.crt")
    wait_for("the broken certificate is named", lambda: gw.said("can't be used; the one before stays"))
    write(gw, 100, 0.002)
    settled(a.store)
    new = FOLDER / "new"
    new.mkdir()
    shutil.copy(pki / "authority.crt", new)
    shutil.copy(pki / "authority.key", new)
    shutil.copy(pki / "gw.csr", new)
    done = call(BUILD / "cli/nightjar", "pki", "sign", "--dir", new, "--days", "700", new / "gw.csr")
    if done.returncode != 0:
        fail(done.stdout)
    own(new)
    os.rename(new / "gw.crt", pki / "gw.crt")
    wait_for("the agent takes up the new one", lambda: gw.said("took up the renewed certificate"))
    write(gw, 100, 0.002)
    if gw.status()["certificate_ends"] == ends:
        fail("the status tells the end of the old certificate")
    # The collector's, key and all.
    cold = FOLDER / "cold"
    shutil.copytree(pki, cold)
    for f in cold.glob("collector.*"):
        f.unlink()
    nightjar("pki", "collector", "--dir", cold, "localhost", "127.0.0.1")
    own(cold)
    os.rename(cold / "collector.crt", pki / "collector.crt")
    wait_for("half a set is named", lambda: a.said("can't be used; the one before stays"))
    write(gw, 100, 0.002)
    os.rename(cold / "collector.key", pki / "collector.key")
    wait_for("the collector takes up the new set", lambda: a.said("took up the renewed certificate"))
    write(gw, 100, 0.002)
    settled(a.store)
    connects = gw.status()["shipping"]["connection"]["connects"]
    if connects != 2:
        fail("the agent has connected %d times; once more for its own certificate was enough" % connects)
    once(a.store)
    gw.kill(signal.SIGTERM)
    verify(a)


def full_disk():
    """A small file system that is full: what can't be read again waits, and goes on by itself when there is room."""
    identities()
    gw = agent("127.0.0.1:%d" % free_port(), sources="{files: [], stdin: true}")
    gw.spool.mkdir()
    done = call("mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "spool", gw.spool)
    if done.returncode != 0:
        print("can't mount a tmpfs here")
        sys.exit(77)
    a = collector("a", int(gw.yaml.read_text().split("127.0.0.1:")[1].split("\n")[0]))
    a.start()
    gw.start(stdin=subprocess.PIPE)
    total = 0

    def say(n):
        nonlocal total
        text = "".join("Nov 22 15:00:00 host app: line %06d %s\n" % (total + i, os.urandom(60).hex())
                       for i in range(n))
        total += n
        return text.encode()

    gw.process.stdin.write(say(50))
    gw.process.stdin.flush()
    wait_for("the first lines are stored", lambda: count(a.store) >= 50)
    a.kill()
    filler = os.open(gw.spool / "filler", os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(filler, bytes(4096))
    except OSError:
        os.close(filler)
    gw.process.stdin.write(say(400))
    gw.process.stdin.flush()
    wait_for("the full disk is told", lambda: gw.said("no space left"))
    a.start()
    time.sleep(2)
    if gw.process.poll() is not None:
        fail("the agent ended")
    os.unlink(gw.spool / "filler")
    gw.process.stdin.write(say(100))
    gw.process.stdin.flush()
    wait_for("all lines are stored", lambda: count(a.store) >= total)
    once(a.store, total=total)
    gw.kill(signal.SIGTERM)
    if nightjar("spool", "verify", "--directory", gw.spool, good=False).returncode != 0:
        fail("the spool is damaged")
    verify(a)


def damaged():
    """A spool that is damaged while nothing runs: the rest is sent, the loss is named on the device and in the
    store, and nobody has to do anything."""
    identities()
    port = free_port()
    gw = agent("127.0.0.1:%d" % port, ", segment_silence: 1s, batch_max: 4KiB, memory_max: 1MiB",
               sources="{files: [], stdin: true}")
    a = collector("a", port)
    a.start()
    gw.start(stdin=subprocess.PIPE)
    total = 0
    for part in range(3):
        for i in range(60):
            gw.process.stdin.write(("Nov 22 15:00:00 host app: line %06d %s\n" % (total, os.urandom(60).hex())).encode())
            total += 1
        gw.process.stdin.flush()
        if part == 0:
            wait_for("the first lines are stored", lambda: count(a.store) >= total)
            a.kill()
        time.sleep(2.5)
    gw.process.stdin.close()
    time.sleep(1)
    gw.kill()
    listed = json.loads(nightjar("spool", "list", "--json", "--directory", gw.spool).stdout)
    if len(listed["segments"]) < 2 or listed["losses"]:
        fail("not what was to be damaged: %s" % listed)
    # Not the first: that one the collector may have, and then nothing is lost.
    victim = gw.spool / sorted(s["file"] for s in listed["segments"] if s["queue"] == "kept")[1]
    data = bytearray(victim.read_bytes())
    # In the body of its second batch: the third says what it is itself.
    marks = [i for i in range(len(data)) if data[i:i + 4] == b"NJ\xf5\xae"]
    at = marks[3] + 11 + 14 + 32 + 8 + 20
    data[at:at + 20] = bytes(20)
    victim.write_bytes(data)
    verified = nightjar("spool", "verify", "--json", "--directory", gw.spool, good=False)
    if verified.returncode != 1:
        fail("verify sees nothing: %s" % verified.stdout)
    loss = [s["loss"] for s in json.loads(verified.stdout)["segments"] if "loss" in s][0]
    # Elsewhere, where the keys are, what is whole can be read.
    copy = FOLDER / "copy"
    nightjar("spool", "export", "--to", copy, "--directory", gw.spool, good=False)
    opened = nightjar("spool", "export", "--store", a.store, "--directory", copy)
    if opened.stdout.count(": line ") == 0:
        fail("nothing could be opened with the store's keys: %s" % opened.stdout[:500])
    gw.yaml.write_text(gw.yaml.read_text().replace("stdin: true", "stdin: false").replace(
        "{files: []", "{files: [{paths: [%s]}]" % gw.lines))
    gw.start()
    a.start()
    wait_for("the spool is delivered", lambda: not [f for f in gw.spool.glob("*.spool")])
    lines, gaps = stored(a.store)
    if not any("spool-damaged" in g for g in gaps):
        fail("the loss is not told in the store: %s" % gaps)
    if any(n > 1 for n in lines.values()):
        fail("doubled: %s" % lines.most_common(1))
    lost = total - len(lines)
    spans = sum(r["end"] - r["start"] for r in loss["ranges"])
    size = len("Nov 22 15:00:00 host app: line 000000 ") + 120 + 1
    if lost == 0 or spans != lost * size:
        fail("%d lines are missing, and the loss is %d bytes of lines of %d" % (lost, spans, size))
    if not list(gw.spool.glob("*.damaged")):
        fail("the damaged file was not kept aside")
    nightjar("spool", "repair", "--discard-damaged", "--directory", gw.spool, good=False)
    gw.kill(signal.SIGTERM)
    nightjar("spool", "repair", "--discard-damaged", "--directory", gw.spool)
    if list(gw.spool.glob("*.damaged")):
        fail("repair --discard-damaged did not discard")
    verify(a)


def carried():
    """An agent can't reach its collector, and its spool is carried there: in pieces, damaged, twice, and then sent by
    the agent itself as well."""
    identities()
    nightjar("pki", "device", "--dir", FOLDER / "pki", "other")
    own(FOLDER / "pki")
    a = collector("a", free_port())
    relay = Relay(a)
    gw = agent("127.0.0.1:%d" % relay.port, ", segment_silence: 1s, batch_max: 4KiB, memory_max: 1MiB",
               sources="{files: [], stdin: true}")
    relay.refuses = False
    a.start()
    gw.start(stdin=subprocess.PIPE)
    total = 0

    def say(n):
        nonlocal total
        for _ in range(n):
            gw.process.stdin.write(("Nov 22 15:00:00 host app: line %06d %s\n" % (total, os.urandom(60).hex())).encode())
            total += 1
        gw.process.stdin.flush()

    def segments():
        return json.loads(nightjar("spool", "list", "--json", "--directory", gw.spool).stdout)["segments"]

    def imported(*paths, good=True):
        done = nightjar("store", "import", "-c", a.yaml, *paths, good=good)
        if not good and done.returncode != 1:
            fail("import of %s is not refused: %s" % (paths, done.stdout))
        return done.stdout

    def expect(text, said):
        if text not in said:
            fail("no word of %r in: %s" % (text, said))

    say(60)
    wait_for("the first lines are stored", lambda: count(a.store) >= total)
    relay.cut()
    wait_for("nothing waits yet", lambda: not segments())
    for part in range(3):
        say(80)
        wait_for("part %d is in a segment of its own" % part,
                 lambda: sum(s["records"] for s in segments()) >= total - 60 and len(segments()) > part)
        time.sleep(1.5)  # The segment ends by its silence.
    stick = FOLDER / "stick"
    nightjar("spool", "export", "--to", stick, "-c", gw.yaml)
    own(stick)
    files = sorted(stick.glob("*.spool"))
    if len(files) < 3 or any(not (stick / (f.name + ".voucher")).exists() for f in files):
        fail("not what should be on the stick: %s" % sorted(stick.iterdir()))
    expect("stop the collector", imported(stick, good=False))
    a.kill(signal.SIGTERM)

    # What can't be believed, or not be taken yet.
    odd = FOLDER / "odd"
    odd.mkdir()

    def bring(name, data=None, voucher=None):
        (odd / name).write_bytes((stick / name).read_bytes() if data is None else data)
        if voucher is not None:
            (odd / (name + ".voucher")).write_bytes(voucher)
        own(odd)
        return odd / name

    def word(f):
        return (stick / (f.name + ".voucher")).read_bytes()

    first, second, last = files[0], files[1], files[-1]
    expect("says whose it is", imported(bring(first.name), good=False))
    expect("of another segment or device", imported(bring(first.name, voucher=word(second)), good=False))
    bad = bytearray(word(first))
    bad[-100] ^= 1
    expect("signature does not hold", imported(bring(first.name, voucher=bytes(bad)), good=False))
    expect("can't be read", imported(bring(first.name, voucher=word(first)[:-1]), good=False))
    expect("no spool file", imported(odd / "nothing.spool", good=False))
    expect("lines before it are missing", imported(bring(last.name, voucher=word(last)), good=False))
    if count(a.store) != 60:
        fail("%d lines are stored that should not be" % (count(a.store) - 60))

    # Cut short on the way: what is whole is taken.
    whole = first.read_bytes()
    said = imported(bring(first.name, whole[:len(whole) * 2 // 3], word(first)), good=False)
    expect("cut short or damaged", said)
    part = count(a.store) - 60
    if not 0 < part < 80:
        fail("of a file that was cut %d lines were taken" % part)

    # As export by root leaves it, and with a file among them that can't be read.
    copy = FOLDER / "carried"
    shutil.copytree(stick, copy)
    if os.geteuid() == 0:
        os.chmod(copy, 0o700)
        shutil.chown(copy, "root")
        said = imported(copy, good=False)
        expect("NOT ALL OF IT, 1 could not be read", said)
        expect("`chown -R ", said)
    own(copy)
    (copy / first.name).rename(copy / "elsewhere")
    (copy / first.name).symlink_to("elsewhere")
    said = imported(copy, good=False)
    expect("NOT ALL OF IT, 1 could not be read", said)
    expect(first.name + ": it is a link", said)

    # All of it, and again.
    expect("all of it is there", imported(stick))
    expect(" 0 records were new", imported(*files))
    if count(a.store) != total:
        fail("%d of %d lines are stored" % (count(a.store), total))
    verify(a)

    # And then the agent finds its collector again.
    a.start()
    relay.refuses = False
    say(40)
    wait_for("the rest is stored", lambda: count(a.store) >= total)
    wait_for("nothing waits any more", lambda: not segments())
    once(a.store, total=total)
    if stored(a.store)[1]:
        fail("a gap, though nothing is missing: %s" % stored(a.store)[1])
    gw.kill(signal.SIGTERM)
    a.kill(signal.SIGTERM)
    verify(a)


def io_of(pid):
    return dict((k, int(v)) for k, v in (line.split(": ") for line in
                                         pathlib.Path("/proc/%d/io" % pid).read_text().splitlines()))


def disk_writes():
    """Online the log is the buffer: writes stay below 1 % of what is read."""
    identities()
    a = collector("a", free_port())
    gw = agent("127.0.0.1:%d" % a.port, top="detectors: {enabled: false}\n")
    n = 300000
    with open(gw.lines, "w") as f:
        for i in range(n):
            f.write("Nov 22 15:00:00 host sshd[%d]: Accepted password for u%d from 192.0.2.7 port %d ssh2\n" % (
                i, i * 7919 % 1000, i % 60000))
    size = gw.lines.stat().st_size
    a.start()
    gw.start()
    wait_for("all of it is acknowledged", lambda: (lambda s: s is not None and s["sources"]["bytes"] >= size and
             all(v["unacknowledged_batches"] == 0 for v in s["shipping"]["lanes"].values()) and
             s["shipping"]["spool_bytes"] == 0)(gw.status()))
    time.sleep(2)
    io = io_of(gw.process.pid)
    status = gw.status()["shipping"]
    # What was asked to be written, and what reached the block layer (where there is one); what was sent over the
    # socket is in wchar as well.
    to_files = io["wchar"] - status["wire_bytes"]
    worst = max(io["write_bytes"], to_files)
    print("read %d, given to write() but for the socket %d, written to disk %d" % (size, to_files, io["write_bytes"]))
    if worst > size // 100:
        fail("%d bytes were written for %d that were read: more than 1 %%" % (worst, size))
    gw.kill(signal.SIGTERM)


def budget():
    """Over the day's budget lines wait and status says so; alerts do not."""
    identities()
    a = collector("a", free_port())
    gw = agent("127.0.0.1:%d" % a.port, ", budget_day: 2MiB, level: 1")
    a.start()
    gw.start()
    write(gw, 50)
    settled(a.store)
    with open(gw.lines, "a") as f:
        for _ in range(40000):
            f.write("Nov 22 15:00:00 host app: noise %s\n" % os.urandom(60).hex())
    wait_for("status tells that lines wait for the budget",
             lambda: gw.status()["shipping"]["connection"]["pace"]["waiting_for"] == "budget")
    pace = gw.status()["shipping"]["connection"]["pace"]
    if pace["sent_today_bytes"] > 2 << 20:
        fail("more than the budget was sent: %s" % pace)
    with open(gw.lines, "a") as f:
        for i in range(30):
            f.write("Nov 22 15:00:%02d host sshd[9]: Failed password for root from 192.0.2.66 port 22 ssh2\n" % i)
    time.sleep(3)
    after = gw.status()
    if after["shipping"]["connection"]["state"] != "connected":
        fail("not connected any more")
    gw.kill()
    gw.start()
    time.sleep(3)
    if gw.status()["shipping"]["connection"]["pace"]["sent_today_bytes"] < 1 << 20:
        fail("a restart forgot what was sent today")
    gw.kill()


def main():
    FOLDER.mkdir(mode=0o711, exist_ok=True)
    os.chmod(FOLDER, 0o755)
    try:
        tests = {f.__name__: f for f in (fail_over, kept_fail_over, one_store, shared_store, two_policies, renewed, full_disk, damaged, carried, disk_writes, budget)}
        tests[TEST]()
        for log in FOLDER.glob("*.log"):
            text = log.read_text(errors="replace")
            if "Sanitizer" in text or "runtime error" in text:
                fail("a sanitizer complains in " + log.name)
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()


main()

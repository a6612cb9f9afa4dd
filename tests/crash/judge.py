"""Does the store hold each line once?

What was written is known exactly: each writer's count, and a check sum in each line.  Every record of the store is
held against it.  A line that is missing is lost, unless the file it stood in was deleted (by a rotation that this
test made) before it was read: then a gap record must cover its very place in its stream, or nobody can have seen that
file at all.  Such lines are counted apart and are no success but where the scenario destroys on purpose.
"""
import collections
import re
import zlib

RECORD = re.compile(r'"message":"((?:[^"\\]|\\.)*)".*"stream":"([0-9a-f]+)","start":(\d+),"end":(\d+),"flags":\[([^]]*)\]')
PLACE = re.compile(r'"stream":"([0-9a-f]+)","start":(\d+),"end":(\d+),"flags":\[([^]]*)\]')
LINE = re.compile(r"(?:(w(\d+)n(\d+) [a-z ]*)/(\d+)|Failed password for invalid user w(\d+)n(\d+) from \S+ port 4022 ssh2)$")
TOKEN = re.compile(rb"w(\d+)n(\d+)")


def token_of(message):
    """(writer, number) of a whole line, else None."""
    found = LINE.match(message)
    if found is None:
        return None
    if found.group(1) is None:
        return int(found.group(5)), int(found.group(6))
    if zlib.crc32(found.group(1).encode()) != int(found.group(4)):
        return None
    return int(found.group(2)), int(found.group(3))


def lines_of(path):
    """[(token, start, end)] of a log file as it stands."""
    at, out = 0, []
    with open(path, "rb") as lines:
        for line in lines:
            found = TOKEN.search(line)
            if found:
                out.append(((int(found.group(1)), int(found.group(2))), at, at + len(line)))
            at += len(line)
    return out


class Store:
    """What the store holds."""

    def __init__(self, records):
        self.places = collections.defaultdict(list)  # token -> [(stream, start, flags)]
        self.streams = collections.defaultdict(list)  # stream -> [(start, end, gap)]
        self.forks, self.odd, self.lines = set(), [], 0
        for text in records:
            place = PLACE.search(text)
            if place is None:
                self.odd.append(text)
                continue
            stream, start, end, flags = place.group(1), int(place.group(2)), int(place.group(3)), place.group(4)
            if '"open"' in flags or '"close"' in flags:
                if '"fork"' in flags:
                    self.forks.add(stream)
                continue
            gap = '"gap"' in flags or '"gap_open"' in flags
            if '"gap_open"' in flags:
                end = 1 << 62
            self.streams[stream].append((start, end, gap))
            if gap:
                continue
            self.lines += 1
            record = RECORD.search(text)
            token = token_of(record.group(1)) if record else None
            if token is None:
                self.odd.append(text)
            else:
                self.places[token].append((stream, start))

    def gaps(self):
        return [(stream,) + r for stream, records in self.streams.items() for r in records if r[2]]

    def covered(self, stream, start, end):
        return any(gap and a <= start and end <= b for a, b, gap in self.streams[stream])

    def broken(self):
        """Places where a stream's records do not follow one another."""
        out = []
        for stream, records in self.streams.items():
            at = None
            for start, end, gap in sorted(records):
                if end == 1 << 62:
                    continue
                if start != (at or 0):
                    out.append("stream %s: %d follows %s" % (stream, start, at))
                at = end
        return out


class Verdict:
    def __init__(self, written, store, destroyed, remaining):
        """written: {writer: lines}; destroyed: [lines_of(deleted file)]; remaining: the same of those still there."""
        self.written = sum(written.values())
        self.stored = store.lines
        self.forks, self.gaps, self.odd, self.broken = len(store.forks), store.gaps(), store.odd, store.broken()
        self.doubled = [t for t, at in store.places.items() if len(at) > 1]
        self.in_forks = [t for t in self.doubled if any(stream in store.forks for stream, _ in store.places[t])]
        self.invented = [t for t in store.places if t[1] < 1 or t[1] > written.get(t[0], 0)]
        missing = [(w, n) for w, count in written.items() for n in range(1, count + 1) if (w, n) not in store.places]
        self.lost, self.told, self.unseen, self.never = [], [], [], []
        self.sort_out(missing, store, destroyed, remaining)
        self.store = store

    def sort_out(self, missing, store, destroyed, remaining):
        if not missing:
            return
        deleted = {token: (lines, start, end) for lines in destroyed for token, start, end in lines}
        there = {token for lines in remaining for token, _, _ in lines}
        for token in missing:
            if token in there:
                self.lost.append(token)
            elif token not in deleted:
                self.never.append(token)  # cut away between a copy and its truncation
            else:
                lines, start, end = deleted[token]
                streams = {stream for other, at, _ in lines for stream, place in store.places.get(other, ())
                           if place == at}
                if not streams:
                    self.unseen.append(token)
                elif any(store.covered(stream, start, end) for stream in streams):
                    self.told.append(token)
                else:
                    self.lost.append(token)

    def good(self, may_destroy, may_race):
        return not (self.lost or self.doubled or self.odd or self.broken or self.invented or
                    (self.told or self.unseen) and not may_destroy or self.never and not may_race)

    def report(self):
        yield "%d written, %d stored, %d lost, %d doubled" % (self.written, self.stored, len(self.lost), len(self.doubled))
        yield "%d streams, %d of them forks; %d gap records" % (len(self.store.streams), self.forks, len(self.gaps))
        for what, tokens in (("lost", self.lost), ("doubled", self.doubled), ("doubled, in forks", self.in_forks),
                             ("stored but never written", self.invented),
                             ("destroyed before read, and told by a gap", self.told),
                             ("destroyed with a file that nobody had seen", self.unseen),
                             ("cut away between copy and truncation, unread", self.never)):
            if tokens:
                yield "%d %s: %s" % (len(tokens), what, " ".join("w%dn%d" % t for t in tokens[:8]))
        for what, texts in (("records that are no whole line", self.odd), ("breaks within streams", self.broken)):
            if texts:
                yield "%d %s, the first: %s" % (len(texts), what, texts[0].strip()[:400])

    def details(self):
        """Where the doubled ones stand, and all gaps."""
        for token in self.doubled:
            yield "w%dn%d %s" % (token + (" and ".join("%s at %d%s" % (stream, at, " (fork)" * (stream in self.store.forks))
                                                      for stream, at in self.store.places[token]),))
        for stream, start, end, _ in self.gaps:
            yield "gap %s %d-%d" % (stream, start, end)

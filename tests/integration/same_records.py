"""same_records.py WANTED STORED SOURCE: does the store hold every line of the log exactly once?

WANTED has `nightjar parse` of the log's lines, STORED `nightjar search --json` of the store, both one JSON object
a line; SOURCE is the log.  Three things must hold: each line of the log is in the store as often as in the log;
no (device, stream, position) is there twice; and within a stream the positions follow one another without a hole.
"""
import collections
import json
import sys


def load(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def get(value, *names):
    for name in names:
        at = value
        for part in name.split("."):
            at = at.get(part) if isinstance(at, dict) else None
        if at is not None:
            return at
    return None


def meaning(record):
    """What a line says, without where it came from."""
    return json.dumps([get(record, "@timestamp"), get(record, "host.hostname"), get(record, "process.name"),
                       get(record, "process.pid"), get(record, "message"), get(record, "event"),
                       get(record, "user"), get(record, "source")], sort_keys=True)


def main(wanted_path, stored_path, source_path):
    bad = 0
    wanted, stored = load(wanted_path), load(stored_path)
    a, b = collections.Counter(map(meaning, wanted)), collections.Counter(map(meaning, stored))
    for what, left in (("lost", a - b), ("doubled or changed", b - a)):
        if left:
            bad = 1
            print("%d %s, for example" % (sum(left.values()), what))
            for line in list(left)[:5]:
                print("  " + line)
    places = collections.Counter()
    streams = collections.defaultdict(list)
    for record in stored:
        stream = get(record, "nightjar.stream", "stream", "stream.id")
        start, end = get(record, "nightjar.start", "start", "position"), get(record, "nightjar.end", "end")
        if stream is None or start is None:
            print("a record without stream or position: %s" % json.dumps(record)[:300])
            return 1
        places[(get(record, "nightjar.device", "device"), stream, start)] += 1
        if end is not None:
            streams[stream].append((start, end))
    for place, n in places.items():
        if n > 1:
            bad = 1
            print("%d times at %r" % (n, place))
    for stream, ranges in streams.items():
        at = 0
        for start, end in sorted(ranges):
            if start != at:
                bad = 1
                print("stream %s: %d follows %d" % (stream, start, at))
            at = end
    with open(source_path, "rb") as source:
        size = len(source.read())
    covered = sum(end - start for ranges in streams.values() for start, end in ranges)
    if streams and covered != size:
        bad = 1
        print("the store covers %d bytes of %d" % (covered, size))
    print("%d lines, %d records, %d streams" % (len(wanted), len(stored), len(streams)))
    return bad


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

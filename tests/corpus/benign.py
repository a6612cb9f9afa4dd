#!/usr/bin/env python3
"""How many alerts the default rules raise on a device where nothing is wrong.

    benign.py NIGHTJAR CORPORA

Two logs: the router's in corpora/iot, and the benign part of the generator's `mixed`
(corpora/README.md), spread evenly over a week.  Prints the figures; status 1 when one
is above one alert a device-day.

A week is what rules learn in that know what is new.  So the same is done over two weeks, whose
figure is printed and judged by nobody: the generator's 300 users come from random
addresses, as those of no real device do.
"""
import collections
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile

BYTES = 8_000_000
WEEK = 7
FIRST = datetime.datetime(2026, 3, 2, tzinfo=datetime.timezone.utc)
# attack_session() of gen.c is all that is hostile: benign_session() and ordinary() stay.
ATTACK = re.compile(r"attack_session\(\);")
STAMP = re.compile(r"^(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\S+) (\S+) ")


def benign_lines(corpora, work):
    """The generator without its attacks, one host's lines."""
    with open(os.path.join(corpora, "generator", "gen.c")) as f:
        source, n = ATTACK.subn("benign_session();", f.read())
    if n < 2:
        sys.exit("benign.py: gen.c has no attack_session() any more")
    made, program, out = (os.path.join(work, x) for x in ("gen.c", "gen", "lines"))
    with open(made, "w") as f:
        f.write(source)
    subprocess.run(["cc", "-O2", "-w", made, "-lm", "-o", program], check=True)
    subprocess.run([program, "mixed", out, str(BYTES), "7", os.path.join(corpora, "loghub")],
                   check=True, stderr=subprocess.DEVNULL)
    with open(out, errors="surrogateescape", newline="\n") as f:
        return f.read().split("\n")[:-1]


def spread(lines, days, to):
    """One host writes them, with stamps at even distances over the days."""
    step = datetime.timedelta(days=days) / len(lines)
    with open(to, "w", errors="surrogateescape") as f:
        for i, line in enumerate(lines):
            at = (FIRST + i * step).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
            f.write(STAMP.sub(lambda _: f"{at} gate ", line, count=1) + "\n")


def days_of(parsed):
    """Days on which the log has a line."""
    return {json.loads(line).get("@timestamp", "")[:10] for line in parsed.splitlines()} - {""}


def figure(nightjar, name, path):
    run = subprocess.run([nightjar, "replay", "--zone", "UTC", path], capture_output=True, check=False)
    if run.returncode not in (0, 1) or b"alerts" not in run.stderr:
        sys.exit(f"benign.py: replay: status {run.returncode}: {run.stderr.decode()}")
    alerts = [json.loads(line) for line in run.stdout.splitlines()]
    days = len(days_of(subprocess.run([nightjar, "parse", "--zone", "UTC", path],
                                      capture_output=True, check=True).stdout))
    rate = len({a["alert"]["id"] for a in alerts}) / max(days, 1)
    print(f"{name}: {rate:.2f} alerts a device-day ({days} days)")
    for title, n in collections.Counter(a["rule"]["name"] for a in alerts).most_common():
        print(f"    {n:5}  {title}")
    return rate <= 1


def main():
    nightjar, corpora = os.path.abspath(sys.argv[1]), sys.argv[2]
    good = figure(nightjar, "iot", os.path.join(corpora, "iot", "openwrt-logread.txt"))
    with tempfile.TemporaryDirectory() as work:
        lines = benign_lines(corpora, work)
        log = os.path.join(work, "days.log")
        spread(lines, WEEK, log)
        good = figure(nightjar, "mixed, a week", log) and good
        spread(lines, 2 * WEEK, log)
        figure(nightjar, "mixed, two weeks", log)
    sys.exit(0 if good else 1)


main()

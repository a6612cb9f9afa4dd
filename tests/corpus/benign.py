#!/usr/bin/env python3
"""How many alerts the default rules raise on a device where nothing is wrong.

    benign.py NIGHTJAR CORPORA

Three logs: the router's and the web servers' in corpora, and the benign part of the generator's
`mixed` (corpora/README.md), spread evenly over one week, two and four.  Prints for each what
every rule told; status 1 when one is above one alert a device-day.

A week is what rules learn in that know what is new, so the days behind the first week are
judged by themselves as well.  No device is like the generator's in this: a third of the logins of
its 300 users come from random addresses of the whole internet.  What its rules tell there is what they
tell where newness is nothing new.
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


def rate(what, ids, days, good):
    per_day = len(ids) / max(days, 1)
    print(f"{what}: {per_day:.2f} alerts a device-day ({len(ids)} in {days} days)")
    return good and per_day <= 1


def figure(nightjar, name, path):
    run = subprocess.run([nightjar, "replay", "--zone", "UTC", path], capture_output=True, check=False)
    if run.returncode not in (0, 1) or b"alerts" not in run.stderr:
        sys.exit(f"benign.py: replay: status {run.returncode}: {run.stderr.decode()}")
    told = [json.loads(line) for line in run.stdout.splitlines()]
    alerts = {a["alert"]["id"]: a for a in reversed(told)}  # as each was new
    days = days_of(subprocess.run([nightjar, "parse", "--zone", "UTC", path],
                                  capture_output=True, check=True).stdout)
    good = rate(name, alerts, len(days), True)
    late = {d for d in days if d >= (FIRST + datetime.timedelta(days=WEEK)).strftime("%Y-%m-%d")}
    if min(days, default="") == FIRST.strftime("%Y-%m-%d") and late:
        after = [a for a in alerts.values() if a["@timestamp"][:10] in late]
        good = rate(f"{name}, behind the first week", after, len(late), good)
    updates = collections.Counter(a["rule"]["name"] for a in told if a["alert"]["state"] == "update")
    for title, n in collections.Counter(a["rule"]["name"] for a in alerts.values()).most_common():
        print(f"    {n:5}  {title}" + (f" (and {updates[title]} updates)" if updates[title] else ""))
    return good


def main():
    nightjar, corpora = os.path.abspath(sys.argv[1]), sys.argv[2]
    good = figure(nightjar, "iot", os.path.join(corpora, "iot", "openwrt-logread.txt"))
    with tempfile.TemporaryDirectory() as work:
        lines = benign_lines(corpora, work)
        log = os.path.join(work, "days.log")
        for weeks in (1, 2, 4):
            spread(lines, weeks * WEEK, log)
            good = figure(nightjar, f"mixed, weeks: {weeks}", log) and good
    sys.exit(0 if good else 1)


main()

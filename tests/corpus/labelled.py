#!/usr/bin/env python3
"""Which attacks of corpora/labelled the default rules find.

    labelled.py NIGHTJAR CORPORA

The scenarios name the addresses that they expect to be told of.  One is found when an alert
over its log names all of them; an alert over a log that expects none is counted apart.
Prints a table, and judges nothing: most scenarios are of programs that are not read here.
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

SOURCE = re.compile(r'"([^"]+)" in results\[\d+\]\.Overflow\.GetSources\(\)')


def expected(folder):
    try:
        with open(os.path.join(folder, "scenario.assert"), errors="replace") as f:
            # An IPv4 address in an IPv6 socket is told as what it is.
            return {w.removeprefix("::ffff:") for w in SOURCE.findall(f.read())}
    except FileNotFoundError:
        return None


def told(nightjar, logs):
    """The alerts' text, and how much of the logs is understood."""
    run = subprocess.run([nightjar, "replay", "--zone", "UTC", *logs], capture_output=True, check=False)
    share = re.search(rb"(\d+) lines, .*; (\d+) understood", run.stderr)
    lines, understood = (int(n) for n in share.groups()) if share else (0, 0)
    return run.stdout.decode(errors="replace"), understood, lines


def main():
    nightjar, archive = os.path.abspath(sys.argv[1]), os.path.join(
        sys.argv[2], "labelled", "crowdsec-hub-tests.tar.zst")
    sums = dict.fromkeys(("found", "in part", "not found, understood", "not found, not understood",
                          "none expected, none told", "none expected, told"), 0)
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["tar", "--zstd", "-xf", archive, "-C", work], check=True)
        for folder in sorted(glob.glob(os.path.join(work, "*", "*", ""))):
            want, logs = expected(folder), sorted(glob.glob(folder + "*.log"))
            if want is None or not logs:
                continue
            alerts, understood, lines = told(nightjar, logs)
            got = {w for w in want if f'"{w}"' in alerts}
            if not want:
                verdict = "none expected, told" if alerts else "none expected, none told"
            elif got:
                verdict = "found" if got == want else "in part"
            else:
                verdict = "not found, " + ("understood" if understood * 2 > lines else "not understood")
            sums[verdict] += 1
            print(f"{verdict:26} {understood:5}/{lines:<5} {os.path.basename(folder[:-1])}")
    for verdict, n in sums.items():
        print(f"{n:5}  {verdict}")


main()

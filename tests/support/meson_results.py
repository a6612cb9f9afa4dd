"""meson_results.py FILE GROUP SUFFIX: meson's test log (JSON lines) in the words of ./check.

One result for each meson test; each cmocka test that skipped itself is a skip of its own, since
its reason must be seen.  Honours ONLY as tests/support/group.sh does.
"""
import fnmatch
import json
import os
import re
import sys

path, group, suffix = sys.argv[1:4]
only = [p for p in os.environ.get("ONLY", "").split("\n") if p.strip()]


def wanted(name):
    return not only or any(fnmatch.fnmatch(name, p) or p in name for p in only)


def tail(text):
    """The end of a log; what a sanitizer found stands well before it."""
    lines = text.rstrip().split("\n")
    for i, line in enumerate(lines):
        if re.search(r"ERROR: (Address|Leak|Undefined)\w*Sanitizer|: runtime error: ", line) and len(lines) > i + 25:
            lines = lines[i:i + 20] + ["..."] + lines[-5:]
            break
    for line in lines[-30:]:
        print("    | " + line[:300])


count = 0
with open(path, encoding="utf-8", errors="replace") as log:
    for line in log:
        test = json.loads(line)
        count += 1
        # meson names a test "project:suite / name".
        name = "%s/%s%s" % (group, test["name"].split(" / ")[-1].split(":")[-1], suffix)
        if not wanted(name):
            continue
        out = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
        took = "%.1f s" % test["duration"]
        skipped = re.findall(r"^\[  SKIPPED \] (?!\d+ test)(\S+)$", out, re.M)
        if test["result"] in ("OK", "EXPECTEDFAIL"):
            print("ok %s (%s)" % (name, took))
        elif test["result"] == "SKIP":
            words = [w for w in out.split("\n") if w.strip()]
            print("skip %s: %s" % (name, words[-1].strip() if words else "it says not why"))
            continue
        else:
            print("not ok %s: %s after %s, the end of its log:" % (name, test["result"].lower(), took))
            tail(out)
            continue
        reasons = re.findall(r"^(?:skipped|skipping|skip): *(.+)$", out, re.M | re.I)
        for i, inner in enumerate(dict.fromkeys(skipped)):
            why = reasons[min(i, len(reasons) - 1)] if reasons else "it says not why"
            print("skip %s/%s: %s" % (name, inner, why))
sys.exit(0 if count or not os.path.getsize(path) else 1)

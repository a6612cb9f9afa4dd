"""json_lines.py FILE [INPUT]: each line of FILE is one JSON object, and there is one for each line of INPUT."""
import json
import sys

path = sys.argv[1]
n = 0
with open(path, "rb") as lines:
    for n, line in enumerate(lines, 1):
        try:
            value = json.loads(line.decode("utf-8"))
        except ValueError as e:
            sys.exit("%s:%d: %s: %r" % (path, n, e, line[:200]))
        if not isinstance(value, dict):
            sys.exit("%s:%d: not an object: %r" % (path, n, line[:200]))
if len(sys.argv) > 2:
    with open(sys.argv[2], "rb") as lines:
        # A last line without a newline is a line.
        wanted = sum(1 for _ in lines)
    if n != wanted:
        sys.exit("%s: %d objects for %d lines" % (path, n, wanted))

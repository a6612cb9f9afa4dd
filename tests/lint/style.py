"""What docs and reviewers need not look for by hand: sizes, tabs, stray whitespace, names that must not be called.

    python3 tests/lint/style.py [FILE...]      default: every .c and .h of the tree
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("common wire sources parsers redact detectors alerts hooks shipper config collector pki agent cli tests bench").split()
# Beyond the first a note is printed, beyond the second it is a failure: sizes are a
# sign of something, not the thing itself.
FILE, MAX_FILE = 600, 1100
FUNCTION, MAX_FUNCTION = 60, 90
MAX_COLUMNS = 100

# Unbounded, not thread-safe, or a shell.
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|system|popen|mktemp|tmpnam|atoi|atol|alloca|"
                    r"localtime|gmtime|asctime|ctime|rand|srand)\s*\(")
CODE = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|//[^\n]*|/\*.*?\*/', re.S)


def code_only(text):
    """The text with strings and comments blanked, its lines and columns kept."""
    return CODE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def width(line):
    return len(line.expandtabs(8))


def check(path):
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(TOP)
    lines = text.split("\n")
    code = code_only(text).split("\n")
    if text and not text.endswith("\n"):
        yield "%s:%d: no newline at the end" % (name, len(lines))
    if path.suffix == ".c" and len(lines) > FILE and name.parts[0] != "tests":
        yield "%s%s: %d lines, aim at %d" % ("" if len(lines) > MAX_FILE else "note: ", name, len(lines), FILE)
    start = None
    for n, (line, bare) in enumerate(zip(lines, code), 1):
        if line != line.rstrip():
            yield "%s:%d: space at the end of the line" % (name, n)
        if re.match(r"^ {8}", line):
            yield "%s:%d: spaces where a tab belongs" % (name, n)
        # A log line that is quoted stays in one piece.
        if width(line) > MAX_COLUMNS and not re.match(r'\s*"(\\.|[^"\\])*"[,;)]*\s*\\?$', line):
            yield "%s:%d: %d columns, at most %d" % (name, n, width(line), MAX_COLUMNS)
        banned = BANNED.search(bare)
        if banned and name.parts[0] not in ("tests", "bench"):
            yield "%s:%d: %s() is not used here" % (name, n, banned.group(1))
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
            yield "%s:%d: unfinished business" % (name, n)
        if bare == "{":
            start = n
        elif bare.startswith("}") and start is not None:
            size = n - start - 1
            if size > FUNCTION and name.parts[0] != "tests":
                yield "%s%s:%d: a function of %d lines, aim at %d" % (
                    "" if size > MAX_FUNCTION else "note: ", name, start, size, FUNCTION)
            start = None
    if path.suffix == ".h" and not re.search(r"#ifndef \w+_H\b|#pragma once", text):
        yield "%s: no include guard" % name


def main(argv):
    if argv:
        files = [pathlib.Path(a).resolve() for a in argv]
    else:
        files = sorted(p for d in FOLDERS for p in (TOP / d).rglob("*.[ch]"))
    said = [message for path in files for message in check(path)]
    bad = [message for message in said if not message.startswith("note: ")]
    print("\n".join(sorted(said, key=bad.__contains__) or ["%d files are in style" % len(files)]))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

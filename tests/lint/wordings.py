#!/usr/bin/env python3
"""Each text that a family of parsers compares with stands in a unit case (tests/unit/wordings/*.txt
or a string of a test of the parsers), and each family has a file of wordings.

What a test takes, it takes for something: the texts are looked for in lines whose summary is
not "-" too, but a text that only such a line holds is reported as never taken.
"""
import glob
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
NOT_FAMILIES = {"family_name", "header", "header_json", "stamp", "zone", "rule", "share", "share_example", "share_fall",
                "share_state", "slots", "trust", "form", "members"}
# Of no line: categories and types that no summary shows, and bytes that need others beside them.
SILENT = {"creation", "deletion", "installation", "iam", "driver", "crypto", "ssh1", "charon 00", "audit 0", "wrong password", "too many failures", "web log", "audit log", "ftp log",
          "no such user can run the program that the line names", "udp4:", "tcp4-server:"}


def strings(text):
    """The C strings in the text, adjacent ones joined."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"'(?:[^'\\]|\\.)'", "0", text)
    text = re.sub(r"^#include.*$", "", text, flags=re.M)
    for group in re.finditer(r'(?:"(?:[^"\\]|\\.)*"\s*)+', text):
        yield re.sub(r"\\(.)", r"\1", "".join(STRING.findall(group.group(0))))


def read(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        return f.read()


def taken_wordings():
    """The lines of the files of wordings that are taken, with their programs and summaries."""
    for path in glob.glob(os.path.join(ROOT, "tests/unit/wordings/*.txt")):
        tag, message = "", None
        for line in read(path).split("\n"):
            if line[:1] == "@":
                tag = line[1:]
            elif line[:1] == "\t":
                if line != "\t-":
                    yield tag.split("[")[0] + "[: " + message + line
            else:
                message = line


def pieces(texts):
    """Of services.c: the texts between the fields of a form, and each program."""
    methods = ("plaintext", "anonymous", "basic", "digest", "password")
    for text in texts:
        if "%" in text:
            yield from re.split(r"%[a-z]", text)
        elif text not in methods and re.fullmatch(r"[A-Za-z0-9/-]+", text):
            yield text + "[: "


def form_pieces(texts):
    """Of apps.c: the texts between the fields of a form, and all others whole."""
    for text in texts:
        yield from re.split(r"%[a-z]", text) if "%" in text else [text]


def without_names(name, code):
    """Of applications: who writes a line stands in no line; members are named by their paths."""
    code = re.sub(r"/\*.*?\*/", " ", code, flags=re.S)
    code = re.sub(r'c->app = SLICE_LIT\("[a-z]+"\)', "", code)
    if not name.startswith("app"):
        return code
    code = re.sub(r'\b(WEB|VOIP)\("[a-z-]+", ', r"\1(", code)
    code = re.sub(r'\{"[a-z]+", \{', "{{", code)
    code = re.sub(r'slice_str\(a->name\), "[a-z]+"|SLICE_LIT\("[a-z_]+login"\), SLICE_LIT\("[a-z]+"\)', "", code)
    return code.replace('\\n"', '"') if name == "apps" else code.replace('\\n"', '"').replace("/", '" , "')


def main():
    cases = list(taken_wordings())
    for path in glob.glob(os.path.join(ROOT, "tests/unit/test_*.c")):
        text = read(path)
        if "support/parsing.h" in text or "parser_line(" in text:
            cases += strings(text)
    cases = "\n".join(cases)
    bad = 0
    for path in sorted(glob.glob(os.path.join(ROOT, "parsers/*.c"))):
        name = os.path.basename(path)[:-2]
        if name in NOT_FAMILIES:
            continue
        code = without_names(name, read(path))
        code = re.sub(r"\b(?:SAY|SET)\((?:[^()\"]|\"[^\"]*\"|\([^()]*\))*\)", "", code)
        for text in pieces(strings(code)) if name == "services" else form_pieces(strings(code)) if name == "apps" else strings(code):
            if len(text) >= 3 and text not in SILENT and not text.startswith("..........") and text not in cases:
                print(f"{name}.c: no unit case has \"{text}\"")
                bad += 1
    for name in sorted(set(re.findall(r'\{family_\w+, "(\w+)"\}', read(os.path.join(ROOT, "parsers/family_name.c"))))):
        if not os.path.exists(os.path.join(ROOT, f"tests/unit/wordings/{name}.txt")):
            print(f"the family {name} has no tests/unit/wordings/{name}.txt")
            bad += 1
    return bad != 0


sys.exit(main())

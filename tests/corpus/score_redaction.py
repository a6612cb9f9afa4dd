#!/usr/bin/env python3
"""Scores `nightjar redact` against corpora of secrets and of ordinary logs.

    tests/corpus/score_redaction.py [--cases] NIGHTJAR [CORPORA]

CORPORA defaults to $NIGHTJAR_CORPORA, then ../shared/corpora.  A vector counts
as masked when its secret no longer stands in the output; a text labelled
not_secret counts as left when the output equals it.  --cases lists what was
missed.  Each text is a stream of its own; they go through one process, parted
by a line that no text holds.
"""
import collections
import io
import json
import os
import subprocess
import sys
import tarfile

PART = b"=== nightjar next text ==="
# Lines of the `corpora/` folders that hold ordinary logs.
ORDINARY = ["sshd", "loghub", "iot", "syslog", "audit", "ftpvpn", "web", "journald"]
# Rules of gitleaks whose label is about a file or an id, not about text in a log.
ORDINARY_SKIP = (".csv", ".golden", ".tar.zst", ".gen", ".c")


def redact(tool, texts):
    data = b""
    for t in texts:
        data += t + b"\n" + PART + b"\n"
    out = subprocess.run([tool, "redact", "-"], input=data, stdout=subprocess.PIPE,
                         check=True).stdout
    parts = out.split(b"\n" + PART + b"\n")
    assert len(parts) == len(texts) + 1, "a separator was changed"
    return parts[:-1]


def zstd(path):
    return subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout


def gitleaks(tool, corpora, cases):
    raw = zstd(os.path.join(corpora, "secrets/gitleaks-vectors.jsonl.zst"))
    vectors = [json.loads(line) for line in raw.splitlines()]
    # A key block that stays open would reach the next text: close it.
    outs = redact(tool, [v["text"].encode() for v in vectors])
    table = collections.defaultdict(lambda: [0, 0, 0, 0])
    for v, out in zip(vectors, outs):
        row = table[v["rule"]]
        text = v["text"].encode()
        if v["label"] == "secret":
            secret = (v.get("secret") or "").encode()
            # No span given: any change counts.
            good = secret not in out if secret else out != text
            row[0] += good
            row[1] += 1
        else:
            good = out == text
            row[2] += good
            row[3] += 1
        if cases and not good:
            print(v["label"], v["rule"], v["text"][:200].encode(), "->", out[:200])
    masked, secrets, left, others = (sum(r[i] for r in table.values()) for i in range(4))
    print(f"gitleaks vectors: {masked} of {secrets} secrets masked ({masked / secrets:.4f}), "
          f"{left} of {others} others left as they were ({left / others:.4f})")
    whole = sum(1 for r in table.values() if r[1] and r[0] == r[1])
    print(f"gitleaks rules with every secret masked: {whole} of "
          f"{sum(1 for r in table.values() if r[1])}")


def secretlint(tool, corpora, cases):
    raw = zstd(os.path.join(corpora, "secrets/secretlint-snapshots.tar.zst"))
    tar = tarfile.open(fileobj=io.BytesIO(raw))
    files = {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}
    names, texts, want = [], [], []
    for name, text in sorted(files.items()):
        folder, base = os.path.split(name)
        snapshot = os.path.basename(folder)
        if not base.startswith("input") or snapshot[:3] not in ("ng.", "ok."):
            continue
        if b"\0" in text or base.endswith((".p12",)):
            continue
        ranges = []
        try:
            for m in json.loads(files[folder + "/output.json"])["messages"]:
                ranges.append(m["range"])
        except (KeyError, ValueError, TypeError):
            pass
        names.append(name)
        texts.append(text)
        want.append((snapshot[:2], ranges))
    outs = redact(tool, texts)
    flagged = masked = quiet = kept = 0
    for name, text, out, (kind, ranges) in zip(names, texts, outs, want):
        if kind == "ok":
            quiet += 1
            kept += out == text
            if cases and out != text:
                print("ok changed", name)
            continue
        chars = text.decode("utf-8", "replace")
        for a, b in ranges:
            flagged += 1
            span = chars[a:b].encode()
            good = len(span) == 0 or span not in out
            masked += good
            if cases and not good:
                print("ng missed", name, span[:120])
    print(f"secretlint ng: {masked} of {flagged} flagged ranges changed; ok: {kept} of {quiet} files left")


def ordinary(tool, corpora, cases):
    total = changed = 0
    for folder in ORDINARY:
        n = c = 0
        for root, _, files in os.walk(os.path.join(corpora, folder)):
            for f in sorted(files):
                path = os.path.join(root, f)
                if f.endswith(ORDINARY_SKIP) or f == "LICENSE":
                    continue
                data = zstd(path) if f.endswith(".zst") else open(path, "rb").read()
                out = subprocess.run([tool, "redact", "-"], input=data,
                                     stdout=subprocess.PIPE, check=True).stdout
                a, b = data.split(b"\n"), out.split(b"\n")
                assert len(a) == len(b), path
                n += len(a)
                for x, y in zip(a, b):
                    if x != y:
                        c += 1
                        if cases:
                            print("ordinary", path, x[:300], "->", y[:300])
        print(f"ordinary logs, {folder}: {c} of {n} lines changed")
        total += n
        changed += c
    print(f"ordinary logs: {changed} of {total} lines changed")


def main():
    args = [a for a in sys.argv[1:] if a != "--cases"]
    cases = "--cases" in sys.argv
    if not args:
        sys.exit(__doc__)
    tool = args[0]
    corpora = args[1] if len(args) > 1 else os.environ.get(
        "NIGHTJAR_CORPORA",
        os.path.join(os.path.dirname(__file__), "../../../shared/corpora"))
    if not os.path.isdir(corpora):
        print(f"skipped: no folder {corpora} (set NIGHTJAR_CORPORA)")
        return
    gitleaks(tool, corpora, cases)
    secretlint(tool, corpora, cases)
    ordinary(tool, corpora, cases)


main()

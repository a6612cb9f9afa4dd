"""memory_has.py PID: looks for the bytes on standard input in all readable memory of a process, without stopping it.

Prints where they are and ends with status 1 if they are there, 0 if they are not, 2 if nothing could be read.
The bytes come by standard input so that they stand in no command line.
"""
import re
import sys

CHUNK = 1 << 20


def regions(pid):
    with open("/proc/%s/maps" % pid, encoding="utf-8", errors="replace") as maps:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+ *(.*)", line)
            if m and m.group(3)[0] == "r" and m.group(4) not in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                yield int(m.group(1), 16), int(m.group(2), 16), m.group(4) or "anonymous"


def main(pid):
    needle = sys.stdin.buffer.read().rstrip(b"\n")
    if len(needle) < 8:
        sys.exit("memory_has: too short to be looked for")
    read = found = 0
    with open("/proc/%s/mem" % pid, "rb", 0) as memory:
        for start, end, name in regions(pid):
            tail = b""
            at = start
            while at < end:
                try:
                    memory.seek(at)
                    block = memory.read(min(CHUNK, end - at))
                except (OSError, ValueError):
                    break
                if not block:
                    break
                read += len(block)
                window = tail + block
                i = window.find(needle)
                while i >= 0:
                    around = window[max(0, i - 60):i].decode("latin-1")
                    print("at %x in %s, after %r" % (at - len(tail) + i, name, around))
                    found += 1
                    i = window.find(needle, i + 1)
                tail = window[-(len(needle) - 1):]
                at += len(block)
    print("%d bytes of memory read" % read)
    return 1 if found else 0 if read else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

#!/usr/bin/env python3
"""`nightjar replay --summary` over a made log: what it prints is what stands in golden/, however the log is packed, cut and
read; and its sums are those of `nightjar parse`.

  summary.py NIGHTJAR                    prints what does not hold; status 1 then
  summary.py NIGHTJAR --write            makes golden/ anew
  summary.py NIGHTJAR --sums FILE...     only that the sums are right, over these logs (plain or .zst)
"""
import collections
import datetime
import fcntl
import gzip
import json
import lzma
import os
import pathlib
import pty
import struct
import subprocess
import sys
import tempfile
import termios

GOLDEN = pathlib.Path(__file__).parent / 'golden'
NOW = '2024-03-20T00:00:00Z'
RULES = '''title: Failed login
id: 6a1f0c52-7f0e-4a52-9b37-0d6f3c1f5a10
name: failed_login
logsource: {product: linux}
detection:
    selection: {event.outcome: failure}
    condition: selection
level: informational
---
title: Ten failures of an address in an hour
id: 6a1f0c52-7f0e-4a52-9b37-0d6f3c1f5a11
correlation:
    type: event_count
    rules: [failed_login]
    group-by: [source.address]
    timespan: 1h
    condition: {gte: 10}
level: high
---
title: A login with a password by somebody who comes from outside of all the networks that we know
id: 6a1f0c52-7f0e-4a52-9b37-0d6f3c1f5a12
logsource: {product: linux}
detection:
    selection: {event.outcome: success, auth.method: password}
    condition: selection
level: medium
'''


def made_log():
    """[(time, line)] of two hosts and some days, in order."""
    lines = []
    start = datetime.datetime(2024, 3, 10, 22, 0, 0)

    def log(seconds, host, text):
        at = start + datetime.timedelta(seconds=seconds)
        lines.append((at, f'{at:%b} {at.day:2d} {at:%H:%M:%S} {host} '.encode() + (text if isinstance(text, bytes) else text.encode())))

    def failed(seconds, host, pid, user, address, invalid=False):
        log(seconds, host, f'sshd[{pid}]: Failed password for {"invalid user " if invalid else ""}{user} from {address} port '
            f'{40000 + pid % 20000} ssh2')

    for i in range(150):  # one who tries many names, for five days
        failed(i * 2900, 'gw', 1000 + i, ['oracle', 'test', 'ubuntu', 'git', f'user{i}'][i % 5], '203.0.113.7', True)
    for i in range(60):   # one who finds the password
        failed(90000 + i * 7, 'gw', 3000 + i, 'root', '198.51.100.23')
    log(90500, 'gw', 'sshd[3100]: Accepted password for root from 198.51.100.23 port 51111 ssh2')
    for i in range(12):
        failed(200000 + i * 3600, 'db1', 4000 + i, 'admin', '2001:db8:85a3:8d3:1319:8a2e:370:7348', True)
    failed(30000, 'gw', 5000, 'alice', '192.0.2.50')
    for i in range(5):
        log(30010 + i * 86000, 'gw', f'sshd[{5001 + i}]: Accepted publickey for alice from 192.0.2.50 port 50000 ssh2: RSA '
            'SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')
    for i, name in enumerate((b'guest', 'müller'.encode(), '\u202etoor'.encode(), b'a' * 60, b'\xff\xfe')):
        log(250000 + i, 'db1', b'sshd[%d]: Invalid user ' % (6000 + i) + name + b' from 192.0.2.66 port 2222')
    for i in range(2):
        log(260000 + i * 60, 'gw', 'sudo:      bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/su')
    for i in range(4):
        log(270000 + i * 5, 'db1', 'vsftpd: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=anna '
            'rhost=ftp-client.example.net  user=anna')
    log(280000, 'gw', 'CRON[77]: (root) CMD (true)')
    return sorted(lines, key=lambda line: line[0])


class Check:
    def __init__(self, nightjar, folder):
        self.nightjar, self.folder, self.bad = nightjar, pathlib.Path(folder), False
        (self.folder / 'rules').mkdir()
        (self.folder / 'rules' / 'rules.yml').write_text(RULES)

    def fail(self, what, *more):
        self.bad = True
        print(what, *more)

    def run(self, *words, stdin=None, lang='C.UTF-8', status=(0, 1)):
        env = {key: value for key, value in os.environ.items() if key not in ('LC_ALL', 'LC_CTYPE', 'NO_COLOR')}
        run = subprocess.run([self.nightjar, *map(str, words)], input=stdin, capture_output=True, check=False, env=dict(env, LANG=lang))
        if run.returncode not in status:
            self.fail(f'{words}: status {run.returncode}:', run.stderr.decode('utf-8', 'replace')[-500:])
        return run

    def summary(self, *words, stdin=None, lang='C.UTF-8', status=(1,)):
        return self.run('replay', '--summary', '--rules-only', '--packs', self.folder / 'rules', '--zone', 'UTC', '--now', NOW,
                        *words, stdin=stdin, lang=lang, status=status).stdout

    def log(self, name, lines, pack=bytes):
        path = self.folder / name
        path.write_bytes(pack(b''.join(line + b'\n' for _, line in lines)))
        return path


def golden(check, write):
    log = check.log('auth.log', made_log())
    for name, words, lang in (('summary.txt', (), 'C.UTF-8'), ('summary-ascii.txt', ('--ascii', '--top', 3), 'C.UTF-8'),
                              ('summary.json', ('--json', '--top', 4), 'C')):
        got = check.summary(*words, log, lang=lang)
        if name.endswith('.json'):
            got = got.replace(b',"', b',\n"')
            json.loads(got)
        if write:
            (GOLDEN / name).write_bytes(got)
        elif got != (GOLDEN / name).read_bytes():
            (check.folder / name).write_bytes(got)
            check.fail(f'{name} is not what stands in golden/:')
            subprocess.run(['diff', GOLDEN / name, check.folder / name], check=False)
    return log


def terminals(check):
    """It fits, whatever the terminal; colours only there, and nothing but ASCII where that is all there is."""
    hostile = b''.join(b'Mar 16 01:02:%02d gw sshd[9%02d]: Failed password for %s from 192.0.2.99 port 2 ssh2' % (i, i, name) + b'\n'
                       for i, name in enumerate((b'\x1b[2J\x07evil', b'a\x1b]0;x\x07b', b'\xc2\x9b31m', b'x' * 300)))
    log = check.log('hostile.log', made_log(), lambda text: text + hostile)
    if any(byte >= 128 for byte in check.summary(log, lang='C')):
        check.fail('not ASCII in the C locale')
    for columns in (40, 72, 100, 140, 300):
        for no_colour in (False, True):
            master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
            env = dict(os.environ, LANG='C.UTF-8', LC_ALL='C.UTF-8')
            env.pop('NO_COLOR', None)
            if no_colour:
                env['NO_COLOR'] = '1'
            with subprocess.Popen([check.nightjar, 'replay', '--summary', '--zone', 'UTC', '--now', NOW, log], stdout=slave,
                                  stderr=subprocess.PIPE, env=env) as run:
                os.close(slave)
                out = b''
                while True:
                    try:
                        piece = os.read(master, 65536)
                    except OSError:  # the other end is closed
                        break
                    if not piece:
                        break
                    out += piece
                run.communicate()
            os.close(master)
            text = out.decode().replace('\r\n', '\n')
            if (b'\x1b' in out) == no_colour:
                check.fail(f'{columns} columns: colours', 'in spite of NO_COLOR' if no_colour else 'are missing')
            for escape in ('\x1b[0m', '\x1b[1m', '\x1b[2m', '\x1b[1;31m'):
                text = text.replace(escape, '')
            if '\x1b' in text:
                check.fail(f'{columns} columns: an escape sequence of a name')
            tables = text[text.index('\nGot in'):] if '\nGot in' in text else ''
            width = max(map(len, tables.split('\n')))
            if not tables or width > max(80 if columns == 72 else columns, 80):
                check.fail(f'{columns} columns: a line of {width}')


def whatever_way(check, log):
    """Packed, from standard input, cut into files that come in the wrong order: the same."""
    lines = made_log()
    text = log.read_bytes()

    def told(*words, stdin=None):
        summary = json.loads(check.summary('--json', *words, stdin=stdin))
        del summary['read']['files']
        return summary

    want = told(log)
    ways = {'gzip': [check.log('packed.log.gz', lines, gzip.compress)], 'standard input': ['-'],
            'three files': [check.log('auth.log.1', lines[100:180]), check.log('auth.log', lines[180:]),
                            check.log('auth.log.2.gz', lines[:100], gzip.compress)]}
    ways['zstd'] = [check.folder / 'packed.log.zst']
    ways['zstd'][0].write_bytes(subprocess.run(['zstd', '-qc'], input=text, capture_output=True, check=True).stdout)
    xz = check.log('packed.log.xz', lines, lzma.compress)
    if b'it has no liblzma' not in check.run('replay', xz).stderr:
        ways['xz'] = [xz]
    for way, words in ways.items():
        if told(*words, stdin=text if words == ['-'] else None) != want:
            check.fail(f'{way}: not what the file itself tells')


def mistakes(check, log):
    file = check.folder / 'rules' / 'rules.yml'
    if check.run('replay', '--summary', '--rules-only', '--packs', file, '--zone', 'UTC', '--now', NOW, log,
                 status=(0,)).stdout != check.summary(log, status=(0,)):
        check.fail('rules of a file are not those of its folder')
    for words in (('--top', '0'), ('--top', 'x'), ('--top',), ('--summery',)):
        check.run('replay', '--summary', *words, log, status=(2,))
    cut = check.folder / 'cut.log.gz'
    cut.write_bytes(gzip.compress(log.read_bytes())[:-20])
    run = check.run('replay', '--summary', check.folder / 'missing.log', cut, log, status=(3,))
    if b'missing.log: ' not in run.stderr or b'cut.log.gz: ' not in run.stderr or b'Who attacked' not in run.stdout:
        check.fail('a missing and a damaged file:', run.stderr, run.stdout[:200])
    run = check.run('replay', '--summary', check.folder / 'missing.log', status=(3,))
    if run.stdout:
        check.fail('a summary of nothing')
    run = check.run('replay', check.folder, status=(3,))
    if b'this is a folder: name the files in it' not in run.stderr:
        check.fail('a folder:', run.stderr)
    run = check.run('replay', '--summary', '-', stdin=b'', status=(0,))
    if b'0 attempts failed, 0 succeeded' not in run.stdout:
        check.fail('an empty log:', run.stdout)


def sums(check, name, text):
    """What the summary adds up is what `nightjar parse` says line by line."""
    want = collections.Counter()
    failed = collections.Counter()
    parsed = check.run('parse', '--zone', 'UTC', '--now', NOW, '-', stdin=text, status=(0,)).stdout
    for line in parsed.decode('utf-8', 'replace').splitlines():
        event = json.loads(line)
        times = event.get('auth', {}).get('attempts', 1)
        outcome = event.get('event', {}).get('outcome')
        if outcome in ('failure', 'success'):
            want[outcome] += times
        if outcome == 'failure' and times > 0 and 'ip' in event.get('source', {}):
            failed[event['source']['ip']] += times
    said = check.run('replay', '--summary', '--json', '--top', 8192, '--zone', 'UTC', '--now', NOW, '-', stdin=text).stdout
    summary = json.loads(said)
    attempts, attackers = summary['attempts'], summary['attackers']
    if (attempts['failed'], attempts['succeeded']) != (want['failure'], want['success']):
        check.fail(f'{name}: {attempts["failed"]} failed and {attempts["succeeded"]} succeeded;', 'parse has', dict(want))
    got = {attacker['source']['ip']: attacker['failed'] for attacker in attackers if 'ip' in attacker['source']}
    if got != dict(failed):
        check.fail(f'{name}: by address {got};', 'parse has', dict(failed))
    if sum(attacker['failed'] for attacker in attackers) != want['failure'] or \
            sum(target['failed'] for target in summary['targets']) != want['failure']:
        check.fail(f'{name}: the rows do not add up to {want["failure"]}')
    if sum(summary['timeline']['failed']) + summary['timeline']['failed_elsewhere'] != want['failure']:
        check.fail(f'{name}: the timeline does not add up to {want["failure"]}')


def main():
    nightjar = os.path.realpath(sys.argv[1])
    with tempfile.TemporaryDirectory(dir=os.environ.get('WORK')) as folder:
        check = Check(nightjar, folder)
        if '--sums' in sys.argv:
            for path in sys.argv[3:]:
                cat = ['zstd', '-dqc', path] if path.endswith('.zst') else ['cat', path]
                sums(check, path, subprocess.run(cat, capture_output=True, check=True).stdout)
        else:
            log = golden(check, '--write' in sys.argv)
            terminals(check)
            whatever_way(check, log)
            mistakes(check, log)
            sums(check, 'made log', log.read_bytes())
        sys.exit(1 if check.bad else 0)


main()

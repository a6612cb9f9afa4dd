#!/usr/bin/env python3
"""Does Nightjar notice when a daemon's lines stop being understood?

    tests/corpus/mutations.py NIGHTJAR CORPORA [--verbose]

Real logs (CORPORA) are read twice.  Unchanged none of them may give a finding.  Then
each of the changes below is made to the second half of a log, as a new release of the
daemon, another log daemon or another setting would make it; a change that costs events
must give a finding that names the program.  Prints the table; status 1 when fewer than
95 % are noticed, or any unchanged log gives a finding.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

AT_LEAST = 0.95
MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split()
GERMAN = 'Jän Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez'.split()
FRENCH = 'janv. févr. mars avril mai juin juil. août sept. oct. nov. déc.'.split()
STAMP = re.compile(r'^(\w{3}) ([ \d]\d) (\d\d):(\d\d):(\d\d) ')


def stamp(form):
    """Another stamp in place of "Nov 22 15:37:46 "."""
    def change(line):
        m = STAMP.match(line)
        if not m:
            return line
        month = MONTHS.index(m[1])
        return form(month, int(m[2]), m[3], m[4], m[5]) + line[m.end():]
    return change


def sub(pattern, text):
    """The first match of each line."""
    pattern = re.compile(pattern)
    return lambda line: pattern.sub(text, line, count=1)


def chain(*changes):
    def change(line):
        for one in changes:
            line = one(line)
        return line
    return change


def message(form):
    """What stands behind "program[pid]: "."""
    tag = re.compile(r'^(.{15} \S+ [^ :]+: )(.*)$')
    return lambda line: tag.sub(lambda m: m[1] + form(m[2]), line)


def head_and(form):
    """form(stamp, host, program, pid, message) of usual lines."""
    usual = re.compile(r'^(.{15}) (\S+) ([^ :\[]+)(?:\[(\d+)\])?: (.*)$')

    def change(line):
        m = usual.match(line)
        return form(m[1], m[2], m[3], m[4] or '1', m[5]) if m else line
    return change


GTK, ELASTIC, OPENSSH, LINUX, APACHE, VSFTPD = 'gtk elastic openssh linux apache vsftpd'.split()

# kind, what, log, program that the finding must name, change
MUTATIONS = [
    ('stamp', 'ISO week date', GTK, 'sshd', stamp(lambda mo, d, h, m, s: f'2026-W{mo * 4 + 1:02}-{d % 7 + 1}T{h}:{m}:{s} ')),
    ('stamp', 'seconds since 1970', GTK, 'sshd', stamp(lambda mo, d, h, m, s: f'17{mo:02}{d:02}{h}{m}{s[1]} ')),
    ('stamp', 'German, day first', ELASTIC, 'sshd', stamp(lambda mo, d, h, m, s: f'{d:02}.{mo + 1:02}.2026 {h}:{m}:{s} ')),
    ('stamp', 'American, month first', OPENSSH, 'sshd', stamp(lambda mo, d, h, m, s: f'{mo + 1}/{d}/2026 {h}:{m}:{s} AM ')),
    ('stamp', 'day before month', ELASTIC, 'sshd', stamp(lambda mo, d, h, m, s: f'{d:02} {MONTHS[mo]} {h}:{m}:{s} ')),
    ('stamp', 'no seconds', LINUX, 'sshd', stamp(lambda mo, d, h, m, s: f'{MONTHS[mo]} {d:2} {h}:{m} ')),
    ('stamp', 'none', OPENSSH, 'sshd', stamp(lambda mo, d, h, m, s: '')),
    ('stamp', 'in brackets', GTK, 'sshd', stamp(lambda mo, d, h, m, s: f'[{MONTHS[mo]} {d:2} {h}:{m}:{s}] ')),
    ('stamp', 'kernel ticks', LINUX, 'sshd', stamp(lambda mo, d, h, m, s: f'[{d:6}{h}.{m}{s}00] ')),
    ('stamp', 'compact ISO', ELASTIC, 'CRON', stamp(lambda mo, d, h, m, s: f'2026{mo + 1:02}{d:02}T{h}{m}{s}Z ')),
    ('stamp', 'TAI64N', OPENSSH, 'sshd', stamp(lambda mo, d, h, m, s: f'@40000000{mo:02x}{d:02x}{h}{m}{s}00000000 ')),
    ('stamp', 'month in German', OPENSSH, 'sshd', stamp(lambda mo, d, h, m, s: f'{GERMAN[9 if mo == 11 else mo]} {d:2} {h}:{m}:{s} ')),
    ('stamp', 'month in French', GTK, 'sshd', stamp(lambda mo, d, h, m, s: f'{d} {FRENCH[mo]} {h}:{m}:{s} ')),
    ('stamp', 'of an access log', APACHE, 'web log', sub(r'\[(\d+)/(\w+)/(\d+):(\S+) (\S+)\]', r'[\3-\2-\1 \4]')),
    ('host', 'a second one in front', GTK, 'sshd', head_and(lambda t, h, p, i, m: f'{t} relay {h} {p}[{i}]: {m}')),
    ('host', 'with a blank', OPENSSH, 'sshd', head_and(lambda t, h, p, i, m: f'{t} my {h} {p}[{i}]: {m}')),
    ('host', 'in brackets with a blank', ELASTIC, 'sshd', head_and(lambda t, h, p, i, m: f'{t} [host {h}] {p}[{i}]: {m}')),
    ('host', 'user and host', LINUX, 'sshd', head_and(lambda t, h, p, i, m: f'{t} {h} auth {h} {p}[{i}]: {m}')),
    ('program', 'sshd-auth2', GTK, 'sshd', sub(r' sshd\[', ' sshd-auth2[')),
    ('program', 'in capitals', OPENSSH, 'sshd', sub(r' sshd\[', ' SSHD[')),
    ('program', 'a path with a version', GTK, 'sshd', sub(r' sshd\[', ' openssh-10.9/sshd-worker[')),
    ('program', "the unit's name", ELASTIC, 'sshd', sub(r' sshd\[', ' ssh.service[')),
    ('program', 'sudo becomes sudo-rs', ELASTIC, 'sudo', sub(r' sudo: ', ' sudo-rs: ')),
    ('program', 'su becomes su-l', LINUX, 'su', sub(r' su\(pam_unix\)\[', ' su-l(unix)[')),
    ('program', 'logind', ELASTIC, 'systemd-logind', sub(r' systemd-logind\[', ' logind-ng[')),
    ('program', 'cronie instead of CRON', ELASTIC, 'CRON', chain(sub(r' CRON\[', ' cronie['), sub(r'pam_unix\(cron:session\): session', 'cron session'))),
    ('pid', 'behind a dash', GTK, 'sshd', sub(r' sshd\[(\d+)\]:', r' sshd-\1:')),
    ('pid', 'behind a blank', OPENSSH, 'sshd', sub(r' sshd\[(\d+)\]:', r' sshd [\1]:')),
    ('pid', 'named', ELASTIC, 'sshd', sub(r' sshd\[(\d+)\]:', r' sshd[pid=\1]:')),
    ('pid', 'with its thread', GTK, 'sshd', sub(r' sshd\[(\d+)\]:', r' sshd[\1.\1]:')),
    ('pid', 'in braces', LINUX, 'sshd', sub(r' sshd\(pam_unix\)\[(\d+)\]:', r' sshd{\1}:')),
    ('pid', 'no colon', OPENSSH, 'sshd', sub(r' sshd\[(\d+)\]:', r' sshd/\1 -')),
    ('order', 'the address first', GTK, 'sshd', message(lambda m: re.sub(r'^(.*) from (\d+\.\d+\.\d+\.\d+)( port \d+)?', r'\2\3: \1', m))),
    ('order', 'Password failed', OPENSSH, 'sshd', message(lambda m: m.replace('Failed password', 'Password failed'))),
    ('order', 'user behind address', OPENSSH, 'sshd', message(lambda m: re.sub(r'^Failed password for (.*) from (\S+) port', r'Failed password from \2 for \1 port', m))),
    ('order', 'of a session', ELASTIC, 'CRON', message(lambda m: m.replace('session opened for user', 'user session opened:').replace('session closed for user', 'user session closed:'))),
    ('order', 'of an access log', APACHE, 'web log', sub(r'^(\S+) (\S+) (\S+) (\[[^]]*\])', r'\4 \1 \2 \3')),
    ('quoting', 'the message', GTK, 'sshd', message(lambda m: f'"{m}"')),
    ('quoting', 'the address', OPENSSH, 'sshd', message(lambda m: re.sub(r'from (\d+\.\d+\.\d+\.\d+)', r'from <\1>', m))),
    ('quoting', 'the user', OPENSSH, 'sshd', message(lambda m: re.sub(r' for (invalid user )?(\S+) from', r' for \1"\2" from', re.sub(r'^Invalid user (\S+) from', r'Invalid user "\1" from', m)))),
    ('quoting', 'a JSON object', ELASTIC, 'sshd', head_and(lambda t, h, p, i, m: json.dumps({'time': t, 'host': h, 'app': p, 'pid': i, 'text': m}))),
    ('quoting', 'key and value', GTK, 'sshd', message(lambda m: 'msg="%s" level=info' % m.replace('"', "'"))),
    ('quoting', 'CSV', OPENSSH, 'sshd', head_and(lambda t, h, p, i, m: f'"{t}","{h}","{p}","{i}","{m}"')),
    ('prefix', 'a level', GTK, 'sshd', message(lambda m: 'INFO ' + m)),
    ('prefix', 'a message id', OPENSSH, 'sshd', message(lambda m: '[auth-0042] ' + m)),
    ('prefix', "the container's name", ELASTIC, 'sshd', lambda line: 'bastion-1  | ' + line),
    ('prefix', "the function's name", ELASTIC, 'sudo', message(lambda m: 'log_allowed: ' + m)),
    ('language', 'German', OPENSSH, 'sshd', message(lambda m: m.replace('Failed password for', 'Fehlgeschlagenes Passwort für').replace('Invalid user', 'Ungültiger Benutzer').replace('Received disconnect from', 'Verbindung getrennt von'))),
    ('language', 'French', ELASTIC, 'sshd', message(lambda m: m.replace('Invalid user', 'Utilisateur invalide').replace('Connection closed by', 'Connexion fermée par').replace('Accepted publickey for', 'Clé publique acceptée pour').replace('Failed', 'Échec'))),
    ('language', 'Spanish', LINUX, 'su', sub(r'session (opened|closed) for user', r'sesión \1 para el usuario')),
]


def decompressed(path):
    if path.endswith('.zst'):
        return subprocess.run(['zstd', '-dqc', path], check=True, capture_output=True).stdout
    with open(path, 'rb') as f:
        return f.read()


def lines_of(path):
    return [line.rstrip('\r') for line in decompressed(path).decode('utf-8', 'surrogateescape').split('\n') if line]


class Tool:
    def __init__(self, nightjar, folder):
        self.nightjar, self.path = nightjar, os.path.join(folder, 'log')

    def write(self, lines):
        with open(self.path, 'wb') as f:
            f.write(('\n'.join(lines) + '\n').encode('utf-8', 'surrogateescape'))

    def falls(self, lines=None, path=None):
        """[(program, what, example)] that reading these lines, or this file, tells."""
        if lines is not None:
            self.write(lines)
        run = subprocess.run([self.nightjar, 'replay', '--summary', path or self.path],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if run.returncode not in (0, 1):
            raise RuntimeError(f'replay: status {run.returncode}: {run.stderr[-300:]}')
        told = run.stderr.decode('utf-8', 'replace').split('\n')
        return [(re.match(r'not understood any more: (.*) in ', told[i])[1], told[i + 1].strip(), told[i + 2].strip())
                for i in range(len(told)) if told[i].startswith('not understood any more: ')]

    def understood(self, lines):
        """What each line was taken for."""
        self.write(lines)
        out = subprocess.run([self.nightjar, 'parse', '--raw', '--zone', 'UTC', self.path], check=True,
                             stdout=subprocess.PIPE).stdout
        found = []
        for line in out.decode('utf-8', 'replace').splitlines():
            event = json.loads(line)
            found.append((event.get('event', {}).get('action'), event.get('event', {}).get('outcome'),
                          event.get('user', {}).get('name'), event.get('source', {}).get('ip')))
        return found


def real_logs(corpora):
    for folder in 'audit ftpvpn honeypot iot loghub sshd syslog web journald'.split():
        for root, _, names in sorted(os.walk(os.path.join(corpora, folder))):
            for name in sorted(names):
                if not name.endswith(('.csv', '.golden', '.json', 'LICENSE', '.tar.zst')):
                    yield os.path.join(root, name)


def unchanged(tool, corpora, verbose):
    bad, n = 0, 0
    for path in real_logs(corpora):
        n += 1
        falls = tool.falls(path=path)
        if falls:
            bad += 1
            print(f'unchanged, yet a finding: {path}')
            for fall in falls:
                print('   ', *fall)
        elif verbose:
            print(f'unchanged, none: {path}')
    print(f'unchanged logs with a finding: {bad} of {n}')
    return bad == 0


def mutated(tool, logs, verbose):
    noticed, blind, harmless = 0, 0, 0
    for kind, what, log, program, change in MUTATIONS:
        lines = logs[log]
        half = len(lines) // 2
        after = [change(line) for line in lines[half:]]
        before = tool.understood(lines)[half:]
        now = tool.understood(lines[:half] + after)[half:]
        lost = sum(a is not None and (a, b, c, d) != got for (a, b, c, d), got in zip(before, now))
        falls = tool.falls(lines[:half] + after)
        hit = [fall for fall in falls if fall[0] == program]
        state = 'noticed' if hit else 'harmless' if lost == 0 else 'MISSED'
        noticed += state == 'noticed'
        harmless += state == 'harmless'
        blind += state == 'MISSED'
        print(f'{state:9}{kind:10}{what:28}{log:9}{lost:6} events lost')
        if verbose or state == 'MISSED':
            for fall in hit or falls:
                print('         ', *fall, sep='\n          ')
    all_of_them = noticed + blind
    share = noticed / all_of_them if all_of_them else 0
    print(f'changes noticed: {noticed} of {all_of_them} that cost events ({share:.3f}); harmless: {harmless}')
    return share >= AT_LEAST


def main():
    nightjar, corpora = sys.argv[1:3]
    verbose = '--verbose' in sys.argv
    logs = {
        GTK: lines_of(f'{corpora}/sshd/gtkcyber-drillworkshop.auth.log.zst'),
        ELASTIC: lines_of(f'{corpora}/sshd/elastic-examples.auth.log.zst'),
        OPENSSH: lines_of(f'{corpora}/loghub/OpenSSH_2k.log'),
        LINUX: lines_of(f'{corpora}/loghub/Linux_2k.log'),
        APACHE: lines_of(f'{corpora}/web/elastic-apache_logs.zst'),
    }
    with tempfile.TemporaryDirectory() as folder:
        tool = Tool(nightjar, folder)
        good = unchanged(tool, corpora, verbose)
        good = mutated(tool, logs, verbose) and good
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())

"""Run by daemons.sh inside its private host: daemons.py NIGHTJAR FOLDER.

Each attempt at a network daemon comes from a loopback address of its own, so that
afterwards every event can be held against the one attempt that it must speak of: its
outcome, how many attempts are counted (one, however many lines it made), and the user.
An address that nobody tried from, such as one inside a user's name, is a failure.
"""
import base64
import concurrent.futures
import ftplib
import json
import os
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter

NIGHTJAR, FOLDER = sys.argv[1:3]
GOOD = 'correct-horse'
EXTRA = os.environ.get('NIGHTJAR_TEST_ROOT', '/var/lib/nightjar-test')

# What an attacker may call himself.
NAMES = [
    b'root', b'nosuchuser', b'two words', b'x from 8.8.8.8 port 22 ssh2', b'x from 8.8.8.8 port 22 ssh2: x',
    b'', b' ', b'"quoted"', b"it's", b'a\x1b[31mred\x1b[0m', b'line\nfeed from 8.8.8.8 port 1 ssh2',
    b'Accepted password for root from 8.8.8.8 port 22 ssh2', b'u' * 255,
    'пользователь'.encode(), '管理员'.encode(), b'user=root rhost=8.8.8.8', b'a; b', b'%s%n', b'(8.8.8.8)', b'-l', b'x[1]: y',
]


class Log:
    """What was tried."""

    def __init__(self):
        self.by_address, self.local, self.problems, self.skipped, self.n, self.audited = {}, [], [], [], 0, False

    def address(self):
        self.n += 1
        return f'127.0.{10 + self.n // 200}.{self.n % 200 + 1}'

    def remote(self, daemon, address, user, outcome, attempts=1):
        self.by_address[address] = {'daemon': daemon, 'user': user, 'outcome': outcome, 'attempts': attempts}

    def on_host(self, action, outcome, attempts=1, **fields):
        self.local.append({'action': action, 'outcome': outcome, 'attempts': attempts, **fields})

    def problem(self, text):
        self.problems.append(text)


log = Log()
running = []


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def start(*command, **more):
    out = open(f'{FOLDER}/{os.path.basename(command[0])}.out', 'ab')
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **more)
    running.append(process)
    return process


def stop(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listening(port, process, forks=False):
    until = time.monotonic() + 20
    while time.monotonic() < until and (forks or process.poll() is None):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            if s.connect_ex(('127.0.0.1', port)) == 0:
                return True
        time.sleep(0.02)
    with open(f'{FOLDER}/{os.path.basename(process.args[0])}.out', errors='replace') as f:
        log.problem(f'{process.args[0]} does not listen: {f.read()[-500:]}')
    return False


def wait_for_text(path, *texts):
    """For one line that holds all of these."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with open(path, errors='replace') as f:
            if any(all(t in line for t in texts) for line in f):
                return True
        time.sleep(0.02)
    return False


def tool(name):
    path = shutil.which(name, path='/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin')
    if path is None:
        log.skipped.append(name)
    return path


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write(text)
    os.chmod(path, mode)


def at_once(one, tries):
    """Several at a time: their lines mix, as they do."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, tries))


# ---- ssh ----

def dbclient(port, address, user, password):
    """As dropbear's client: it sends any name."""
    env = {'DROPBEAR_PASSWORD': password, 'HOME': FOLDER, 'PATH': os.environ['PATH']}
    return subprocess.run([b'dbclient', b'-y', b'-y', b'-T', b'-b', address.encode(), b'-p', str(port).encode(), b'-l', user,
                           b'127.0.0.1', b'echo in'], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, timeout=60, check=False).stdout == b'in\n'


def ssh_attempts(daemon, port, names):
    def one(tried):
        address, user, good = tried
        if dbclient(port, address, user, GOOD if good else 'wrong') != good:
            log.problem(f'{daemon}: {user} is {"not " if good else ""}let in')
        log.remote(daemon, address, user, 'success' if good else 'failure')

    at_once(one, [(log.address(), user, False) for user in names] + [(log.address(), b'alice', True) for _ in range(3)])


def sshd():
    path = tool('sshd')
    if path is None or tool('dbclient') is None:
        return
    port = free_port()
    shutil.rmtree('/etc/ssh', ignore_errors=True)
    os.mkdir('/etc/ssh')
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', '/etc/ssh/key'], check=True)
    config = (f'ListenAddress 127.0.0.1:{port}\nHostKey /etc/ssh/key\nUsePAM yes\nUseDNS no\nPermitRootLogin no\n'
              'KbdInteractiveAuthentication no\nPasswordAuthentication yes\nMaxAuthTries 1\nMaxStartups 100\nPrintMotd no\n')
    write('/etc/ssh/sshd_config', config + 'PerSourcePenalties no\n')
    if subprocess.run([path, '-t'], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        write('/etc/ssh/sshd_config', config)
    process = start(path, '-D')
    if listening(port, process):
        ssh_attempts('sshd', port, NAMES)
    stop(process)


def dropbear():
    path = tool('dropbear')
    if path is None:
        return
    port = free_port()
    key = f'{FOLDER}/dropbear.key'
    subprocess.run(['dropbearkey', '-t', 'ed25519', '-f', key], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    process = start(path, '-F', '-r', key, '-p', f'127.0.0.1:{port}', '-T', '1', '-P', f'{FOLDER}/dropbear.pid')
    if listening(port, process):
        # Longer ones than its limit it does not take for names at all.
        ssh_attempts('dropbear', port, [n for n in NAMES if 0 < len(n) <= 100])
    stop(process)


# ---- ftp ----

def ftp_attempts(daemon, port, names):
    def one(tried):
        address, user, good = tried
        ftp = ftplib.FTP(encoding='latin-1', timeout=60)
        try:
            ftp.connect('127.0.0.1', port, source_address=(address, 0))
            ftp.login(user.decode('latin-1'), GOOD if good else 'wrong')
            if not good:
                log.problem(f'{daemon}: {user} is let in')
            ftp.quit()
        except ftplib.all_errors as e:
            if good:
                log.problem(f'{daemon}: a good login fails: {e}')
        finally:
            ftp.close()
        log.remote(daemon, address, user, 'success' if good else 'failure')

    at_once(one, [(log.address(), user, False) for user in names if b'\n' not in user]
            + [(log.address(), b'alice', True) for _ in range(3)])


FTP_NAMES = [n for n in NAMES if n.strip() and len(n) < 100 and n != b'root']


def vsftpd():
    path = tool('vsftpd')
    if path is None:
        return
    port = free_port()
    write('/etc/vsftpd.conf', f'listen=YES\nlisten_address=127.0.0.1\nlisten_port={port}\nbackground=NO\nlocal_enable=YES\n'
          'anonymous_enable=NO\nwrite_enable=NO\npam_service_name=vsftpd\nseccomp_sandbox=NO\nisolate=NO\nisolate_network=NO\n'
          'xferlog_enable=YES\nvsftpd_log_file=/var/log/vsftpd.log\ndual_log_enable=YES\nmax_login_fails=1\ndelay_failed_login=0\n'
          'delay_successful_login=0\nsecure_chroot_dir=/run/vsftpd/empty\n')
    os.makedirs('/run/vsftpd/empty', exist_ok=True)
    write('/etc/pam.d/vsftpd', 'auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n')
    process = start(path, '/etc/vsftpd.conf')
    if listening(port, process):
        ftp_attempts('vsftpd', port, FTP_NAMES)
    stop(process)


def extra(name):
    path = f'{EXTRA}/usr/sbin/{name}'
    if not os.path.exists(path):
        log.skipped.append(name)
        return None, None
    env = dict(os.environ, LD_LIBRARY_PATH=':'.join(
        root for root, _, _ in os.walk(f'{EXTRA}/usr/lib') if '-linux-gnu' in root))
    return path, env


def proftpd():
    path, env = extra('proftpd')
    if path is None:
        return
    port = free_port()
    write(f'{FOLDER}/proftpd.conf', f'ServerName x\nServerType standalone\nDefaultAddress 127.0.0.1\nPort {port}\nUseIPv6 off\nUseReverseDNS off\n'
          'User root\nGroup root\nRequireValidShell off\nAuthOrder mod_auth_unix.c\nMaxLoginAttempts 1\n'
          f'PidFile {FOLDER}/proftpd.pid\nScoreboardFile {FOLDER}/scoreboard\nWtmpLog off\n<IfModule mod_delay.c>\nDelayEngine off\n</IfModule>\nSyslogLevel info\n')
    # In the foreground it would log to standard error.
    process = start(path, '-c', f'{FOLDER}/proftpd.conf', env=env)
    if listening(port, process, forks=True):
        with open(f'{FOLDER}/proftpd.pid') as f:
            pid = int(f.read())
        try:
            ftp_attempts('proftpd', port, FTP_NAMES)
        finally:
            os.kill(pid, 15)
    process.wait(30)


def pure_ftpd():
    path, env = extra('pure-ftpd')
    if path is None:
        return
    port = free_port()
    process = start(path, '-S', f'127.0.0.1,{port}', '-l', 'unix', '-E', '-H', '-j', '-u', '1', '-g', f'{FOLDER}/pure.pid', env=env)
    if listening(port, process):
        ftp_attempts('pure-ftpd', port, FTP_NAMES)
    stop(process)


# ---- web ----

def nginx():
    path = tool('nginx')
    if path is None:
        return
    port = free_port()
    write(f'{FOLDER}/htpasswd', f'alice:{{PLAIN}}{GOOD}\n')
    write(f'{FOLDER}/nginx.conf', f'''daemon off; user root; pid {FOLDER}/nginx.pid; error_log /var/log/nginx-error.log;
events {{}} http {{ access_log /var/log/nginx-access.log combined; server {{ listen 127.0.0.1:{port};
location / {{ auth_basic x; auth_basic_user_file {FOLDER}/htpasswd; return 200; }}
location /page {{ auth_basic x; auth_basic_user_file {FOLDER}/htpasswd; alias {FOLDER}/htpasswd; }} }} }}''')
    process = start(path, '-c', f'{FOLDER}/nginx.conf', '-e', '/var/log/nginx-error.log')
    if listening(port, process):
        for user in NAMES + [b'alice']:
            # A colon would end the name; none asks for no login.
            if b':' in user or user == b'':
                continue
            address = log.address()
            good = user == b'alice'
            word = base64.b64encode(user + b':' + (GOOD if good else 'wrong').encode())
            with socket.create_connection(('127.0.0.1', port), source_address=(address, 0), timeout=30) as s:
                s.sendall(b'GET /page HTTP/1.0\r\nHost: x\r\nAuthorization: Basic ' + word + b'\r\n\r\n')
                answer = b''
                while chunk := s.recv(4096):
                    answer += chunk
            if (b' 200 ' in answer[:20]) != good:
                log.problem(f'nginx: {user}: {answer[:40]}')
            # Its two files tell each by itself: see judge().
            # A request with a good password is a request, not a login.
            log.remote('nginx', address, user, None if good else 'failure', 0 if good else 1)
    stop(process)


# ---- vpn ----

VPN_VERIFY = f'''#!/bin/sh
{{ IFS= read -r user && IFS= read -r password; }} <"$1"
[ "$user" = alice ] && [ "$password" = {GOOD} ]
'''
# In the place of the file there is the plugin: PAM's lines, from a process that knows no address.
VPN_PLUGINS = ('/usr/lib/openvpn/openvpn-plugin-auth-pam.so', '/usr/lib/x86_64-linux-gnu/openvpn/plugins/openvpn-plugin-auth-pam.so')


def can_tun():
    """A server needs a device; what the kernel says when it gives none."""
    try:
        os.close(os.open('/dev/net/tun', os.O_RDWR))
        return None
    except OSError as e:
        return f'/dev/net/tun: {e.strerror}'


def vpn_client(port, address, user, password, more):
    """One attempt; whether it was let in."""
    base = f'{FOLDER}/vpn-{address}'
    with open(base, 'wb') as f:
        f.write(user + b'\n' + password.encode() + b'\n')
    os.chmod(base, 0o600)
    with subprocess.Popen(
            ['openvpn', '--client', '--dev', 'null', '--proto', 'udp', '--remote', '127.0.0.1', str(port), '--local', address, '--lport', '0',
             '--ca', f'{FOLDER}/vpn.cert', '--auth-user-pass', base, '--ifconfig-noexec', '--route-noexec', '--verb', '3',
             '--connect-retry-max', '1', *more], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        timer = threading.Timer(60, client.kill)
        timer.start()
        said = b''
        for line in client.stdout:
            said += line
            if b'Initialization Sequence Completed' in line:
                client.terminate()
                break
        timer.cancel()
    if b'Initialization Sequence Completed' not in said and b'AUTH_FAILED' not in said:
        log.problem(f'openvpn: a client hears nothing: {said[-300:]!r}')
    return b'Initialization Sequence Completed' in said


VPNS = ('openvpn', 'ovpn-cert', 'ovpn-pam')


def vpn_server(daemon, tried, options, client_options=()):
    """Wrong and right passwords at one server, whose lines go to syslog as Debian's do."""
    port = free_port()
    process = start('openvpn', '--syslog', daemon, '--mode', 'server', '--tls-server', '--dev', 'tun', '--topology', 'subnet', '--server',
                    '10.9.0.0', '255.255.255.0', '--proto', 'udp', '--local', '127.0.0.1', '--port', str(port), '--ca', f'{FOLDER}/vpn.cert', '--cert',
                    f'{FOLDER}/vpn.cert', '--key', f'{FOLDER}/vpn.key', '--dh', 'none', '--verb', '3', '--keepalive', '10', '60', '--duplicate-cn',
                    *options)
    if not wait_for_text('/var/log/syslog', f'{daemon}[', 'Initialization Sequence Completed'):
        log.problem(f'{daemon} does not start')
        return

    def one(attempt):
        address, user, good = attempt
        if vpn_client(port, address, user, GOOD if good else 'wrong', client_options) != good:
            log.problem(f'{daemon}: {user} is {"not " if good else ""}let in')
        log.remote(daemon, address, user, 'success' if good else 'failure')

    at_once(one, [(log.address(), user, False) for user in tried] + [(log.address(), b'alice', True) for _ in range(3)])
    stop(process)


def openvpn():
    if tool('openvpn') is None or tool('openssl') is None:
        return
    reason = can_tun()
    if reason:
        log.skipped.append(f'openvpn ({reason})')
        return
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', f'{FOLDER}/vpn.key', '-out', f'{FOLDER}/vpn.cert',
                    '-days', '30', '-subj', '/CN=gateway'], stderr=subprocess.DEVNULL, check=True)
    write(f'{FOLDER}/vpn-verify', VPN_VERIFY, 0o755)
    script = ['--auth-user-pass-verify', f'{FOLDER}/vpn-verify', 'via-file', '--script-security', '2', '--tmp-dir', FOLDER]
    # A name goes to the server as a line of a file.
    tried = [n for n in NAMES if n and b'\n' not in n]
    vpn_server('openvpn', tried, script + ['--verify-client-cert', 'none', '--username-as-common-name'])
    # With a certificate, whose name stands in every line, after a wrong password too.
    vpn_server('ovpn-cert', [b'nosuchuser', b'alice'], script, ['--cert', f'{FOLDER}/vpn.cert', '--key', f'{FOLDER}/vpn.key'])
    plugin = next(filter(os.path.exists, VPN_PLUGINS), None)
    if plugin is None:
        log.skipped.append('openvpn-plugin-auth-pam.so')
        return
    write('/etc/pam.d/openvpn', 'auth required pam_unix.so nodelay\naccount required pam_unix.so\n')
    vpn_server('ovpn-pam', [n for n in tried if len(n) < 100], ['--plugin', plugin, 'openvpn', '--verify-client-cert', 'none'])


# ---- on the host ----

def talk(command, answers, as_user=None, until=None):
    """Runs a command on a terminal and answers its questions; its exit status.  It is
    ended when it says `until`."""
    pid, fd = pty.fork()
    if pid == 0:
        if as_user:
            command = ['runuser', '-u', as_user, '--'] + command
        os.environ['LC_ALL'] = 'C'
        os.execvp(command[0], command)
    said, deadline = b'', time.monotonic() + 30
    answers = list(answers)
    while time.monotonic() < deadline:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                chunk = os.read(fd, 4096)
            except OSError:
                # Its end; or util-linux's login, which hangs its terminal up and opens it again.
                if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                    break
                time.sleep(0.01)
                continue
            if not chunk:
                break
            said += chunk
            if until and re.search(until, said):
                os.kill(pid, 9)
                break
            if answers and re.search(answers[0][0], said):
                os.write(fd, answers.pop(0)[1] + b'\n')
                said = b''
    else:
        os.kill(pid, 9)
        log.problem(f'{command}: no end: {said!r}')
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def sudo():
    if tool('sudo') is None:
        return
    ask = rb'assword[^\n]*: *$'
    subprocess.run(['runuser', '-u', 'alice', '--', 'sudo', '-K'], check=False)
    if talk(['sudo', '/bin/true', 'from 8.8.8.8 port 22 ssh2'], [(ask, GOOD.encode())], 'alice') != 0:
        log.problem('sudo: a good password fails')
    log.on_host('sudo', 'success', user='alice', command='/bin/true from 8.8.8.8 port 22 ssh2')
    subprocess.run(['runuser', '-u', 'alice', '--', 'sudo', '-K'], check=False)
    if talk(['sudo', '/bin/true'], [(ask, b'no1'), (ask, b'no2'), (ask, b'no3')], 'alice') == 0:
        log.problem('sudo: wrong passwords are taken')
    log.on_host('sudo', 'failure', attempts=3, user='alice')
    if talk(['sudo', '/bin/true'], [(ask, GOOD.encode())], 'bob') == 0:
        log.problem('sudo: bob is let in')
    log.on_host('sudo', 'failure', user='bob')


def doas():
    """It names the asker only; the command and the folder are his."""
    if tool('doas') is None:
        return
    write('/etc/doas.conf', 'permit alice\npermit nopass alice as bob\n', 0o600)
    ask = rb'assword: *$'
    if talk(['doas', '/bin/echo', 'x as bob from 8.8.8.8'], [(ask, GOOD.encode())], 'alice') != 0:
        log.problem('doas: a good password fails')
    log.on_host('doas', 'success', user='alice')
    for _ in range(2):
        if talk(['doas', '/bin/true'], [(ask, b'wrong')], 'alice') == 0:
            log.problem('doas: a wrong password is taken')
        log.on_host('doas', 'failure', user='alice')
    if talk(['doas', '-u', 'bob', '/bin/true'], [], 'alice') != 0:
        log.problem('doas: nopass fails')
    log.on_host('doas', 'success', user='alice')
    if talk(['doas', '/bin/true'], [(ask, GOOD.encode())], 'bob') == 0:
        log.problem('doas: bob is let in')
    log.on_host('doas', 'failure', user='bob')


def su():
    if tool('su') is None:
        return
    ask = rb'assword: *$'
    if talk(['su', 'alice', '-c', 'true'], [(ask, GOOD.encode())], 'bob') != 0:
        log.problem('su: a good password fails')
    log.on_host('su', 'success', user='bob', to='alice')
    if talk(['su', 'alice', '-c', 'true'], [(ask, b'wrong')], 'bob') == 0:
        log.problem('su: a wrong password is taken')
    log.on_host('su', 'failure', user='bob', to='alice')


def login():
    if tool('login') is None:
        return
    # It tells no name that it does not know.
    for user, told in ((b'alice', 'alice'), (b'two words', None), (b'x from 8.8.8.8 port 22 ssh2', None),
                       ('пользователь'.encode(), None)):
        talk(['login'], [(rb'login: *$', user), (rb'assword: *$', b'wrong')], until=rb'ncorrect')
        log.on_host('login', 'failure', user=told)
    if talk(['login'], [(rb'login: *$', b'alice'), (rb'assword: *$', GOOD.encode()), (rb'\$ *$', b'exit')]) != 0:
        log.problem('login: a good login fails')
    log.on_host('login', 'success', user='alice')


def accounts():
    for command in (['useradd', '-m', 'carol'], ['usermod', '-s', '/bin/bash', 'carol'], ['groupadd', 'crew'],
                    ['gpasswd', '-a', 'carol', 'crew'], ['userdel', '-r', 'carol'], ['groupdel', 'crew']):
        if tool(command[0]) and subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0:
            log.problem(f'{command[0]} fails')
    subprocess.run(['chpasswd'], input=f'bob:{GOOD}\n', text=True, check=False)
    for action in ('user_added', 'user_deleted', 'group_added', 'group_deleted'):
        log.on_host(action, None, target='carol' if action.startswith('user') else None)


# ---- auditd ----

AUDIT_LOG, AUDIT_UID = os.environ.get('AUDIT_LOG'), int(os.environ.get('AUDIT_UID') or 0)
AUDITED = ['/bin/echo', 'from 8.8.8.8 port 22 ssh2', 'x y', '"q"', 'ш', '', 'acct="root" res=success']


def auditd():
    if not AUDIT_LOG:
        log.skipped.append(f'auditd ({os.environ.get("AUDIT_WHY")})')
        return
    subprocess.run(['sh', '-c', f'echo {AUDIT_UID + 3} >/proc/self/loginuid; exec "$@"', 'sh', *AUDITED], stdout=subprocess.DEVNULL, check=True)
    log.audited = True


def wait_for_audit():
    """The kernel gives its records out in their order; this one, as auditctl -m sends it, is the last."""
    mark = f'end of the attempts {os.getpid()}'
    message = mark.encode() + b'\0'
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as s:
        s.send(struct.pack('=IHHII', 16 + len(message), 1005, 5, 1, 0) + message)
    if not wait_for_text(AUDIT_LOG, mark):
        log.problem('auditd does not write the last record')


def audited():
    """The events of this host's processes, and of no other's: each has a record with our uid."""
    ours, serial = re.compile(rf'\bauid=(?:{"|".join(str(AUDIT_UID + i) for i in range(4))})\b'), re.compile(r'audit\([0-9.:]+\)')
    with open(AUDIT_LOG, errors='surrogateescape') as f:
        lines = [(serial.search(line), line) for line in f]
    kept = {m[0] for m, line in lines if m and ours.search(line)}
    with open(f'{FOLDER}/audited.log', 'w', errors='surrogateescape') as out:
        out.writelines(line for m, line in lines if m and m[0] in kept)
    return out.name


def judge_audit():
    """sshd's attempts once each, though it writes up to four records of one; of the
    others' PAM speaks, which is no login.  And what rules and the account tools record."""
    if not AUDIT_LOG:
        return
    wait_for_audit()
    seen, names, commands, kinds = {}, {}, [], Counter()
    for event in events(audited()):
        address, name = event.get('source', {}).get('ip'), event.get('user', {}).get('name')
        action, outcome = event['event']['action'], event['event'].get('outcome')
        kinds[action] += 1
        if address is not None and address not in log.by_address:
            log.problem(f'auditd: an address that nobody came from: {event["message"]}')
        if address is not None and action == 'login':
            seen.setdefault(address, Counter())[outcome] += event.get('auth', {}).get('attempts', 1)
        if name is not None and address is not None:
            names.setdefault(address, set()).add(plain(name))
        if action == 'process_started':
            commands.append(event['process'].get('command_line'))
    for address, want in log.by_address.items():
        user, found = plain(want['user'].decode('utf-8', 'replace')), seen.get(address, Counter())
        if want['daemon'] == 'sshd' and +found != Counter({want['outcome']: want['attempts']}):
            log.problem(f'auditd: {want["user"]!r} from {address}: {dict(found)}, not {want["attempts"]} {want["outcome"]}')
        if any(not user.startswith(n.rstrip('.')) for n in names.get(address, ())):
            log.problem(f'auditd: {want["user"]!r} from {address}: user {names[address]}')
    if 'sshd' in {w['daemon'] for w in log.by_address.values()} and not seen:
        log.problem('auditd has none of the logins')
    if log.audited and commands != [' '.join(AUDITED)]:
        log.problem(f'auditd: commands {commands}')
    print(f'auditd: {sum(kinds.values())} records, {len(seen)} logins, {dict(kinds)}')


# ---- what was read ----

def plain(name):
    """A name as no daemon escapes it any more: all but letters and digits is one dot."""
    name = re.sub(r'\\+x[0-9A-Fa-f]{2}|\\+[0-7]{3}|#[0-7]{3}|\\+[nrtabfv"]|\^.|[^A-Za-z0-9]', '.', name)
    return re.sub(r'\.+', '.', name).strip('.')


def events(path):
    out = subprocess.run([NIGHTJAR, 'parse', '--raw', path], stdout=subprocess.PIPE, check=True).stdout
    for line in out.decode('utf-8', 'replace').split('\n'):
        if line:
            event = json.loads(line)
            if 'action' in event.get('event', {}):
                yield event


def wait_for_logs():
    """syslog has everything when it has a line that comes after everything."""
    mark = f'end of the attempts {os.getpid()}'
    subprocess.run(['logger', '-p', 'auth.info', '-t', 'test', mark], check=True)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with open('/var/log/auth.log', errors='replace') as f:
            if mark in f.read():
                return
        time.sleep(0.05)
    log.problem('syslog does not write the last line')


def fold(found, event):
    outcome = event['event'].get('outcome')
    if outcome in ('success', 'failure'):
        found['n'][outcome] += event.get('auth', {}).get('attempts', 1)
        found['said'].add(outcome)
    name = event.get('user', {}).get('name')
    if name is not None and event['event'].get('action') != 'ssh_session':
        found['users'].add(plain(name))
    found['lines'].append(event.get('message', ''))


def judge_remote(by_address):
    for address, want in log.by_address.items():
        found = by_address.get(address)
        user = plain(want['user'].decode('utf-8', 'replace'))
        what = f'{want["daemon"]}, {want["user"]!r} from {address}'
        if found is None:
            log.problem(f'{what}: no event')
            continue
        n, lines = found['n'], '\n      '.join(found['lines'])
        if any(n[o] != (want['attempts'] if o == want['outcome'] else 0) for o in ('success', 'failure')):
            log.problem(f'{what}: {dict(n)}, not {want["attempts"]} {want["outcome"]}\n      {lines}')
        # What a daemon cuts or leaves out is no mistake of ours; another name is.
        wrong = {u for u in found['users'] if u and not user.startswith(u.rstrip('.')) and not plain(u) == user}
        # Debian's dropbear names nobody whom it does not know, openvpn nobody whom it refuses.
        silent = want['daemon'] == 'dropbear' or (want['outcome'] == 'failure' and want['daemon'] in VPNS)
        if wrong or (user and len(user) < 100 and not found['users'] and not silent):
            log.problem(f'{what}: user {found["users"]}\n      {lines}')


def judge_local(found):
    want = Counter()
    for one in log.local:
        if one['outcome']:
            want[one['action'], one.get('user'), one['outcome']] += one['attempts']
        elif not any(e['event']['action'] == one['action'] for e in found):
            log.problem(f'no {one["action"]}')
    have = Counter()
    for e in found:
        outcome = e['event'].get('outcome')
        if e['event']['action'] in ('sudo', 'doas', 'su', 'login') and outcome in ('success', 'failure'):
            have[e['event']['action'], e.get('user', {}).get('name'), outcome] += e.get('auth', {}).get('attempts', 1)
    for key in want:
        if have[key] != want[key]:
            said = [e['message'] for e in found if e['event']['action'] == key[0]]
            log.problem(f'{key}: {have[key]} attempts, not {want[key]}\n      ' + '\n      '.join(said))


def judge():
    by_address, local = {}, []
    # Two files of one daemon speak of one attempt: each is held against it by itself.
    files = [['/var/log/auth.log'], ['/var/log/syslog'], ['/var/log/vsftpd.log'], ['/var/log/nginx-error.log'], ['/var/log/nginx-access.log']]
    for group in files:
        seen = {}
        for path in filter(os.path.exists, group):
            for event in events(path):
                address = event.get('source', {}).get('ip')
                if address is not None and not address.startswith('127.'):
                    log.problem(f'an address that nobody came from: {address}: {event["message"]}')
                if address in log.by_address:
                    found = seen.setdefault(address, {'n': Counter(), 'said': set(), 'users': set(), 'lines': []})
                    fold(found, event)
                elif address is None:
                    local.append(event)
        for address, found in seen.items():
            if found['said'] or address not in by_address:
                kept = by_address.get(address)
                if kept is None or not kept['said']:
                    by_address[address] = found
                elif kept['n'] != found['n']:
                    log.problem(f'{address}: {group} tells {dict(found["n"])}, another file {dict(kept["n"])}\n      '
                                + '\n      '.join(found['lines']))
    judge_remote(by_address)
    judge_local(local)


def main():
    tried = [sshd, dropbear, vsftpd, proftpd, pure_ftpd, nginx, openvpn, accounts, sudo, doas, su, login, auditd]
    only = os.environ.get('NIGHTJAR_TEST_DAEMONS', '').split()
    tried = [one for one in tried if not only or one.__name__ in only]
    try:
        for one in tried:
            since = time.monotonic()
            one()
            print(f'{one.__name__}: {time.monotonic() - since:.1f} s', flush=True)
        wait_for_logs()
    finally:
        for process in running:
            stop(process)
    judge()
    judge_audit()
    for name in log.skipped:
        print(f'not here: {name}')
    daemons = Counter(a['daemon'] for a in log.by_address.values())
    print(f'{len(log.by_address)} attempts over the network ({dict(daemons)}), {len(log.local)} on the host; '
          f'{len(log.problems)} problems')
    for text in log.problems:
        print('  ' + text)
    keep = os.environ.get('NIGHTJAR_KEEP_LOGS')
    if keep:
        shutil.copytree('/var/log', keep, dirs_exist_ok=True)
        if AUDIT_LOG:
            shutil.copy(AUDIT_LOG, keep)
    return 1 if log.problems else 0


if __name__ == '__main__':
    sys.exit(main())

# shellcheck shell=bash
# Sourced inside the namespaces that `enter` makes: a host of our own, with Debian's
# rsyslog and openssh-server as they run anywhere, but seen by nobody else.
#
# Private are: /etc (a copy), /run, /dev, /var/log, /var/spool/rsyslog, /home, the
# processes and the network, of which there is loopback only.  So users can be made,
# ports taken and logs written as on any machine, by the paths that AppArmor's
# profiles know, and when the first process of the namespace ends, all is gone.
#
#   enter SCRIPT [ARG...]    runs bash SCRIPT in such namespaces; 77 where it can't
#   host_up FOLDER           what the host needs goes to FOLDER
#   syslog_up, syslog_down, sshd_up
#   login USER PASSWORD FROM PORT [COMMAND]   FROM is a loopback address
#   rotate                   moves the logs away as logrotate does
#   wait_for SECONDS COMMAND...

can_enter() {
	local missing='' tool
	[ "$(id -u)" = 0 ] || { echo "needs root for namespaces"; return 77; }
	for tool in sshd rsyslogd sshpass ssh ip useradd unshare logger; do
		command -v $tool >/dev/null || missing+=" $tool"
	done
	[ -z "$missing" ] || { echo "not installed:$missing"; return 77; }
	unshare --mount --pid --net --fork --kill-child --mount-proc true 2>/dev/null ||
		{ echo "no namespaces here"; return 77; }
}

enter() {
	can_enter || return
	unshare --mount --propagation private --pid --net --uts --ipc --fork --kill-child --mount-proc bash "$@"
}

private_dev() { # FOLDER
	local node
	mount -t tmpfs -o mode=755,nosuid dev "$1"
	mkdir "$1/net"
	for node in null zero full random urandom tty net/tun; do
		[ -e /dev/$node ] || continue
		: >"$1/$node"
		mount --bind /dev/$node "$1/$node"
	done
	mkdir "$1/pts" "$1/shm"
	mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$1/pts"
	mount -t tmpfs -o mode=1777 shm "$1/shm"
	ln -s pts/ptmx "$1/ptmx"
	ln -s /proc/self/fd "$1/fd"
	ln -s fd/0 "$1/stdin"
	ln -s fd/1 "$1/stdout"
	ln -s fd/2 "$1/stderr"
	mount --rbind "$1" /dev
}

host_up() { # FOLDER
	HOST=$1
	set -e
	hostname gateway
	ip link set lo up
	mkdir -p "$HOST/etc" "$HOST/dev" "$HOST/home" "$HOST/spool" "$HOST/log"
	cp -a /etc/. "$HOST/etc/"
	mount --bind "$HOST/etc" /etc
	mount --bind "$HOST/home" /home
	mount --bind "$HOST/log" /var/log
	mkdir -p /var/spool/rsyslog
	mount --bind "$HOST/spool" /var/spool/rsyslog
	mount -t tmpfs -o mode=755,nosuid,nodev run /run
	mkdir -m 755 /run/sshd
	mkdir -m 1777 /run/lock
	private_dev "$HOST/dev"
	echo gateway >/etc/hostname
	printf '127.0.0.1 localhost gateway\n::1 localhost\n' >/etc/hosts
	: >/var/log/wtmp
	: >/var/log/btmp
	: >/var/log/lastlog
	chgrp utmp /var/log/wtmp /var/log/btmp /var/log/lastlog
	chmod 660 /var/log/btmp
	chmod 664 /var/log/wtmp /var/log/lastlog
	set +e
}

# Makes a user with a home and a password.
add_user() { # NAME PASSWORD [UID]
	useradd -m -s /bin/sh ${3:+-u "$3"} "$1" && echo "$1:$2" | chpasswd
}

# Debian 12's and 13's own layout: stamps as rsyslog writes them by default, login
# messages in auth.log, the rest in syslog, readable for the group adm.
syslog_configure() {
	rm -rf /etc/rsyslog.d
	mkdir /etc/rsyslog.d
	cat >/etc/rsyslog.conf <<-'X'
		module(load="imuxsock")
		global(workDirectory="/var/spool/rsyslog")
		$FileOwner root
		$FileGroup adm
		$FileCreateMode 0640
		$DirCreateMode 0755
		$Umask 0022
		auth,authpriv.*			/var/log/auth.log
		*.*;auth,authpriv.none		/var/log/syslog
	X
}

syslog_up() {
	[ -e "$HOST/syslog-configured" ] || { syslog_configure && : >"$HOST/syslog-configured"; } || return
	rsyslogd -n -i /run/rsyslogd.pid >"$HOST/rsyslogd.out" 2>&1 &
	SYSLOG_PID=$!
	wait_for 10 test -S /dev/log || { cat "$HOST/rsyslogd.out"; return 1; }
}

syslog_down() {
	[ -n "${SYSLOG_PID-}" ] || return 0
	kill -TERM "$SYSLOG_PID" && wait "$SYSLOG_PID"
	SYSLOG_PID=
}

sshd_up() { # PORT
	rm -f /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d/*
	ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key || return
	cat >/etc/ssh/sshd_config <<-X
		ListenAddress 127.0.0.1:$1
		HostKey /etc/ssh/ssh_host_ed25519_key
		PasswordAuthentication yes
		KbdInteractiveAuthentication no
		PermitRootLogin no
		UsePAM yes
		UseDNS no
		PrintMotd no
		MaxStartups 100
	X
	# From 9.8 on an attacker is shut out after a few attempts; ours must go on.
	echo 'PerSourcePenalties no' >>/etc/ssh/sshd_config
	"$(command -v sshd)" -t 2>/dev/null || sed -i '/^PerSourcePenalties/d' /etc/ssh/sshd_config
	"$(command -v sshd)" -D >"$HOST/sshd.out" 2>&1 &
	SSHD_PID=$!
	wait_for 10 grep -q 'Server listening' /var/log/auth.log || { cat "$HOST/sshd.out"; return 1; }
}

login() { # USER PASSWORD FROM PORT [COMMAND]
	SSHPASS=$2 sshpass -e ssh -n -F none -p "$4" -b "$3" -o StrictHostKeyChecking=no \
		-o UserKnownHostsFile=/dev/null -o PreferredAuthentications=password \
		-o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 -o ConnectTimeout=20 \
		-o LogLevel=ERROR "$1@127.0.0.1" "${5:-true}"
}

rotate() {
	local log
	for log in /var/log/auth.log /var/log/syslog; do
		[ ! -e $log.1 ] || mv $log.1 $log.2
		[ ! -e $log ] || mv $log $log.1
	done
	kill -HUP "$SYSLOG_PID"
}

wait_for() { # SECONDS COMMAND...
	local until=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $until ] || return 1
		sleep 0.1
	done
}

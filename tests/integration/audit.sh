# shellcheck shell=bash
# Sourced by daemons.sh: Debian's auditd, for as long as the attempts are made.
#
# The kernel has one audit, for the whole machine, and gives its records to one daemon of
# the first pid namespace.  So auditd runs outside of the private host, and what is ours
# among the records is told by the login uid, which all of the host's processes inherit.
#
#   audit_up FOLDER    AUDIT_LOG, AUDIT_UID, or AUDIT_WHY: why there is none
#   audit_down         the kernel's audit is then as it was

AUDIT_ROOT=${NIGHTJAR_TEST_ROOT:-/var/lib/nightjar-test}

audit_tool() { # NAME [ARG...]
	local name=$1 path
	shift
	for path in "$AUDIT_ROOT/usr/sbin/$name" "$AUDIT_ROOT/sbin/$name" "$(command -v "$name")"; do
		if [ -x "$path" ]; then
			LD_LIBRARY_PATH=$(printf '%s:' "$AUDIT_ROOT"/usr/lib/*-linux-gnu "$AUDIT_ROOT"/lib/*-linux-gnu)
			LD_LIBRARY_PATH=${LD_LIBRARY_PATH%:} "$path" "$@"
			return
		fi
	done
	echo "$name is not installed"
	return 127
}

audit_field() { # NAME
	audit_tool auditctl -s 2>/dev/null | sed -n "s/^$1 //p"
}

audit_configure() { # FOLDER
	mkdir -m 700 "$1" "$1/plugins.d"
	cat >"$1/auditd.conf" <<-X
		local_events = yes
		write_logs = yes
		log_file = $1/audit.log
		log_format = ENRICHED
		flush = NONE
		priority_boost = 0
		max_log_file = 64
		max_log_file_action = IGNORE
		space_left = 2
		space_left_action = IGNORE
		admin_space_left = 1
		admin_space_left_action = IGNORE
		disk_full_action = IGNORE
		disk_error_action = IGNORE
		plugin_dir = $1/plugins.d
		end_of_event_timeout = 2
	X
	chmod 600 "$1/auditd.conf"
}

audit_rule() { # -a|-d
	audit_tool auditctl "$1" always,exit -F arch=b64 -S execve -F auid=$((AUDIT_UID + 3)) >/dev/null 2>&1
}

audit_up() { # FOLDER
	local conf=$1/audit
	AUDIT_LOG='' AUDIT_PID='' AUDIT_UID=$((20000 + $$ % 10000 * 4))
	AUDIT_WHY=$(audit_tool auditctl -s 2>&1) || {
		AUDIT_WHY=${AUDIT_WHY%%$'\n'*}
		return 1
	}
	AUDIT_ENABLED=$(audit_field enabled)
	AUDIT_WHY="an auditd runs already, with pid $(audit_field pid)"
	[ "$(audit_field pid)" = 0 ] || return 1
	audit_configure "$conf"
	# In the foreground it writes what would go to its file to standard output.
	audit_tool auditd -f -s enable -c "$conf" >"$conf/audit.log" 2>"$conf/out" &
	AUDIT_PID=$!
	for ((i = 0; i < 200; i++)); do
		if grep -q 'Init complete' "$conf/out"; then
			AUDIT_LOG=$conf/audit.log
			break
		fi
		kill -0 $AUDIT_PID 2>/dev/null || break
		sleep 0.05
	done
	if [ -z "$AUDIT_LOG" ]; then
		AUDIT_WHY="auditd: $(grep -i -m 1 'not permitted\|error\|refused\|cannot\|can.t' "$conf/out")"
		audit_down
		return 1
	fi
	if ! audit_rule -a; then
		AUDIT_WHY="the kernel takes no rule" AUDIT_LOG=''
		audit_down
		return 1
	fi
	echo $AUDIT_UID >/proc/self/loginuid
}

audit_down() {
	[ -n "$AUDIT_PID" ] || return 0
	[ -z "$AUDIT_LOG" ] || audit_rule -d
	pkill -TERM -P $AUDIT_PID 2>/dev/null
	kill -TERM $AUDIT_PID 2>/dev/null
	wait $AUDIT_PID
	AUDIT_PID=
	[ "$AUDIT_ENABLED" != 0 ] || audit_tool auditctl -e 0 >/dev/null 2>&1
}

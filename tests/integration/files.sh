#!/usr/bin/env bash
# files.sh TAIL_CAT FOLDER CASE: one case of docs/sources.md on the real kernel: each
# line that was written is printed once.  Status 77: it can't be tried here.
set -u
cat=$1 dir=$2 case=$3
log=$dir/log
mkdir -p "$log"
pid=
poll=100
forks_allowed=0 # of files that nobody saw while they bore their name
gaps_allowed=0  # of files that were taken away while nobody looked

skip() { echo "$1"; exit 77; }
fail() { echo "$1"; tail -n 5 "$dir/err" 2>/dev/null; exit 1; }

start() { # GLOB...
	"$cat" --state "$dir/state" --poll "$poll" "$@" >>"$dir/out" 2>>"$dir/err" &
	pid=$!
}
stop() {
	kill -TERM "$pid" && wait "$pid"
	pid=
}
finish() { [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null; }
trap finish EXIT

write() { seq -f 'line %06.0f of a file that is long enough to be known' "$2" "$3" >>"$1"; }

# Until as many lines are there, and then a moment for those that are too many.
expect() { # LINES [SECONDS]
	local end=$((SECONDS + ${2:-30})) n
	while n=$(wc -l <"$dir/out") && [ "$n" -lt "$1" ] && [ $SECONDS -lt $end ]; do
		sleep 0.1
	done
	sleep 0.5
	n=$(wc -l <"$dir/out")
	[ "$n" = "$1" ] || fail "$n lines came, not $1"
	[ "$(sed 's/^fork //' "$dir/out" | sort | uniq -d | wc -l)" = 0 ] || fail "a line came twice"
	[ $forks_allowed = 1 ] || ! grep -q '^fork ' "$dir/out" || fail "a fork"
	[ $gaps_allowed = 1 ] || ! grep -q '^gap ' "$dir/err" || fail "a gap"
}

in_namespace() { # COMMAND...: with mounts of its own
	unshare -m true 2>/dev/null || skip "unshare -m is not allowed here"
	unshare -m "$@"
}

hard_link() {
	write "$log/a.log" 1 50
	start "$log/*.log"
	expect 50
	ln "$log/a.log" "$log/b.log"
	write "$log/b.log" 51 100
	expect 100
	rm "$log/a.log"
	write "$log/b.log" 101 150
	expect 150
}

symbolic_link() {
	write "$log/one" 1 50
	ln -s one "$log/now.log"
	start "$log/now.log"
	expect 50
	write "$log/two" 51 100
	ln -sfn two "$log/now.log"
	write "$log/one" 101 120
	expect 120
	stop
	gaps_allowed=1 # Until the link is set back, the other file can't be found.
	ln -sfn one "$log/now.log"
	write "$log/one" 121 130
	write "$log/two" 131 140
	start "$log/now.log"
	expect 130
	ln -sfn two "$log/now.log"
	expect 140
}

rotation() {
	forks_allowed=1
	start "$log/a.log"
	for i in 0 1 2 3 4 5 6 7 8 9; do
		write "$log/a.log" $((i * 100 + 1)) $((i * 100 + 100))
		[ $i != 0 ] || expect 100
		if [ $((i % 2)) = 0 ]; then
			mv "$log/a.log" "$log/a.log.$i"
		else
			cp "$log/a.log" "$log/a.log.$i" && : >"$log/a.log"
		fi
		[ $((i % 3)) != 0 ] || sleep 0.3
	done
	write "$log/a.log" 1001 1010
	expect 1010
}

compressed() {
	local tool end=100
	for tool in gzip zstd xz; do
		command -v $tool >/dev/null || continue
		start "$log/a.log"
		write "$log/a.log" $((end - 99)) $((end - 50))
		expect $((end - 50))
		stop
		write "$log/a.log" $((end - 49)) $((end - 10))
		mv "$log/a.log" "$log/a.log.1"
		case $tool in
		zstd) zstd -q --rm "$log/a.log.1" ;;
		*) $tool "$log/a.log.1" ;;
		esac
		write "$log/a.log" $((end - 9)) $end
		start "$log/a.log"
		expect $end
		stop
		end=$((end + 100))
	done
}

late_directory() {
	start "$log/late/*/a.log"
	sleep 0.3
	mkdir -p "$log/late/deep"
	write "$log/late/deep/a.log" 1 50
	expect 50
}

# Root without the right to read what is others', so that it can reach its own folders.
permission_later() {
	local less=(setpriv "--bounding-set=-dac_override,-dac_read_search" --)
	[ "$(id -u)" = 0 ] || skip "needs root, to give a file away"
	write "$log/a.log" 1 50
	chown 65534 "$log/a.log"
	chmod 600 "$log/a.log"
	touch "$dir/out" "$dir/err"
	"${less[@]}" "$cat" --poll 100 "$log/a.log" >>"$dir/out" 2>>"$dir/err" &
	pid=$!
	sleep 0.5
	[ ! -s "$dir/out" ] || fail "read without the right to"
	[ "$(grep -c 'cannot open a log file' "$dir/err")" = 1 ] || fail "not said once"
	chmod 644 "$log/a.log"
	expect 50
}

# In a namespace of users of its own, whose watches can be limited to none.  Only /proc/sys/user is the
# namespace's own: /proc/sys/fs/inotify is the whole machine's, and root may write it from in there.
no_watches() {
	unshare -Ur true 2>/dev/null || skip "unshare -U is not allowed here"
	unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_inotify_instances' 2>/dev/null ||
		skip "watches can't be limited here"
	touch "$dir/out" "$dir/err"
	unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_inotify_instances; echo 0 >/proc/sys/user/max_inotify_watches
		exec "$@"' sh "$cat" --poll 100 "$log/*.log" >>"$dir/out" 2>>"$dir/err" &
	pid=$!
	write "$log/a.log" 1 50
	expect 50
	mv "$log/a.log" "$log/a.log.1"
	write "$log/a.log.1" 51 60
	write "$log/a.log" 61 100
	expect 100
	[ "$(grep -c 'cannot watch a directory' "$dir/err")" = 1 ] || fail "not said once"
}

few_descriptors() {
	for i in $(seq 100 299); do
		write "$log/$i.log" "${i}00" "${i}09"
	done
	ulimit -n 64
	start "$log/*.log"
	expect 2000 60
	[ "$(grep -c 'no descriptors are left' "$dir/err")" = 1 ] || fail "not said once"
	[ "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" -lt 60 ] || fail "none are left to others"
	for i in $(seq 100 299); do
		write "$log/$i.log" "${i}10" "${i}11"
	done
	expect 2400 60
}

many_files() {
	local i
	for i in $(seq 10000 19999); do
		echo "first line of $i" >"$log/$i.log"
	done
	ulimit -n 1024
	poll=1000
	start "$log/*.log"
	expect 10000 240
	for i in $(seq 10000 10 19999); do
		echo "second line of $i" >>"$log/$i.log"
	done
	expect 11000 120
	stop
	start "$log/*.log"
	sleep 3
	expect 11000
}

bind_mount() {
	in_namespace bash "$0" "$cat" "$dir" bind_mounted
}

bind_mounted() {
	mkdir -p "$log/here" "$dir/there"
	write "$log/here/a.log" 1 50
	mount --bind "$log/here" "$dir/there" || skip "mount --bind is not allowed here"
	start "$log/here/*.log" "$dir/there/*.log"
	expect 50
	write "$dir/there/a.log" 51 100
	expect 100
	# Another folder over the one that is read.
	mkdir "$dir/other"
	write "$dir/other/a.log" 101 150
	mount --bind "$dir/other" "$log/here"
	expect 150
	umount -l "$log/here"
	write "$log/here/a.log" 151 160
	expect 160
}

inode_reuse() {
	local i end=0
	gaps_allowed=1
	start "$log/a.log"
	for i in $(seq 10); do
		write "$log/a.log" $((end + 1)) $((end + 30))
		end=$((end + 30))
		expect $end
		stop
		rm "$log/a.log"
		write "$log/a.log" $((end + 1)) $((end + 30))
		end=$((end + 30))
		start "$log/a.log"
		expect $end
	done
}

"$case"

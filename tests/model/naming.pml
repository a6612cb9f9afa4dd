/* A stream is named on disk before any of it is sent.  One file that is too short to
 * prove by content alone whose it is; the collector knows streams by their ids and the
 * keyed hash of what it holds, the agent's table on disk knows which inode an id
 * belongs to.
 *
 * After a crash: an id that the table gives the file's inode, and that the collector
 * holds so far, goes on there.  Anything else begins a stream anew, from the start.
 *
 * To hold: each line is stored once.
 *
 *   unnamed      sent while the table on disk does not name the stream yet
 *   blind        a named stream is not asked for: the welcome is ignored
 *
 * check: -DN=3 -DAC=2 -DCC=1
 * long: -DN=5 -DAC=4 -DCC=3
 * break: unnamed blind
 */
#define none    0
#define unnamed 1
#define blind   2
#ifndef BREAK
#define BREAK none
#endif
#ifndef N
#define N 3
#endif
#ifndef AC
#define AC 2
#endif
#ifndef CC
#define CC 1
#endif
#define IDS (AC + 2)

byte named;             /* on the device's disk: the id that the inode has, 0: none */
byte Wr[IDS], Wd[IDS];  /* the collector's */
byte mem[N], disk[N];
byte id, next = 1;      /* volatile: the stream being read */
byte rp, ac, cc, i;
bool on;

/* Resumes at what is durable; what was received and not synced comes again. */
inline welcome() {
	on = true;
	if
	:: id == 0 && named != 0 && Wr[named] > 0 && BREAK != blind -> id = named; rp = Wd[id]
	:: id == 0 && (named == 0 || Wr[named] == 0 || BREAK == blind) -> id = next; next++; rp = 0
	:: id != 0 -> rp = Wd[id]
	fi
}

active proctype all() {
	do
	:: atomic { !on -> welcome() }
	:: atomic { id != 0 && named != id -> named = id }
	:: atomic { on && rp < N && (named == id || BREAK == unnamed) ->
		if
		:: rp == Wr[id] -> mem[rp]++; Wr[id]++
		:: else
		fi;
		rp++ }
	:: atomic { id != 0 && Wd[id] < Wr[id] ->
		do
		:: i < N -> disk[i] = mem[i]; i++
		:: else -> break
		od;
		i = 0;
		Wd[id] = Wr[id] }
	:: atomic { cc < CC ->
		cc++;
		on = false;
		do
		:: i < N -> mem[i] = disk[i]; i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < IDS -> Wr[i] = Wd[i]; i++
		:: else -> break
		od;
		i = 0 }
	:: atomic { ac < AC -> ac++; id = 0; rp = 0; on = false }
	:: atomic { id != 0 && Wd[id] == N -> break }
	od;
	atomic {
		do
		:: i < N -> assert(disk[i] == 1); i++
		:: else -> break
		od
	}
}

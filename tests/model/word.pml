/* A welcome is an acknowledgement, if it proves whose bytes it means.  An acknowledgement
 * may be lost with its connection, and nothing of that stream is new to the collector
 * afterwards, so that no other one follows.  The welcome names, with its hash, how far it
 * has the process's segment, which is let go of as far.  If that leads to W, then W is
 * acknowledged; otherwise W may be what a clone of the machine has sent, and the file has
 * to be compared with it.
 *
 * The collector's store is put back to a backup once.  An agent that knows more
 * acknowledged than there is, and holds none of it, reads the file again.
 *
 * To hold: what is acknowledged is stored, as the line that it is; in the end every line
 * is, in the stream or, where a clone's stand there, in a fork; the end is reached.
 *
 *   silent   a welcome is no acknowledgement, and the segment is let go of all the same
 *   any_w    a welcome is one whoever's bytes it means
 *   lowest   the agent goes back only as far as what it holds
 *   keep_w   it does not go back
 *
 * check: -DN=3 -DDC=2
 * long: -DN=6 -DDC=4
 * break: silent any_w lowest keep_w
 */
#define none   0
#define silent 1
#define any_w  2
#define lowest 3
#define keep_w 4
#ifndef BREAK
#define BREAK none
#endif
#ifndef N
#define N 3
#endif
#ifndef DC
#define DC 2
#endif
/* Every try needs a reason; more tries than reasons is a livelock. */
#define TRIES (6 + 2 * DC)

#define ours   1
#define clones 2

/* The collector: lines, W, and how far it has this process's segment. */
byte line[N], W, segment;
byte old_line[N], old_W, old_segment;
bool saved, put_back, cloned;
byte fork[N];
/* The agent. */
byte rp, lo, ap; /* sent to here; held from here; acknowledged */
bool on, forked, owed;
byte owed_to, tries, dc;
byte i;

inline acknowledged(to) {
	ap = (to > ap -> to : ap);
	lo = (ap > lo -> ap : lo);
	i = 0;
	do
	:: i < ap -> assert(line[i] == ours); i++
	:: else -> break
	od;
	i = 0
}

inline hang_up() { on = false; owed = false }

/* Whether the file has what the stream has: a clone's lines are others. */
inline look_at_file() {
	i = 0;
	do
	:: i < W -> forked = forked || line[i] != ours; i++
	:: else -> break
	od;
	i = 0
}

active proctype everything() {
	do
	:: atomic { !on ->
		tries++;
		assert(tries < TRIES);
		on = true;
		if
		:: W < ap && W < lo && BREAK != keep_w ->
			/* Read again, into another segment, once it was compared. */
			look_at_file();
			ap = W;
			lo = (BREAK == lowest -> lo : W);
			segment = 0
		:: else ->
			lo = (segment > lo -> segment : lo);
			if
			:: W > ap && BREAK == any_w -> ap = W; lo = (W > lo -> W : lo)
			:: W > ap && segment == W && BREAK != silent && BREAK != any_w -> acknowledged(W)
			:: segment != W && BREAK != any_w -> look_at_file()
			:: else
			fi
		fi;
		rp = (lo > W -> lo : W) }
	/* A line is sent: it arrives, or is lost with its connection. */
	:: atomic { on && !forked && rp < N ->
		if
		:: rp == W -> line[W] = ours; W++; segment = W; owed = true; owed_to = W
		:: rp > W -> hang_up() /* Refused: above W. */
		:: dc < DC -> dc++; hang_up()
		fi;
		rp++ }
	:: atomic { on && forked ->
		do
		:: i < N -> fork[i] = ours; i++
		:: else -> break
		od;
		i = 0;
		break }
	:: atomic { on && owed -> owed = false; acknowledged(owed_to) }
	:: atomic { on && dc < DC -> dc++; hang_up() }
	/* A backup of the store, and its return. */
	:: atomic { !saved ->
		saved = true;
		do
		:: i < W -> old_line[i] = line[i]; i++
		:: else -> break
		od;
		i = 0; old_W = W; old_segment = segment }
	:: atomic { saved && !put_back && old_W < W ->
		put_back = true;
		hang_up();
		do
		:: i < N -> line[i] = (i < old_W -> old_line[i] : 0); i++
		:: else -> break
		od;
		i = 0; W = old_W;
		segment = (old_segment < segment -> old_segment : segment) }
	/* A clone connects, and is further. */
	:: atomic { !cloned && W < N ->
		cloned = true;
		hang_up();
		line[W] = clones;
		W++ }
	:: atomic { on && !forked && W == N && ap == N -> break }
	/* All is there, and the word was lost: the next connection brings it. */
	:: atomic { timeout && on -> hang_up() }
	od;
	atomic {
		do
		:: i < N -> assert(line[i] == ours || fork[i] == ours); i++
		:: else -> break
		od
	}
}

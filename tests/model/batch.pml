/* Several streams in one batch, and gap records.  Two streams of N lines; a batch holds
 * a range of one or of both.  Lines may be destroyed before they were read: then a gap
 * record stands for them, an ordinary record whose range is what was lost.
 *
 * The collector has one watermark a stream, takes from a batch what continues it, and
 * refuses the whole batch when a part of it starts above.  It acknowledges a batch once
 * all of its streams are durable that far.  Either end crashes, connections break, a sync
 * fails.
 *
 * To hold: what is acknowledged is durable, each place of each stream once: as its line,
 * or, if that was destroyed, as a gap.
 *
 *   hole         a batch that starts above W is taken
 *   ack_one      acknowledged when the first of its streams is durable
 *   ack_early    acknowledged when it was received
 *   gap_stays    a gap record does not move W
 *   unsaid       what was destroyed is passed over without a gap record
 *   half         of a batch that is refused for one stream, the other's part is kept
 *                while its W stays: sent again it is there twice
 *   resume_sent  after a lost connection the agent goes on behind what it had sent
 *
 * check: -DN=2 -DAC=1 -DCC=1 -DDC=1
 * long: -DN=3 -DAC=1 -DCC=1 -DDC=1
 * break: hole ack_one ack_early gap_stays unsaid half resume_sent
 */
#define none        0
#define hole        1
#define ack_one     2
#define ack_early   3
#define gap_stays   4
#define unsaid      5
#define half        6
#define resume_sent 7
#ifndef BREAK
#define BREAK none
#endif
#ifndef N
#define N 2
#endif
#ifndef AC
#define AC 1
#endif
#ifndef CC
#define CC 1
#endif
#ifndef DC
#define DC 1
#endif
/* Every try needs a reason; more tries than reasons is a livelock. */
#define TRIES (4 + 4 * (AC + CC + DC))

mtype = { HELLO, BATCH, WELCOME, ACK, NAK };

typedef part { byte s, e; bool gap };

/* up: kind, session, then start, end, gap of each stream; down: kind, session, W of each */
chan up = [2] of { mtype, byte, byte, byte, bool, byte, byte, bool };
chan down = [2] of { mtype, byte, byte, byte };

/* The collector's: copies of each line and gap in memory and on disk. */
byte mem[2 * N], disk[2 * N];
bool mem_gap[2 * N], disk_gap[2 * N];
byte Wr[2], Wd[2];
bool owed;
byte owed_to, owed_e[2], session;
/* The source: lines below have left the file. */
byte gone[2];
/* The agent's. */
byte tries, rp[2], ap[2];
bool on, greeting;
byte ac, cc, dc;

#define at(k, i) ((k) * N + (i))

inline forget_up()   { do :: len(up) > 0 -> up?_,_,_,_,_,_,_,_ :: else -> break od }
inline forget_down() { do :: len(down) > 0 -> down?_,_,_,_ :: else -> break od }

inline take(k) {
	i = p[k].s;
	do
	:: i < p[k].e ->
		if
		:: i >= Wr[k] && p[k].gap -> assert(!mem_gap[at(k, i)]); mem_gap[at(k, i)] = true
		:: i >= Wr[k] && !p[k].gap -> mem[at(k, i)]++
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0;
	if
	:: p[k].e > Wr[k] && !(BREAK == gap_stays && p[k].gap) && !(BREAK == half && above) ->
		Wr[k] = p[k].e
	:: else
	fi
}

active proctype collector() {
	part p[2];
	byte ss, i;
	mtype m;
	bool above;

end:	do
	:: atomic { len(up) > 0 ->
		up?m, ss, p[0].s, p[0].e, p[0].gap, p[1].s, p[1].e, p[1].gap;
		if
		:: m == HELLO ->
			session = ss;
			owed = false;
			if
			:: len(down) < 2 -> down!WELCOME, ss, Wr[0], Wr[1]
			:: else
			fi
		:: m == BATCH && ss == session ->
			above = p[0].s > Wr[0] || p[1].s > Wr[1];
			if
			:: above && BREAK != hole ->
				if
				:: BREAK == half && p[0].s <= Wr[0] -> take(0)
				:: else
				fi;
				if
				:: len(down) < 2 -> down!NAK, ss, Wr[0], Wr[1]
				:: else
				fi
			:: else ->
				take(0);
				take(1);
				owed = true;
				owed_to = ss;
				owed_e[0] = p[0].e;
				owed_e[1] = p[1].e
			fi
		:: else
		fi;
		ss = 0; above = false; m = 0;
		p[0].s = 0; p[0].e = 0; p[0].gap = false; p[1].s = 0; p[1].e = 0; p[1].gap = false }
	:: atomic { Wd[0] < Wr[0] || Wd[1] < Wr[1] ->
		/* One stream's file may be synced before the other's. */
		if
		:: Wd[0] < Wr[0] ->
			do
			:: i < N -> disk[at(0, i)] = mem[at(0, i)]; disk_gap[at(0, i)] = mem_gap[at(0, i)]; i++
			:: else -> break
			od;
			Wd[0] = Wr[0]
		:: Wd[1] < Wr[1] ->
			do
			:: i < N -> disk[at(1, i)] = mem[at(1, i)]; disk_gap[at(1, i)] = mem_gap[at(1, i)]; i++
			:: else -> break
			od;
			Wd[1] = Wr[1]
		fi;
		i = 0 }
	:: atomic { owed && len(down) < 2 &&
		    (BREAK == ack_early || (owed_e[0] <= Wd[0] && (BREAK == ack_one || owed_e[1] <= Wd[1]))) ->
		down!ACK, owed_to, owed_e[0], owed_e[1];
		owed = false }
	:: atomic { cc < CC ->
		cc++;
		do
		:: i < 2 * N -> mem[i] = disk[i]; mem_gap[i] = disk_gap[i]; i++
		:: else -> break
		od;
		i = 0;
		Wr[0] = Wd[0]; Wr[1] = Wd[1];
		owed = false;
		if
		:: true -> session = 0; on = false; greeting = false; forget_up(); forget_down()
		:: true  /* No crash but a sync that failed: what is on its way still comes. */
		fi }
	od
}

/* What the next batch holds of stream k: nothing, a gap, a line or two. */
inline choose(k) {
	q[k].s = rp[k]; q[k].e = rp[k]; q[k].gap = false;
	if
	:: true
	:: rp[k] < gone[k] && BREAK != unsaid -> q[k].e = gone[k]; q[k].gap = true
	:: rp[k] < gone[k] && BREAK == unsaid -> rp[k] = gone[k]; q[k].s = rp[k]; q[k].e = rp[k]
	:: rp[k] >= gone[k] && rp[k] < N -> q[k].e = rp[k] + 1
	:: rp[k] >= gone[k] && rp[k] + 1 < N -> q[k].e = rp[k] + 2
	fi
}

inline durable(k, e) {
	i = 0;
	do
	:: i < e -> assert(disk[at(k, i)] + disk_gap[at(k, i)] == 1); i++
	:: else -> break
	od;
	i = 0
}

active proctype agent() {
	part q[2];
	byte t, x, y, i;
	mtype m;

	do
	:: atomic { !on && !greeting && (ap[0] < N || ap[1] < N) ->
		tries++;
		assert(tries < TRIES);
		forget_up(); forget_down();
		up!HELLO, tries, 0, 0, false, 0, 0, false;
		greeting = true }
	:: atomic { (on || greeting) && len(down) > 0 ->
		down?m, t, x, y;
		if
		:: t != tries
		:: t == tries && m == WELCOME ->
			on = true; greeting = false;
			if
			:: BREAK == resume_sent && rp[0] + rp[1] > 0
			:: else -> rp[0] = x; rp[1] = y
			fi
		:: t == tries && m == ACK ->
			durable(0, x); durable(1, y);
			ap[0] = (x > ap[0] -> x : ap[0]);
			ap[1] = (y > ap[1] -> y : ap[1])
		:: t == tries && m == NAK -> on = false
		fi;
		m = 0; t = 0; x = 0; y = 0 }
	/* The collector may have all of it and owe the word: a batch with nothing new asks. */
	:: atomic { on && len(up) < 2 ->
		choose(0); choose(1);
		if
		:: q[0].e > q[0].s || q[1].e > q[1].s ||
		   (rp[0] == N && rp[1] == N && !owed && len(up) == 0 && len(down) == 0) ->
			up!BATCH, tries, q[0].s, q[0].e, q[0].gap, q[1].s, q[1].e, q[1].gap;
			rp[0] = q[0].e; rp[1] = q[1].e
		:: else
		fi;
		q[0].s = 0; q[0].e = 0; q[0].gap = false; q[1].s = 0; q[1].e = 0; q[1].gap = false }
	/* Lines vanish from the file, read or not. */
	:: atomic { gone[0] < N -> gone[0]++ }
	:: atomic { gone[1] == 0 -> gone[1]++ }
	:: atomic { ac < AC -> ac++; on = false; greeting = false; rp[0] = 0; rp[1] = 0; ap[0] = 0; ap[1] = 0 }
	:: atomic { (on || greeting) && dc < DC -> dc++; on = false; greeting = false }
	/* Neither end hears of the other for long. */
	:: atomic { timeout && (ap[0] < N || ap[1] < N) -> on = false; greeting = false }
	:: atomic { ap[0] == N && ap[1] == N -> break }
	od;
	atomic {
		durable(0, N);
		durable(1, N);
		do
		:: i < N ->
			assert(!disk_gap[at(0, i)] || i < gone[0]);
			assert(!disk_gap[at(1, i)] || i < gone[1]);
			i++
		:: else -> break
		od
	}
}

/* Two collectors that share one store.  A device's folder bears the name of the collector
 * that has it; one that is asked by the device and has it not renames it to its own name
 * (one rename wins), copies the files that may still be written, syncs them, and only
 * then reads what W is.  The other may be stopped at any step, with a batch in flight,
 * and go on at any later one: what it writes lands in files that have no name any more.
 * After its sync, and before it acknowledges, it looks whether the folder still is its own.
 *
 * E is the end of what the store holds (the files that have a name), D what of it would
 * outlive the power; a collector writes to the files of generation g[c].
 *
 * Taking over may last: the device is told to wait, and stays until it is welcomed; and what
 * one collector is taking the other leaves to it, unless it seems to do nothing any more
 * (`stalls`; it may all the same).
 *
 * To hold: what lands, lands at the end (nothing twice, no hole); what is acknowledged is
 * in the store; take-overs are not begun for ever: each has its reason, a move, a death, a stall.
 *
 *   blind        acknowledged without looking whose the folder is
 *   shared       the files are taken as they are, not copied
 *   early        copied first, renamed then
 *   remembered   W is what this collector remembers of its last time
 *   unsynced     the copies are not synced
 *   silent       the device hears nothing while it is taken over, and asks the other
 *   steal        it is taken from one that is taking it and gets on with it
 *
 * check: -DN=2 -DMOVES=3 -DKILLS=1 -DCUTS=1 -DSTALLS=1
 * long: -DN=3 -DMOVES=3 -DKILLS=2 -DCUTS=1 -DSTALLS=1
 * break: blind shared early remembered unsynced silent steal
 */
#define none       0
#define blind      1
#define shared     2
#define early      3
#define remembered 4
#define unsynced   5
#define silent     6
#define steal      7
#ifndef BREAK
#define BREAK none
#endif
#ifndef N
#define N 2
#endif
#ifndef MOVES
#define MOVES 3
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef CUTS
#define CUTS 1
#endif
#ifndef STALLS
#define STALLS 1
#endif
#define NOBODY 2

byte E, D, owner, gen; /* the store */
byte acked;            /* what the device has forgotten */
byte at = NOBODY, rp;  /* the device: whom it talks to, what it sends next */
bool open;             /* it has been welcomed there */
byte moves, kills, cuts, stalls;
byte begun;            /* take-overs */

/* Of each collector. */
bool has[2];      /* it believes that the device is its own, and knows W */
byte W[2], g[2];
byte durable[2];
byte syncing[2];  /* W when the sync began, 0: none */
bool synced[2];   /* ... which has ended */
byte sure[2];     /* ... and the folder was its own: to be acknowledged */
byte flying[2];   /* a batch that has not arrived: its place + 1, 0: none */
byte taking[2];   /* steps of taking over: 0 none, 1 first, 2 second */
byte copied[2];   /* how far the copy goes */

inline forget(c) {
	has[c] = false; syncing[c] = 0; synced[c] = false; sure[c] = 0;
	durable[c] = 0; flying[c] = 0; taking[c] = 0; copied[c] = 0;
	if
	:: BREAK != remembered -> W[c] = 0
	:: else
	fi;
	if
	:: at == c -> at = NOBODY; open = false
	:: else
	fi
}

/* The copies get the names of the files. */
inline exchange(c, end) {
	if
	:: BREAK != shared -> gen++; E = end;
		if
		:: BREAK != unsynced || D > end -> D = end
		:: else
		fi
	:: else -> D = E
	fi;
	g[c] = gen;
	if
	:: BREAK != remembered || W[c] == 0 -> W[c] = E
	:: else
	fi;
	durable[c] = W[c]; has[c] = true; taking[c] = 0
}

proctype collector(byte c) {
end:	do
	/* The device asks. */
	:: atomic { at == c && !open && taking[c] == 0 && syncing[c] == 0 ->
		flying[c] = 0; /* of its session before */
		sure[c] = 0;
		if
		:: has[c] && owner == c -> open = true; rp = W[c];
			if
			:: durable[c] > acked -> acked = durable[c] /* A welcome says that too. */
			:: else
			fi
		:: else -> has[c] = false; taking[c] = 1
		fi }
	:: atomic { taking[c] == 1 && (owner == c || taking[1 - c] != 2 || owner != 1 - c || BREAK == steal || stalls < STALLS) ->
		if
		:: owner != c && taking[1 - c] == 2 && owner == 1 - c && BREAK != steal -> stalls++
		:: else
		fi;
		begun++;
		/* Also for a session that has long gone: once for each move. */
		assert(begun <= 1 + 2 * (moves + kills + 2 * cuts + stalls));
		if
		:: BREAK == early -> copied[c] = E
		:: else -> owner = c
		fi;
		taking[c] = 2 }
	:: atomic { taking[c] == 2 && (BREAK == early || owner == c) ->
		if
		:: BREAK == early -> owner = c; exchange(c, copied[c])
		:: else -> exchange(c, E)
		fi }
	:: atomic { taking[c] == 2 && BREAK != early && owner != c ->
		assert(stalls > 0);
		taking[c] = 0 }
	/* A batch arrives. */
	:: atomic { flying[c] > 0 && has[c] ->
		if
		:: flying[c] == W[c] + 1 ->
			if
			:: g[c] == gen -> assert(flying[c] == E + 1); E++
			:: else /* into a file without a name */
			fi;
			W[c]++
		:: else
		fi;
		flying[c] = 0 }
	/* Synced, looked, acknowledged. */
	:: atomic { has[c] && syncing[c] == 0 && W[c] > durable[c] -> syncing[c] = W[c]; synced[c] = false }
	:: atomic { syncing[c] > 0 && !synced[c] ->
		if
		:: g[c] == gen && syncing[c] > D -> D = syncing[c]
		:: else
		fi;
		synced[c] = true }
	:: atomic { synced[c] ->
		if
		:: owner == c || BREAK == blind -> sure[c] = syncing[c]; durable[c] = syncing[c]
		:: else -> has[c] = false;
			if
			:: BREAK != remembered -> W[c] = 0
			:: else
			fi;
			if
			:: at == c -> at = NOBODY; open = false
			:: else
			fi
		fi;
		synced[c] = false; syncing[c] = 0 }
	:: atomic { sure[c] > 0 ->
		if
		:: sure[c] > acked -> acked = sure[c]
		:: else
		fi;
		sure[c] = 0 }
	:: atomic { kills < KILLS -> kills++; forget(c) }
	:: acked == N -> break
	od
}

init {
	atomic { run collector(0); run collector(1) }
end:	do
	:: atomic { at == NOBODY -> at = 0; open = false }
	:: atomic { at == NOBODY -> at = 1; open = false }
	/* It gives up; what it has sent may still arrive. */
	:: atomic { at != NOBODY && moves < MOVES -> moves++; at = NOBODY; open = false }
	:: atomic { BREAK == silent && at != NOBODY && !open && taking[at] > 0 -> at = NOBODY }
	:: atomic { at != NOBODY && open && rp < N && flying[at] == 0 -> flying[at] = rp + 1; rp++ }
	/* Nothing more is under way, and not all is acknowledged: asked once more. */
	:: atomic { at != NOBODY && open && rp == N && flying[at] == 0 && acked < N && moves < MOVES ->
		moves++; open = false }
	:: atomic { cuts < CUTS ->
		cuts++;
		E = D;
		forget(0); forget(1) }
	:: atomic { acked > E -> assert(false) }
	:: acked == N -> break
	od;
	assert(E == N)
}

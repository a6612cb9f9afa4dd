/* The first welcome is held against the files.  A process that begins to read while its
 * collector is away goes on where its own table says.  That table may be older than what
 * was sent, and the machine may have been put back and have gone on differently: what the
 * collector then tells to have beyond the table may be another past's.
 *
 * So nothing is sent from that welcome on until the file was read as far as W and H(W) was
 * compared, over as many connections as it takes.  If it differs, or the file is shorter,
 * what is sealed of the stream is given up and the file is a fork, from its beginning.
 * A process that meets its collector before it reads compares before it begins; but if
 * one before it was alone, and has left lines in the spool that the collector's W is beyond
 * or within, these wait for the same comparison.
 *
 * To hold: what is appended to a stream continues what stands there; in the end the
 * stream that the file is on holds the file, every place once.
 *
 *   no_hold      what was read is sent before it was compared
 *   believe      what lies below W is taken for stored without a look
 *   keep_sealed  what was sealed before the comparison failed is still sent
 *   connection   the hold ends with the connection on which W was told
 *   beginning    equal up to the table's place is taken for equal
 *   spooled      what was found in the spool is sent whatever the file shows
 *
 * Not modelled: a file that is not there any more, so that nothing can be compared; what
 * was sealed of it is then sent as it is.  That a stream is named on disk before it is
 * sent is naming.pml's.
 *
 * check: -DN=3 -DAC=1 -DDC=1
 * long: -DN=5 -DAC=2 -DDC=2
 * break: no_hold believe keep_sealed connection beginning spooled
 */
#define none        0
#define no_hold     1
#define believe     2
#define keep_sealed 3
#define connection  4
#define beginning   5
#define spooled     6
#ifndef BREAK
#define BREAK none
#endif
#ifndef N
#define N 3
#endif
#ifndef AC
#define AC 1
#endif
#ifndef DC
#define DC 1
#endif

byte src[N], sn;          /* the file: what stands at each place */
byte cp;                  /* the table on disk: acknowledged */
bool fork_named;          /* ... and that the file is on the second stream */
byte spool;               /* lines up to here are in it, of the first stream; 0: none */
byte was[N], was_n, was_cp, was_spool;
bool saved, put_back;
byte one[N], n_one;       /* the collector's: the stream ... */
byte two[N], n_two;       /* ... and the fork */
/* The process. */
bool up, met, unproved, forked, on;
byte rp, ap, w;           /* read (and sealed) to here, acknowledged, W to be compared */
byte left;                /* keep_sealed: still to be sent to the first stream */
byte uid = 1, ac, dc;
byte i;
bool same;

/* Whether the file has what the first stream has up to here. */
inline compare(to) {
	i = 0;
	same = to <= sn;
	do
	:: same && i < to -> same = src[i] == one[i]; i++
	:: else -> break
	od;
	i = 0
}

inline fork_it() {
	left = (BREAK == keep_sealed -> rp : (BREAK == spooled -> spool : 0));
	spool = 0;
	forked = true; fork_named = true; unproved = false;
	rp = 0
}

inline die() {
	up = false; met = false; unproved = false; forked = false; on = false;
	rp = 0; ap = 0; w = 0; left = 0
}

inline append_one() {
	compare(n_one);
	assert(same);
	one[n_one] = src[n_one];
	n_one++
}

active proctype everything() {
	do
	/* A line is written: a new one, or what stood there in the other past. */
	:: atomic { sn < N ->
		if
		:: src[sn] = uid; uid++
		:: put_back && n_one > sn -> src[sn] = one[sn]
		fi;
		sn++ }
	/* A backup of the machine, and its return. */
	:: atomic { !saved && !fork_named ->
		saved = true;
		do
		:: i < sn -> was[i] = src[i]; i++
		:: else -> break
		od;
		i = 0; was_n = sn; was_cp = cp; was_spool = spool }
	:: atomic { saved && !put_back && !fork_named ->
		put_back = true;
		do
		:: i < N -> src[i] = (i < was_n -> was[i] : 0); i++
		:: else -> break
		od;
		i = 0; sn = was_n; cp = was_cp; spool = was_spool;
		die() }
	/* The process begins to read alone ... */
	:: atomic { !up ->
		up = true; forked = fork_named;
		ap = (forked -> 0 : cp);
		rp = (!forked && spool > ap -> spool : ap) }
	/* ... or with its collector's word. */
	:: atomic { !up ->
		up = true; forked = fork_named; on = true; met = true;
		if
		:: forked -> rp = n_two
		:: !forked && spool > 0 && n_one > cp && BREAK != spooled ->
			ap = cp; rp = (spool > cp -> spool : cp);
			unproved = true; w = n_one
		:: else ->
			compare(n_one);
			if
			:: same -> ap = n_one; rp = (spool > ap -> spool : ap)
			:: else -> fork_it()
			fi
		fi }
	/* A welcome. */
	:: atomic { up && !on ->
		on = true;
		if
		:: !met && !forked && n_one > ap && BREAK != believe -> unproved = true; w = n_one
		:: else
		fi;
		met = true }
	:: atomic { up && rp < sn -> rp++ }
	:: atomic { up && !on && !forked && rp > spool -> spool = rp }
	:: atomic { unproved && (rp >= w || sn < w) ->
		if
		:: BREAK == beginning -> compare(ap)
		:: else -> compare(w)
		fi;
		if
		:: same -> unproved = false
		:: else -> fork_it()
		fi }
	/* Sent, and taken.  Below W it is taken for stored. */
	:: atomic { on && !forked && n_one < rp && (!unproved || BREAK == no_hold) -> append_one() }
	:: atomic { on && forked && n_one < left -> append_one() }
	:: atomic { on && forked && n_two < rp ->
		two[n_two] = src[n_two];
		n_two++ }
	/* Acknowledged, and sooner or later saved. */
	:: atomic { on && !forked && !unproved && ap < n_one && n_one <= rp ->
		ap = n_one;
		spool = (spool > ap -> spool : 0) }
	:: atomic { up && !forked && cp < ap -> cp = ap }
	/* Faults. */
	:: atomic { on && dc < DC ->
		dc++;
		on = false;
		unproved = unproved && BREAK != connection }
	:: atomic { up && ac < AC -> ac++; die() }
	:: atomic { up && on && !unproved && sn == N && rp == N && (forked -> n_two : n_one) == N -> break }
	od;
	atomic {
		do
		:: i < N -> assert((forked -> two[i] : one[i]) == src[i]); i++
		:: else -> break
		od
	}
}

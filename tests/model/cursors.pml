/* Two cursors on one stream: W, what the collector holds for good, and D, what the
 * detectors have judged, saved inside their own state.  Reading starts at min(W, D);
 * below W only the detectors see a line, below D only the shipper.
 *
 * Every line raises an alert here.  To hold at the end: each line is in the detectors'
 * state exactly once, or a detector-gap finding names it; and its alert is stored,
 * or likewise.  (That it is shipped once is delivery.pml's business.)
 *
 * The file may lose what is acknowledged (it rotates away), so that after a crash
 * [D, W) may be gone.
 *
 *   from_w       reading starts at W: what was not judged yet never is
 *   early        D is saved while alerts still wait for the disk
 *   again        below D the detectors look a second time
 *   silent       lines that are gone are passed over without a finding
 *   torn         D and the state it belongs to are saved one after the other
 *
 * check: -DN=4 -DAC=2
 * long: -DN=6 -DAC=3
 * break: from_w early again silent torn
 */
#define none   0
#define from_w 1
#define early  2
#define again  3
#define silent 4
#define torn   5
#ifndef BREAK
#define BREAK none
#endif
#ifndef N
#define N 4
#endif
#ifndef AC
#define AC 2
#endif

byte W;                 /* durable, at the collector */
byte D, saved[N];       /* durable, on the device: the cursor, and the detectors' state */
bool stored[N];         /* alerts on disk: in the spool or at the collector */
bool told[N];           /* detector-gap findings, on disk */
byte gone;              /* lines below have left the file; at most W */

byte rp, sent, dcur;    /* volatile: read so far, sent so far, D as it was loaded */
byte judged[N];
bool waits[N];          /* alerts in memory */
byte crashes, i;
bool owes;              /* torn: the state is still to be written */

inline load() {
	i = 0;
	do
	:: i < N -> judged[i] = saved[i]; waits[i] = false; i++
	:: else -> break
	od;
	i = 0;
	owes = false;
	dcur = D;
	sent = W;
	rp = (BREAK == from_w -> W : (W < D -> W : D));
	do
	:: rp < gone ->
		if
		:: rp >= dcur && BREAK != silent -> told[rp] = true
		:: else
		fi;
		rp++
	:: else -> break
	od
}

inline none_waits(ok) {
	i = 0;
	ok = true;
	do
	:: i < N -> ok = ok && !waits[i]; i++
	:: else -> break
	od;
	i = 0
}

active proctype agent() {
	bool ok;

	do
	:: atomic { rp < N ->
		if
		:: rp >= dcur || BREAK == again -> judged[rp]++; waits[rp] = true
		:: else
		fi;
		rp++;
		if
		:: rp > sent -> sent = rp
		:: else
		fi }
	:: atomic { W < sent -> W++ }
	:: atomic { rp > 0 ->
		i = 0;
		do
		:: i < N -> stored[i] = stored[i] || waits[i]; waits[i] = false; i++
		:: else -> break
		od;
		i = 0 }
	/* Also rp < D: a cursor that is behind where it was loaded would go back. */
	:: atomic { rp > D && !owes ->
		none_waits(ok);
		if
		:: ok || BREAK == early ->
			D = rp;
			dcur = (dcur > D -> dcur : D);
			if
			:: BREAK == torn -> owes = true
			:: else ->
				do
				:: i < N -> saved[i] = judged[i]; i++
				:: else -> break
				od;
				i = 0
			fi
		:: else
		fi;
		ok = false }
	:: atomic { owes ->
		do
		:: i < N -> saved[i] = judged[i]; i++
		:: else -> break
		od;
		i = 0;
		owes = false }
	:: atomic { gone < W -> gone++ }
	:: atomic { crashes < AC -> crashes++; load() }
	:: atomic { rp == N && W == N && !owes ->
		none_waits(ok);
		if
		:: ok -> break
		:: else
		fi }
	od;
	atomic {
		do
		:: i < N ->
			assert(judged[i] == 1 || (judged[i] == 0 && told[i]));
			assert(stored[i] || told[i]);
			i++
		:: else -> break
		od
	}
}

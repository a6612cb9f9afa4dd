/* Delivery of one stream of N lines: agent and collector crashes, messages lost with their
 * connection, half-open connections, a local checkpoint that lags, the spool, and a file
 * that loses whatever is acknowledged or spooled.
 *
 * To hold: no line is stored twice; an acknowledged line is on the collector's disk, for
 * good; in the end every line is, and the end is reached (more sessions than there are
 * reasons for is a livelock).
 *
 *   high_water   a batch that starts above W is taken (in place of a refusal with W)
 *   ack_known    a batch with nothing new in it is acknowledged at once
 *   catalogue    W may reach the disk before the data that it speaks of
 *   live_first   spooled lines and live ones are sent in any order
 *   no_hello_ack a welcome tells what was received, and owes no word once it is durable
 *
 * That older sessions are fenced is part of it, but no state of these sizes needs it:
 * trimming by position is enough.  It is there for clones.
 *
 * check: -DN=2 -DAC=1 -DCC=1 -DDC=1
 * long: -DN=3 -DAC=1 -DCC=1 -DDC=2
 * break: high_water ack_known catalogue live_first no_hello_ack
 */
#define none         0
#define high_water   1
#define ack_known    2
#define catalogue    3
#define live_first   4
#define no_hello_ack 5
#ifndef BREAK
#define BREAK none
#endif
#define CONTIG  (BREAK != high_water)
#define ACKSYNC (BREAK != ack_known)
#define CATORD  (BREAK != catalogue)
#define SPOOLF  (BREAK != live_first)
#define WELC    1
#define FENCE   1
#define HELACK  (BREAK != no_hello_ack)
#ifndef N
#define N 4
#endif
#ifndef AC
#define AC 1
#endif
#ifndef CC
#define CC 1
#endif
#ifndef DC
#define DC 2
#endif
mtype = { HELLO, BATCH, WELCOME, ACK, NAK };
chan up[2]   = [2] of { mtype, byte, byte, byte };      /* type, sess, s, e   */
chan down[2] = [2] of { mtype, byte, byte };            /* type, sess, W/e    */

/* collector */
byte memc[N], dskc[N];        /* copies of each line: page cache / synced */
byte Wr, Wd, Wcat;            /* received, durable, catalogue-on-disk     */
byte csess;                   /* newest session seen                      */
byte pend[2], pendon[2];      /* ack owed per session parity              */
byte pends[2];
bool cup = true;
/* agent: volatile */
byte asess, rp, ap; bool conn, wait_w;
byte sp_i;                    /* next spool entry to send                 */
/* agent: durable */
byte cp;                      /* local checkpoint, lags                   */
byte sps[2], spe[2], spn;     /* spool: sealed [s,e)                      */
byte gone;                    /* lines < gone have left the source file   */
byte dsess;                   /* session number: only to keep ids unique  */
byte ac, cc, dc;
byte ackedmax;                /* ghost: highest position ever acknowledged */
bool alldone;

inline setW(x) { Wr = x }
inline store(s,e) {
  i = s;
  do :: i < e -> if :: i >= Wr -> memc[i]++ :: else fi; i++ :: else -> break od;
  if :: e > Wr -> Wr = e :: else fi; i = 0
}
inline sync() {
  i = 0; do :: i < N -> dskc[i] = memc[i]; i++ :: else -> break od; i = 0;
  Wd = Wr
}
inline dup_check() {
  i = 0; do :: i < N -> assert(memc[i] <= 1); i++ :: else -> break od; i = 0
}

active proctype collector() {
  byte s, e, i, ss, k;
end_c:
  do
  :: atomic { len(up[0]) > 0 -> k = 0; up[0]?_, ss, s, e;  goto got0 }
  :: atomic { len(up[1]) > 0 -> k = 1; up[1]?_, ss, s, e;  goto got0 }
  /* group sync, then (only then) catalogue, then acks */
  :: atomic { Wd < Wr -> sync(); }
#if CATORD
  :: atomic { Wcat < Wd -> Wcat = Wd }
#else
  :: atomic { Wcat < Wr -> Wcat = Wr }
#endif
  :: atomic { pendon[0] && (pend[0] <= Wd || (ACKSYNC==0 && pendon[0]==2)) && (len(down[0]) < 2) ->
        down[0]!ACK, pends[0], pend[0]; pendon[0] = 0; }
  :: atomic { pendon[1] && (pend[1] <= Wd || (ACKSYNC==0 && pendon[1]==2)) && (len(down[1]) < 2) ->
        down[1]!ACK, pends[1], pend[1]; pendon[1] = 0; }
  :: atomic { cc < CC -> cc++;                       /* crash: page cache lost */
        i = 0; do :: i < N -> memc[i] = dskc[i]; i++ :: else -> break od; i = 0;
        if :: Wcat > Wd -> Wr = Wcat; Wd = Wcat :: else -> Wr = Wd fi;   /* replay of tails gives Wd; a catalogue ahead is believed */
        pendon[0] = 0; pendon[1] = 0; csess = 0;
        do :: len(up[0]) > 0 -> up[0]?_,_,_,_ :: len(up[1]) > 0 -> up[1]?_,_,_,_ :: else -> break od;
        do :: len(down[0]) > 0 -> down[0]?_,_,_ :: len(down[1]) > 0 -> down[1]?_,_,_ :: else -> break od;
        conn = false; wait_w = false; s = 0; e = 0; ss = 0; k = 0 }
  od;
got0: atomic {
  if
  :: s == 255 ->                                   /* hello */
     if :: ss >= csess -> csess = ss; pendon[1-k] = (FENCE -> 0 : pendon[1-k]);
           if :: (len(down[k]) < 2) -> down[k]!WELCOME, ss, (WELC -> Wr : Wd) :: (len(down[k]) == 2) fi;
           if :: HELACK -> pendon[k] = 1; pend[k] = Wr; pends[k] = ss :: else fi
        :: else fi
  :: s != 255 && FENCE && ss != csess              /* dropped */
  :: s != 255 && !(FENCE && ss != csess) ->
     if
     :: CONTIG && s > Wr ->
          if :: (len(down[k]) < 2) -> down[k]!NAK, ss, Wr :: (len(down[k]) == 2) fi
     :: else ->
          if :: e <= Wr -> pendon[k] = 2 :: else -> pendon[k] = 1 fi;
          pend[k] = e; pends[k] = ss;
          store(s,e); dup_check()
     fi
  fi; s = 0; e = 0; ss = 0; k = 0 }
  goto end_c
}

active proctype agent() {
  byte t, x, i; mtype m;
  do
  /* connect */
  :: atomic { !conn && !wait_w && ap < N -> dsess++; asess = dsess;
       do :: len(down[asess%2]) > 0 -> down[asess%2]?_,_,_ :: else -> break od;
       do :: len(up[asess%2]) > 0 -> up[asess%2]?_,_,_,_ :: else -> break od;
       up[asess%2]!HELLO, asess, 255, 0; wait_w = true }
  :: atomic { (conn||wait_w) && len(down[asess%2]) > 0 -> down[asess%2]?m, t, x;
       if
       :: t != asess
       :: t == asess && m == WELCOME -> conn = true; wait_w = false; sp_i = 0;
            /* resume: from the collector's position, but not before what is in the spool */
            rp = x;
            if :: spn > 0 && spe[spn-1] > rp -> rp = spe[spn-1] :: else fi;
       :: t == asess && m == ACK ->
            if :: x > ap -> ap = x :: else fi;
            if :: x > ackedmax -> ackedmax = x :: else fi;
            i = 0; do :: i < x -> assert(dskc[i] == 1); i++ :: else -> break od; i = 0;
            /* forget: spool entries wholly acknowledged */
            do :: spn > 0 && spe[0] <= ap -> sps[0] = sps[1]; spe[0] = spe[1]; sps[1]=0; spe[1]=0; spn--; if :: sp_i > 0 -> sp_i-- :: else fi
               :: else -> break od
       :: t == asess && m == NAK -> conn = false   /* abandon the segment, handshake again */
       fi; t = 0; x = 0 }
  /* send spool entry */
  :: atomic { conn && sp_i < spn && (len(up[asess%2]) < 2) ->
       up[asess%2]!BATCH, asess, sps[sp_i], spe[sp_i]; sp_i++ }
  /* send live batch of 1 or 2 lines */
  :: atomic { conn && rp < N && rp >= gone && (SPOOLF==0 || sp_i >= spn) && (len(up[asess%2]) < 2) ->
       if :: x = rp+1 :: rp+2 <= N -> x = rp+2 fi;
       up[asess%2]!BATCH, asess, rp, x; rp = x; x = 0 }
  /* collector away: read on into the spool from what we know (acked, checkpoint, spool end) */
  :: atomic { !conn && !wait_w && spn < 2 && dc > 0 ->
       t = (ap > cp -> ap : cp);
       if :: spn > 0 && spe[spn-1] > t -> t = spe[spn-1] :: else fi;
       if :: t < N && t >= gone ->
             if :: x = t+1 :: t+2 <= N -> x = t+2 fi;
             sps[spn] = t; spe[spn] = x; spn++
          :: else fi; t = 0; x = 0 }
  /* lazy local checkpoint of what was acknowledged */
  :: atomic { cp < ap -> cp = ap }
  /* the log rotates away: whatever is acknowledged or in the spool may vanish */
  :: atomic { gone < (spn > 0 -> spe[spn-1] : cp) -> gone = (spn > 0 -> spe[spn-1] : cp) }
  /* faults */
  :: atomic { ac < AC -> ac++; conn = false; wait_w = false; rp = 0; ap = cp; sp_i = 0; asess = 0 }
  :: atomic { (conn||wait_w) && dc < DC -> dc++; conn = false; wait_w = false }   /* old channel lives on */
  /* lost on the dead connection */
  :: atomic { !conn && !wait_w && len(up[dsess%2]) > 0 -> up[dsess%2]?_,_,_,_ }
  :: atomic { len(up[(dsess+1)%2]) > 0 -> up[(dsess+1)%2]?_,_,_,_ }
  :: atomic { timeout && ap < N -> conn = false; wait_w = false; assert(dsess < 30) }
  :: atomic { ap == N -> alldone = true; break }
  od;
  /* quiescence */
  atomic { i = 0; do :: i < N -> assert(dskc[i] == 1); i++ :: else -> break od; i = 0 }
}

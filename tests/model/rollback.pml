/* A machine restored from a snapshot, or cloned: the source goes back and then holds
 * other lines at the same positions.
 *
 * A welcome tells segment, index and head hash, and W with H(W).  Where they disagree the
 * agent opens a new segment and a new stream, which forks at the highest place of which
 * the hash agrees.  A nonce has 64 fresh random bits beside the index.
 *
 * To hold: every line that the source has in the end is stored once, and no two contents
 * are sealed under one key and nonce.
 *
 *   by_position  a welcome tells positions and no hashes, a nonce is the index
 *
 * check: -DM=4
 * long: -DM=7
 * break: by_position
 */
#define none        0
#define by_position 1
#ifndef BREAK
#define BREAK none
#endif
#define RULE (BREAK != by_position)
#ifndef M
#define M 4
#endif
byte src[M], sn;              /* the file: contents by position */
byte ssrc[M], ssn, ssent, snap; /* snapshot */
byte snt;                    /* agent: batches sealed with this key so far = position (1 line per batch) */
byte sg = 0, frk;           /* current segment; stream starts at frk */
byte nonce[M];                /* ghost: content sealed under (segment 0 key, index) */
byte col0[M], k0;             /* collector: stream 0 / segment 0 */
byte col1[M], k1, f1;         /* stream forked at f1, segment 1 */
byte uid = 1, rb;
bool conn;
active proctype p() {
  byte i, j, ok, ww;
  do
  :: atomic { sn < M -> src[sn] = uid; uid++; sn++ }
  :: atomic { !snap -> snap = 1; i = 0; do :: i < M -> ssrc[i] = src[i]; i++ :: else -> break od; i = 0; ssn = sn; ssent = snt }
  :: atomic { snap && !rb -> rb = 1; i = 0; do :: i < M -> src[i] = ssrc[i]; i++ :: else -> break od; i = 0; sn = ssn; snt = ssent; conn = false }
  :: atomic { !conn -> conn = true;
      if :: sg == 0 ->
#if RULE==0
        snt = k0;                              /* collector says: I have up to k0 */
#else
        ok = (k0 <= sn); i = 0; do :: ok && i < k0 -> if :: src[i] != col0[i] -> ok = 0 :: else fi; i++ :: else -> break od;
        if :: ok -> snt = k0
           :: !ok -> /* ladder: last boundary of which the hash agrees */
              ww = 0; do :: ww < k0 && ww < sn && src[ww] == col0[ww] -> ww++ :: else -> break od;
              sg = 1; f1 = ww; k1 = ww; snt = ww fi; i = 0; ww = 0; ok = 0
#endif
      :: sg == 1 -> snt = k1 fi }
  :: atomic { conn && snt < sn ->              /* seal and send */
      if :: sg == 0 ->
#if RULE==0
           assert(nonce[snt] == 0 || nonce[snt] == src[snt]);   /* key+nonce reuse */
#endif
           nonce[snt] = src[snt];
           if :: snt == k0 -> if :: col0[k0] = src[snt]; k0++ :: conn = false /* lost with the connection */ fi :: snt < k0 -> skip /* trimmed */ fi
         :: else -> col1[k1] = src[snt]; k1++ fi; snt++ }
    :: atomic { sn == M && conn && snt == M && rb ->
      i = 0; do :: i < M ->                      /* every line now in the source is stored exactly once */
        ok = 0; j = 0; do :: j < k0 -> if :: col0[j] == src[i] -> ok++ :: else fi; j++ :: else -> break od;
        if :: sg == 1 -> j = f1; do :: j < k1 -> if :: col1[j] == src[i] -> ok++ :: else fi; j++ :: else -> break od :: else fi;
        assert(ok == 1); i++ :: else -> break od; i=0;j=0;ok=0; break }
  od
}

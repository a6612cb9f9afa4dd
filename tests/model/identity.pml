/* Which file is which stream: a path and what rename and copy-truncate make of it, the
 * agent down or not.  Lines have a uid; what can be compared is their content, and the
 * first line of every file is the same (a banner).
 *
 * A stream has a random id.  Content proves which file goes on with it: the longest
 * proven prefix wins; on the same inode any match, on another one only a match that is
 * longer than the common first line, or any where no other file begins so.  A file that is wholly a prefix of a stream is a
 * stale copy and skipped.  While the agent runs, the bytes before its position are
 * compared again before each read.
 *
 * To hold: every line is stored once, but for what was cut away between a copy and its
 * truncation.  Banners, which nothing tells apart, are the limit (delivery.md): they
 * may be there more or less often.
 *
 *   first_line   a stream is known by its first line
 *   inode        a stream is known by its inode; shorter means truncated
 *   any_match    the first prefix that matches is taken, whatever its length
 *   any_copy     likewise, and a shorter file that matches is a copy
 *
 * check: -DROT=2 -DAC=2
 * long: -DROT=3 -DAC=4
 * break: first_line inode any_match any_copy
 */
#define none       0
#define first_line 1
#define inode      2
#define any_match  3
#define any_copy   4
#ifndef BREAK
#define BREAK none
#endif
#if BREAK == none
#define RULE 4
#else
#define RULE (BREAK - 1)
#endif
#define LOOSE 2
#define L 4              /* lines per file at most */
#define U 6              /* uids                  */
#ifndef ROT
#define ROT 2
#endif
#ifndef AC
#define AC 2
#endif
typedef file { byte ino; byte n; byte u[L] };    /* u: uids; content(uid at slot 0)=banner */
file f[3];               /* 0: live path, 1: .1 , 2: .2 (in the search pattern) */
byte nextu = 1, nextino = 2, rot, ac;
byte st[U+1];            /* times stored */
byte ban[U+1];           /* is a banner line */
byte lostby[U+1];        /* destroyed by logrotate itself before anybody could read / fell off the end */
/* known streams (collector + checkpoint): id -> W, remembered content (stands for the prefix-hash ladder) */
#define S 8
byte sW[S], sino[S], ns;
byte sc0[S],sc1[S],sc2[S],sc3[S];
bool up = true;
byte cur[3];             /* running: file slot -> stream id+1 (open descriptor), 0 none */

#define cont(x,i) ((i)==0 -> 0 : f[x].u[i])
#define pre(k,i) ((i)==0 -> sc0[k] : ((i)==1 -> sc1[k] : ((i)==2 -> sc2[k] : sc3[k])))

#define alone(x) (f[((x)+1)%3].n == 0 && f[((x)+2)%3].n == 0)

inline setpre(k,i,v) { if :: i==0 -> sc0[k]=v :: i==1 -> sc1[k]=v :: i==2 -> sc2[k]=v :: i==3 -> sc3[k]=v fi }

/* does file x continue stream k up to min(n,W)?  -> ok */
inline prefix(x,k,lim) { ok = 1; j = 0; do :: j < lim -> if :: cont(x,j) != pre(k,j) -> ok = 0 :: else fi; j++ :: else -> break od; j = 0 }

inline match(x) {        /* result r = stream+1, or 0 = new, or 255 = skip */
  r = 0; q = 0;
  do :: q < ns ->
#if RULE==0
       r = q+1;                                             /* first line equal: same stream */
#elif RULE==1
       if :: sino[q] == f[x].ino && f[x].n >= sW[q] -> r = q+1 :: else fi;
#elif RULE==2
       if :: f[x].n >= sW[q] && sW[q] > 0 -> prefix(x,q,sW[q]); if :: ok -> r = q+1 :: else fi :: else fi;
#elif RULE==4
       if :: f[x].n >= sW[q] && sW[q] > best -> prefix(x,q,sW[q]);
             if :: ok && (sW[q] > 1 || sino[q] == f[x].ino || alone(x)) -> r = q+1; best = sW[q] :: else fi
          :: f[x].n < sW[q] && f[x].n > 1 && f[x].n > best -> prefix(x,q,f[x].n); if :: ok -> r = 255; best = f[x].n :: else fi
          :: else fi;
#else
       if :: f[x].n >= sW[q] && sW[q] > 0 -> prefix(x,q,sW[q]); if :: ok -> r = q+1 :: else fi
          :: f[x].n < sW[q] -> prefix(x,q,f[x].n); if :: ok && f[x].n > 1 -> r = 255 :: else fi
          :: else fi;
#endif
       q++ :: else -> break od; q = 0; ok = 0; best = 0
}

inline readfile(x) {     /* read and store everything from W */
  if
  :: f[x].n == 0
  :: f[x].n > 0 ->
     if
     :: cur[x] > 0 -> r = cur[x];
#if RULE>=2
          /* running: bytes before W still the same, and not shorter? */
          if :: f[x].n < sW[r-1] -> r = 0 :: else prefix(x,r-1,sW[r-1]); if :: !ok -> r = 0 :: else fi; ok = 0 fi;
#else
          if :: f[x].n < sW[r-1] -> r = 0 :: else fi;
#endif
          if :: r == 0 -> cur[x] = 0; match(x) :: else fi
     :: cur[x] == 0 -> match(x)
     fi;
     if
     :: r == 255
     :: r != 255 ->
        if :: r == 0 -> assert(ns < S); sW[ns] = 0; sino[ns] = f[x].ino; ns++; r = ns :: else fi;
        cur[x] = r; sino[r-1] = f[x].ino;
        do :: sW[r-1] < f[x].n -> i = sW[r-1]; st[f[x].u[i]]++; setpre(r-1,i,cont(x,i)); sW[r-1] = i+1
           :: else -> break od; i = 0
     fi; r = 0
  fi
}

inline mv(a,b) { f[b].ino = f[a].ino; f[b].n = f[a].n; j = 0; do :: j < L -> f[b].u[j] = f[a].u[j]; f[a].u[j] = 0; j++ :: else -> break od; j = 0; cur[b] = cur[a] }

active proctype world() {
  byte i, j, q, r, ok, s, best;
  f[0].ino = 1;
  do
  :: atomic { nextu <= U && f[0].n < L -> f[0].u[f[0].n] = nextu; ban[nextu] = (f[0].n == 0); f[0].n++; nextu++ }
  /* rename + create. inode may be reused when .2 falls off */
  :: atomic { rot < ROT && f[0].n > 0 && f[2].n == 0 -> rot++;
        mv(1,2); mv(0,1); f[0].n = 0; cur[0] = 0;
        f[0].ino = nextino; nextino++ }
  /* copy-truncate: copy gets a new inode; agent may have read all, part or none of it;
     lines written between copy and truncate are lost to the world unless stored already */
  :: atomic { rot < ROT && f[0].n > 0 && f[2].n == 0 -> rot++;
        mv(1,2); s = cur[0]; mv(0,1); cur[1] = 0; f[1].ino = nextino; nextino++; f[0].n = 0; cur[0] = s;
        /* maybe the copy missed the last line */
        if :: f[1].n > 1 -> f[1].n--; lostby[f[1].u[f[1].n]] = 1; f[1].u[f[1].n] = 0 :: true fi; s = 0 }
  :: atomic { up -> readfile(2) ; readfile(1); readfile(0);
        i = 1; do :: i <= U -> assert(st[i] <= 1 || (LOOSE && ban[i])); i++ :: else -> break od; i = 0 }
  :: atomic { up && ac < AC -> up = false; ac++; cur[0] = 0; cur[1] = 0; cur[2] = 0 }
  :: atomic { !up -> up = true }
  :: atomic { nextu > U && up -> readfile(2); readfile(1); readfile(0);
        i = 1; do :: i < nextu -> assert(st[i] == 1 || (lostby[i] && st[i] == 0) || (LOOSE && ban[i] && (LOOSE==2 || st[i] > 0))); i++ :: else -> break od; i = 0; break }
  od
}

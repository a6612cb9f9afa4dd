/* detect: Sigma rules over records (specification 2.1, docs/rules.md).
 *
 * Knows rules, windows and what has been seen before.  Must not know where a
 * record came from, what an alert is, or what time it is: there is no clock in
 * here, only the time in the line, so that a replay finds what the live run
 * found.
 *
 * Life      detect_new, any number of detect_load_*, detect_compile once, then
 *           detect_record for each record.
 * Threads   One thread at a time; nothing is shared between two structs.
 * Blocking  detect_load_dir() reads files; nothing else does.
 * Memory    Bounded by struct detectors_options (the tables grow up to their caps
 *           and never pass them) plus the rules themselves.
 * Errors    0 or a count, or a negative UV_E* / ERR_*.
 */
#ifndef DETECTORS_DETECT_H
#define DETECTORS_DETECT_H

#include "common/buf.h"
#include "common/finding.h"
#include "common/sys.h"
#include "detectors/options.h"

struct detect; /* opaque, on the heap */

/* Something in a rule file that could not be taken.  file is the name given to
 * the loader; line and column count from 1 (0: not about a place); the text is
 * a sentence without a newline.  All borrowed for the call. */
typedef void (*detect_error_cb)(void *arg, const char *file, unsigned line,
				unsigned column, const char *text);

/* f and all in it is borrowed for the call.  The callback must not call back
 * into this struct detect. */
typedef void (*detect_cb)(void *arg, const struct finding *f);

/* Only numbers, `disabled` and `tags` are used of the options (packs are the caller's to
 * load); a zero of ahead_ms or of a maximum means its default, NULL
 * all defaults; copied.  key: 16
 * bytes of kernel randomness for the tables; copied.  UV_ENOMEM. */
int detect_new(struct detect **out, const struct detectors_options *options,
	       const uint8_t key[static 16]);
/* Seconds east of Greenwich at a Unix time, for rules with a schedule; without it their times
 * are UTC.  zone must live as long as d. */
void detect_set_zone(struct detect *d, int32_t (*offset)(const void *zone, int64_t unix_s),
		     const void *zone);
struct refer;
/* What rules may refer to; kept, and must live as long as d.  Before the first rule; without
 * it there is neither a list nor a database. */
void detect_set_refer(struct detect *d, struct refer *refer);
/* NULL is allowed. */
void detect_free(struct detect *d);

/* Takes the rules of one YAML text (several documents are allowed).  A rule
 * that is wrong is reported and left out; the others load.  Returns how many
 * documents were taken, or UV_ENOMEM, or UV_EBUSY after detect_compile(). */
int detect_load_bytes(struct detect *d, const char *name, struct slice yaml,
		      detect_error_cb on_error, void *arg);
/* Every *.yml and *.yaml in the folder, in the order of their names, and then in the
 * folders in it, eight deep.  A file or inner folder that can't be read is reported like a
 * bad rule; a folder that can't be listed is the error returned. */
int detect_load_dir(struct detect *d, struct sys *sys, const char *dir,
		    detect_error_cb on_error, void *arg);
/* One file; UV_ENOMEM, or how many documents were taken. */
int detect_load_file(struct detect *d, struct sys *sys, const char *path,
		     detect_error_cb on_error, void *arg);
/* What "%Name%" stands for in rules with `expand`: a YAML mapping of names to a value or a
 * list of them.  Before the rules that use them; a later file's names replace.  A mistake is
 * reported, and what stands in front of it was taken.  0, UV_ENOMEM or UV_EBUSY. */
int detect_placeholders_bytes(struct detect *d, const char *name, struct slice yaml,
			      detect_error_cb on_error, void *arg);
int detect_placeholders_file(struct detect *d, struct sys *sys, const char *path,
			     detect_error_cb on_error, void *arg);
/* The packs that are built into the program. */
int detect_load_defaults(struct detect *d, detect_error_cb on_error, void *arg);

/* Resolves the references between rules and builds the dispatch.  Correlations
 * whose references don't resolve are reported and left out.  Returns how many
 * rules are active, or UV_ENOMEM, UV_EBUSY when called twice. */
int detect_compile(struct detect *d, detect_error_cb on_error, void *arg);

/* Judges one record (redacted and parsed).  Every rule that matches calls back,
 * in the order of the rules' loading; closing windows call back first.  Records
 * without a line of their own (gap, skip, open, close, alert) are passed over. */
void detect_record(struct detect *d, const struct record *r, detect_cb cb,
		   void *arg);

/* A rule that was taken, for people and tools.  Texts live as long as d. */
struct detect_rule {
	const char *id, *title, *file;
	unsigned line;
	enum severity severity;
	const char *kind;   /* "rule", "silence", "rate", "event_count", ... */
	bool active;        /* judges lines: not disabled, replaced or unresolved */
	bool alerts;        /* tells by itself; false: only a correlation counts it */
	const char *tried;  /* what it is tried on: "every line", "sshd", ...; "" when it
			     * judges none.  Borrowed for the call */
	/* A field that no line which is read has, and without which it can't be true; NULL:
	 * it may fire. */
	const char *never;
	/* A database or a list without which it can't be true and that is not there yet; NULL:
	 * it waits for none. */
	const char *waits;
};
typedef void (*detect_rule_cb)(void *arg, const struct detect_rule *rule);
/* In the order of loading, after detect_compile(). */
void detect_rules(const struct detect *d, detect_rule_cb cb, void *arg);

/* Tells of the rules that the record given last made true: itself (by NULL), and then the
 * correlations that count it.  counts: false where its attempts were counted by another
 * line.  For people; texts live as long as d. */
typedef void (*detect_matched_cb)(void *arg, const char *id, const char *title,
				  const char *by, bool counts);
void detect_matched(const struct detect *d, const struct record *r, detect_matched_cb cb,
		    void *arg);

/* Says that event time has reached now_ns although no line said so: windows
 * that fell silent end.  Live, the agent calls it now and then with the wall
 * clock; a replay calls it once at the end with INT64_MAX. */
void detect_advance(struct detect *d, int64_t now_ns, detect_cb cb, void *arg);

/* The state of windows and first-seen tables, versioned, appended to out.  It
 * holds redacted lines (the evidence): the caller encrypts it. */
int detect_save(const struct detect *d, struct buf *out);
/* Into a compiled detect that has seen no record.  State of rules that are no
 * longer loaded, or whose correlation changed, is dropped.  ERR_VERSION,
 * ERR_MALFORMED, UV_ENOMEM: the state is then empty, as after detect_new(). */
int detect_restore(struct detect *d, struct slice state);

struct detect_stats {
	uint64_t records;    /* judged */
	uint64_t findings;   /* FINDING_NEW */
	uint64_t updates;    /* all others */
	uint64_t late;       /* older than the watermark when they came */
	uint64_t future;     /* stamps not believed */
	uint64_t evicted;    /* groups pushed out of the full table */
	uint64_t forgotten;  /* values pushed out of the full first-seen table */
	uint64_t re_limits;  /* expressions that ran into their match limit */
	uint32_t rules;      /* active */
	uint32_t groups, seen, episodes, baselines; /* in the tables now */
	int64_t watermark_ns; /* TIME_NONE before the first record */
};

void detect_stats(const struct detect *d, struct detect_stats *out);

/* An example that stands in a rule under nightjar.examples: a small log, and
 * whether the rule must fire somewhere in it. */
typedef void (*detect_example_cb)(void *arg, const char *rule_id,
				  const char *rule_title, struct slice log,
				  bool fires);
/* Walks the examples of one YAML text.  Returns their number, or UV_ENOMEM or
 * ERR_MALFORMED. */
int detect_examples(struct slice yaml, detect_example_cb cb, void *arg);

/* The packs built into the program, as YAML text, for tests and tools. */
struct detect_pack {
	const char *name; /* "auth_failed_logins.yml" */
	struct slice yaml;
};
extern const struct detect_pack detect_packs[];
extern const size_t detect_n_packs;

#endif

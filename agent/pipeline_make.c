#include <stdio.h>
#include <stdlib.h>

#include "agent/pipeline_impl.h"
#include "common/err.h"
#include "common/log.h"
#include "detectors/refer.h"

/* ---- zones ---- */

const struct zone *pipeline_zone(const struct pipeline *p, const char *name)
{
	for (size_t i = 0; i < p->n_zones; i++) {
		if (strcmp(p->zones[i].name, name) == 0) {
			return p->zones[i].zone;
		}
	}
	return NULL;
}

static int add_zone(struct pipeline *p, const char *name)
{
	struct named_zone *zones =
		realloc(p->zones, (p->n_zones + 1) * sizeof *p->zones);
	struct named_zone *z;
	int rc;

	if (zones == NULL) {
		return UV_ENOMEM;
	}
	p->zones = zones;
	z = &zones[p->n_zones];
	z->name = strdup(name);
	rc = z->name == NULL ? UV_ENOMEM : zone_open(&z->zone, p->sys, name);
	if (rc != 0) {
		free(z->name);
		return rc;
	}
	p->n_zones++;
	return 0;
}

static int open_zone(struct pipeline *p, const char *name)
{
	int rc = pipeline_zone(p, name) != NULL ? 0 : add_zone(p, name);

	if (rc != 0) {
		log_error("cannot use the time zone of a source; name "
			  "one as in /usr/share/zoneinfo, or an offset",
			  "zone=%s error=\"%s\"", name, err_str(rc));
	}
	return rc;
}

/* A zone once opened stays: parsers have it. */
int pipeline_open_zones(struct pipeline *p)
{
	const struct sources_options *o = &p->config->sources;
	/* Of what the configuration does not mention, such as standard input. */
	int rc = open_zone(p, "local");

	rc = rc != 0 ? rc : open_zone(p, "UTC");
	for (size_t i = 0; i < o->n_files && rc == 0; i++) {
		rc = open_zone(p, o->files[i].zone);
	}
	for (size_t i = 0; i < o->n_commands && rc == 0; i++) {
		rc = open_zone(p, o->commands[i].about.zone);
	}
	for (size_t i = 0; i < o->n_syslog && rc == 0; i++) {
		rc = open_zone(p, o->syslog[i].about.zone);
	}
	for (size_t i = 0; i < o->n_journals && rc == 0; i++) {
		rc = open_zone(p, o->journals[i].about.zone);
	}
	return rc;
}

/* ---- rules ---- */

static int32_t offset_of(const void *zone, int64_t unix_s)
{
	return zone_offset(zone, unix_s);
}

/* arg: where to, or NULL: the log, and the rule is left out. */
static void on_rule_error(void *arg, const char *file, unsigned line,
			  unsigned column, const char *text)
{
	struct config_errors *errs = arg;
	char quoted[300];

	if (errs == NULL) {
		log_warn("a rule can't be used; the others are",
			 "at=%s:%u:%u reason=%s", file, line, column,
			 log_quote(quoted, sizeof quoted, slice_str(text)));
	} else if (errs->n < CONFIG_ERRORS_MAX) {
		snprintf(errs->text[errs->n++], CONFIG_ERROR_BYTES, "%.200s:%u:%u: %.250s",
			 file, line, column, text);
	} else {
		errs->more++;
	}
}

static int load_rules(struct pipeline *p, struct detect *d, struct config_errors *errs)
{
	const struct detectors_options *o = &p->config->detectors;
	bool placeholders = o->placeholders != NULL && o->placeholders[0] != '\0';
	int rc = !placeholders ? 0 : detect_placeholders_file(d, p->sys, o->placeholders,
							      on_rule_error, errs);

	for (size_t i = 0; i < o->packs.n && rc >= 0; i++) {
		rc = detect_load_dir(d, p->sys, o->packs.v[i], on_rule_error, errs);
		if (rc < 0) {
			log_error("cannot read a folder of rules",
				  "path=%s error=\"%s\"", o->packs.v[i],
				  err_str(rc));
			if (errs != NULL) {
				on_rule_error(errs, o->packs.v[i], 0, 0, err_str(rc));
			}
		}
	}
	if (rc >= 0 && o->packs.n == 0) {
		rc = detect_load_defaults(d, on_rule_error, errs);
	}
	if (rc >= 0) {
		rc = detect_compile(d, on_rule_error, errs);
	}
	if (rc >= 0) {
		log_info("rules are loaded", "rules=%d", rc);
		return errs != NULL && errs->n > 0 ? ERR_CONFIG : 0;
	}
	return rc;
}

void pipeline_unmake(struct made *m)
{
	redact_free(m->redact);
	detect_free(m->detect);
	refer_free(m->refer);
	alerts_free(m->alerts);
	explicit_bzero(m, sizeof *m);
}

static void on_refer_error(void *arg, const struct refer_told *t)
{
	on_rule_error(arg, t->path, t->line, 0, t->text);
}

/* What the rules before them have read of the same files is not read again. */
static int make_detect(struct pipeline *p, struct made *m, struct config_errors *errs)
{
	const struct detectors_options *o = &p->config->detectors;
	int rc = refer_new(&m->refer, o, p->key);

	if (rc != 0) {
		return rc;
	}
	refer_check(m->refer, on_refer_error, errs);
	refer_borrow(m->refer, p->made.refer);
	rc = detect_new(&m->detect, o, p->key);
	if (rc == 0) {
		detect_set_refer(m->detect, m->refer);
		rc = load_rules(p, m->detect, errs);
	}
	return rc;
}

int pipeline_make(struct pipeline *p, struct made *m, struct config_errors *errs)
{
	const struct agent_config *c = p->config;
	int rc;

	memset(m, 0, sizeof *m);
	rc = redact_new(&m->redact, &c->redact);
	rc = rc == 0 ? pipeline_make_names(p, m) : rc;
	if (rc == UV_EINVAL && errs != NULL) {
		on_rule_error(errs, "redact", 0, 0, "a name in redact.off is no rule's, or "
			      "a key or token can't be used");
	}
	if (rc == 0 && c->detectors.enabled) {
		rc = make_detect(p, m, errs);
	}
	if (m->detect != NULL && pipeline_zone(p, "local") != NULL) {
		detect_set_zone(m->detect, offset_of, pipeline_zone(p, "local"));
	}
	if (rc == 0) {
		rc = alerts_new(&m->alerts, &c->alerts, slice_str(p->device), p->key);
	}
	if (rc != 0) {
		pipeline_unmake(m);
	}
	return rc;
}

/* What the old ones know goes on in the new. */
static int carry_over(struct pipeline *p, struct made *m)
{
	struct buf state;
	int rc = 0;

	buf_init(&state, DETECT_STATE_MAX);
	if (p->made.detect != NULL && m->detect != NULL) {
		rc = detect_save(p->made.detect, &state);
		rc = rc != 0 ? rc : detect_restore(m->detect, buf_slice(&state));
	}
	buf_clear(&state);
	rc = rc != 0 ? rc : alerts_save(p->made.alerts, &state);
	rc = rc != 0 ? rc : alerts_restore(m->alerts, buf_slice(&state));
	buf_wipe(&state);
	return rc;
}

int pipeline_reload(struct pipeline *p, struct config_errors *errs)
{
	struct made m, old = p->made;
	int rc = pipeline_open_zones(p);

	if (rc != 0) {
		on_rule_error(errs, "zone", 0, 0, "the time zone of a source can't be used");
		return rc;
	}
	rc = pipeline_make(p, &m, errs);
	if (rc == 0) {
		rc = carry_over(p, &m);
		if (rc != 0) {
			pipeline_unmake(&m);
		}
	}
	if (rc != 0) {
		return rc;
	}
	if (m.refer != NULL) {
		refer_inherit(m.refer, old.refer);
	}
	p->made = m;
	pipeline_unmake(&old);
	return 0;
}

struct refer *pipeline_refer(const struct pipeline *p)
{
	return p->made.refer;
}

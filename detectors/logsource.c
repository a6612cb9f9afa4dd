#include "common/err.h"
#include "common/log.h"
#include "detectors/field.h"
#include "detectors/rule.h"

/* Which programs write the logs that Sigma calls a service.  A service that is
 * not here stands for the program of its own name. */
static const struct {
	const char *service;
	const char *programs[6];
} services[] = {
	{"sshd", {"sshd", "sshd-session", "sshd-auth"}},
	{"cron", {"cron", "crond", "anacron", "atd"}},
	{"clamav", {"clamd", "clamav", "freshclam", "clamscan"}},
	{"guacamole", {"guacamole", "guacd", "tomcat9", "tomcat10"}},
	/* rule_program() knows auditd's own files and the kernel's log. */
	{"auditd", {"audit", "auditd", "audisp-syslog", "audispd"}},
	{"vsftpd", {"vsftpd"}},
	/* Whole log files, of any program. */
	{"auth", {NULL}},
	{"syslog", {NULL}},
};

/* Which field a record of a Sigma category has. */
static const struct {
	const char *category;
	uint8_t field;
} categories[] = {
	{"file_event", FIELD_FILE_PATH},
	{"network_connection", FIELD_DESTINATION_IP},
	{"firewall", FIELD_DESTINATION_IP},
	{"webserver", FIELD_URL_PATH},
	{"proxy", FIELD_URL_PATH},
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int exact(struct building *b, unsigned field, struct slice value,
		 struct doc_mark at)
{
	struct match m = {.op = MATCH_EXACT, .field = (uint8_t)field};
	const char *copy = arena_text(&b->set->arena, value);

	if (copy == NULL) {
		complain(b->complain, at, "there is no memory for the rule");
		return -1;
	}
	m.text = slice_str(copy);
	return building_match(b, &m, at);
}

static int both(struct building *b, int one, int two, struct doc_mark at)
{
	uint16_t kids[2] = {(uint16_t)one, (uint16_t)two};

	return one < 0 || two < 0 ? -1 : building_join(b, NODE_AND, kids, 2, at);
}

static int exists(struct building *b, unsigned field, struct doc_mark at)
{
	struct match m = {.op = MATCH_EXISTS, .field = (uint8_t)field, .u.number = 1};

	return building_match(b, &m, at);
}

static int read_service(struct building *b, const struct doc_node *n)
{
	uint16_t kids[COUNT(services[0].programs)];
	size_t count = 0;

	for (size_t i = 0; i < COUNT(services); i++) {
		if (!slice_eq(n->text, slice_str(services[i].service))) {
			continue;
		}
		while (count < COUNT(kids) &&
		       services[i].programs[count] != NULL) {
			int node = exact(b, RULE_FIELD_PROGRAM,
					 slice_str(services[i].programs[count]),
					 n->mark);

			if (node < 0) {
				return -1;
			}
			kids[count++] = (uint16_t)node;
		}
		return count == 0 ? -2 : building_join(b, NODE_OR, kids, count,
						       n->mark);
	}
	return exact(b, RULE_FIELD_PROGRAM, n->text, n->mark);
}

/* A command that was started.  auditd's PROCTITLE tells of one that its EXECVE told of. */
static int process_creation(struct building *b, struct doc_mark at)
{
	int title = exact(b, FIELD_EVENT_ACTION, SLICE_LIT("process_title"), at);
	uint16_t kid = (uint16_t)title;
	int not = title < 0 ? -1 : building_join(b, NODE_NOT, &kid, 1, at);

	return both(b, exists(b, FIELD_PROCESS_COMMAND_LINE, at), not, at);
}

static int read_category(struct building *b, const struct doc_node *n)
{
	if (slice_eq(n->text, SLICE_LIT("process_creation"))) {
		return process_creation(b, n->mark);
	}
	for (size_t i = 0; i < COUNT(categories); i++) {
		if (slice_eq(n->text, slice_str(categories[i].category))) {
			return exists(b, categories[i].field, n->mark);
		}
	}
	/* ECS's categories: authentication, iam, session, ... */
	return exact(b, FIELD_EVENT_CATEGORY, n->text, n->mark);
}

static bool product_fits(const struct complain *c, const struct doc_node *n)
{
	static const char *const read[] = {"linux", "unix", "openwrt", "apache",
					   "nginx", "nightjar"};
	char shown[64];

	for (size_t i = 0; i < COUNT(read); i++) {
		if (slice_eq(n->text, slice_str(read[i]))) {
			return true;
		}
	}
	complain(c, n->mark, "logs of product %s are not read here",
		 log_quote(shown, sizeof shown, n->text));
	return false;
}

int logsource_read(struct building *b, const struct doc_node *n)
{
	uint16_t kids[2];
	size_t count = 0;

	if (n == NULL || n->kind != DOC_MAP) {
		complain(b->complain, n == NULL ? (struct doc_mark){0, 0} : n->mark,
			 "logsource must be a mapping");
		return -1;
	}
	for (const struct doc_node *c = n->first; c != NULL; c = c->next) {
		int node = -2;

		if (c->kind != DOC_SCALAR) {
			complain(b->complain, c->mark, "a word must stand here");
			return -1;
		}
		if (slice_eq(c->key, SLICE_LIT("product"))) {
			node = product_fits(b->complain, c) ? -2 : -1;
		} else if (slice_eq(c->key, SLICE_LIT("service"))) {
			node = read_service(b, c);
		} else if (slice_eq(c->key, SLICE_LIT("category"))) {
			node = read_category(b, c);
		}
		if (node == -1) {
			return -1;
		}
		if (node >= 0) {
			kids[count++] = (uint16_t)node;
		}
	}
	return count == 0 ? -2 : building_join(b, NODE_AND, kids, count, n->mark);
}

int logsource_names(struct ruleset *set, struct logsource *out, const struct doc_node *n,
		    const struct complain *c)
{
	const struct {
		const char *key;
		struct slice *to;
	} names[] = {{"product", &out->product},
		     {"category", &out->category},
		     {"service", &out->service}};

	if (n == NULL || n->kind != DOC_MAP) {
		complain(c, n == NULL ? (struct doc_mark){0, 0} : n->mark,
			 "logsource must be there, and a mapping");
		return ERR_MALFORMED;
	}
	for (size_t i = 0; i < COUNT(names); i++) {
		const struct doc_node *v = doc_find(n, names[i].key);
		const char *copy;

		if (v == NULL) {
			continue;
		}
		if (v->kind != DOC_SCALAR || v->text.n == 0) {
			complain(c, v->mark, "a word must stand here");
			return ERR_MALFORMED;
		}
		copy = arena_text(&set->arena, v->text);
		if (copy == NULL) {
			return UV_ENOMEM;
		}
		*names[i].to = slice(copy, v->text.n);
	}
	return 0;
}

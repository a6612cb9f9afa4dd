/* nightjar pki: an authority of one's own, and identities for devices and
 * collectors. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/err.h"
#include "common/json.h"
#include "common/slice.h"
#include "common/sys_uv.h"
#include "pki/pki.h"

#define DEFAULT_DIR "/etc/nightjar/pki"

enum { OUTPUT_MAX = 64 * 1024, NAME_ROOM = 32 };

struct request {
	const char *dir;
	bool force, json;
	unsigned days;
	int argc;     /* what is left behind the options */
	char **argv;
};

struct verb {
	const char *name;
	const char *arguments;
	const char *text; /* what it does, with examples */
	int (*run)(const struct verb *v, const struct request *r);
	int min, max;     /* arguments */
	bool issues;      /* takes --days and --force */
	bool json;
};

static const char *full_name(const struct verb *v, char out[static NAME_ROOM])
{
	snprintf(out, NAME_ROOM, "pki %s", v->name);
	return out;
}

static int failed(const struct verb *v, const struct pki *p)
{
	char name[NAME_ROOM];

	return cli_fail(full_name(v, name), "%s", p->why);
}

static void set_up(struct pki *p, const struct request *r)
{
	pki_setup(p, sys_plain(), r->dir);
	p->force = r->force;
	p->days = r->days;
}

/* ---- the verbs ---- */

static int run_init(const struct verb *v, const struct request *r)
{
	struct pki p;

	set_up(&p, r);
	if (pki_authority(&p) != 0) {
		return failed(v, &p);
	}
	printf("The authority is made.\n"
	       "  %s  its key: keep it here, and a copy offline\n"
	       "  %s  give it to every agent and collector, as\n"
	       "    /etc/nightjar/authority.crt\n"
	       "Next: nightjar pki collector HOST, and nightjar pki device NAME "
	       "or, without moving\nkeys, nightjar pki request NAME on the "
	       "device and nightjar pki sign FILE here.\n",
	       p.key_path, p.crt_path);
	return CLI_OK;
}

static int run_request(const struct verb *v, const struct request *r)
{
	struct pki p;

	set_up(&p, r);
	if (pki_request(&p, r->argv[0]) != 0) {
		return failed(v, &p);
	}
	printf("Key and request are made.\n"
	       "  %s  the device's key: it stays on this machine, as\n"
	       "    /etc/nightjar/device.key\n"
	       "  %s  take it to the authority and run there:\n"
	       "    nightjar pki sign %s.csr\n",
	       p.key_path, p.csr_path, r->argv[0]);
	return CLI_OK;
}

static int run_sign(const struct verb *v, const struct request *r)
{
	struct pki p;

	set_up(&p, r);
	if (pki_sign(&p, r->argv[0]) != 0) {
		return failed(v, &p);
	}
	printf("The certificate is issued.\n"
	       "  %s  take it to the device, with authority.crt, as\n"
	       "    /etc/nightjar/device.crt and /etc/nightjar/authority.crt\n",
	       p.crt_path);
	return CLI_OK;
}

static int run_collector(const struct verb *v, const struct request *r)
{
	struct pki p;

	set_up(&p, r);
	if (pki_collector(&p, (const char *const *)r->argv,
			  (size_t)r->argc) != 0) {
		return failed(v, &p);
	}
	printf("The collector's identity is made.\n"
	       "  %s\n  %s\n"
	       "Put them on the collector, with authority.crt, as "
	       "/etc/nightjar/collector.key,\ncollector.crt and "
	       "authority.crt.  Agents reach it by these names only.\n",
	       p.key_path, p.crt_path);
	return CLI_OK;
}

static int run_device(const struct verb *v, const struct request *r)
{
	struct pki p;

	set_up(&p, r);
	if (pki_device(&p, r->argv[0]) != 0) {
		return failed(v, &p);
	}
	printf("The device's identity is made, both halves in this place: its "
	       "key has to travel\nto the device.  Where that matters, use "
	       "nightjar pki request there instead.\n"
	       "  %s  as /etc/nightjar/device.key, mode 0600\n"
	       "  %s  as /etc/nightjar/device.crt\n",
	       p.key_path, p.crt_path);
	return CLI_OK;
}

static int show_json(const struct pki_facts *f)
{
	struct buf out;
	struct json j;
	int rc;

	buf_init(&out, OUTPUT_MAX);
	j = json_begin(&out);
	json_object(&j, NULL);
	json_cstr(&j, "kind",
		  f->kind == PKI_REQUEST ? "request" : "certificate");
	json_cstr(&j, "use", f->use);
	json_cstr(&j, "name", f->name);
	json_cstr(&j, "names", f->names);
	json_cstr(&j, "subject", f->subject);
	json_cstr(&j, "key", f->key_type);
	json_cstr(&j, "device", f->key_hash);
	if (f->kind == PKI_CERTIFICATE) {
		json_cstr(&j, "issuer", f->issuer);
		json_cstr(&j, "serial", f->serial);
		json_time(&j, "not_before", f->not_before_ms * 1000000);
		json_time(&j, "not_after", f->not_after_ms * 1000000);
		json_bool(&j, "expired", f->expired);
		json_bool(&j, "not_yet_valid", f->not_yet);
	}
	json_object_end(&j);
	rc = json_end(&j);
	if (rc == 0) {
		printf("%.*s\n", SLICE_ARG(buf_slice(&out)));
	}
	buf_fini(&out);
	return rc;
}

static void show_time(const char *label, int64_t ms, const char *note)
{
	struct buf out;
	struct json j;

	buf_init(&out, 128);
	j = json_begin(&out);
	json_time(&j, NULL, ms * 1000000);
	if (json_end(&j) == 0 && out.n > 2) {
		/* Without the quotes. */
		printf("%-11s %.*s%s\n", label, (int)out.n - 2, out.p + 1,
		       note);
	}
	buf_fini(&out);
}

static void show_text(const struct pki_facts *f)
{
	printf("%-11s %s (%s)\n", "kind",
	       f->kind == PKI_REQUEST ? "signing request" : "certificate",
	       f->use);
	printf("%-11s %s\n", "name", f->name);
	printf("%-11s %s\n", "names", f->names[0] == '\0' ? "-" : f->names);
	printf("%-11s %s\n", "subject", f->subject);
	if (f->kind == PKI_CERTIFICATE) {
		printf("%-11s %s\n", "issuer", f->issuer);
		printf("%-11s %s\n", "serial", f->serial);
		show_time("not before", f->not_before_ms,
			  f->not_yet ? "  (not valid yet)" : "");
		show_time("not after", f->not_after_ms,
			  f->expired ? "  (expired)" : "");
	}
	printf("%-11s %s\n", "key", f->key_type);
	printf("%-11s %s\n", "device id", f->key_hash);
}

static int run_show(const struct verb *v, const struct request *r)
{
	struct pki_facts facts;
	struct pki p;
	char name[NAME_ROOM];

	set_up(&p, r);
	if (pki_show(&p, r->argv[0], &facts) != 0) {
		return failed(v, &p);
	}
	if (r->json) {
		int rc = show_json(&facts);

		return rc == 0 ? CLI_OK
			       : cli_fail(full_name(v, name), "%s",
					  err_str(rc));
	}
	show_text(&facts);
	return CLI_OK;
}

static const struct verb verbs[] = {
	{"init", "",
	 "Makes an authority: a key and a certificate for ten years, that "
	 "signs devices and\ncollectors.  Once for a fleet, on a machine that "
	 "is looked after.\n\n"
	 "Example: nightjar pki init\n",
	 run_init, 0, 0, true, false},
	{"request", "NAME",
	 "On a device: makes its key and a signing request.  The key never "
	 "leaves the device;\nthe request is taken to the authority.  NAME has "
	 "letters, digits, \"-\", \"_\" and \".\".\n\n"
	 "Example: nightjar pki request gw-17 --dir /etc/nightjar/pki\n",
	 run_request, 1, 1, true, false},
	{"sign", "FILE",
	 "At the authority: checks a signing request and issues the device's "
	 "certificate, for\none year unless --days says otherwise.  Only the "
	 "device's name is taken from the\nrequest.\n\n"
	 "Example: nightjar pki sign gw-17.csr\n",
	 run_sign, 1, 1, true, false},
	{"collector", "HOST...",
	 "Makes a collector's key and certificate.  Every name and address by "
	 "which agents\nreach it is given here; another one is not accepted "
	 "by them.\n\n"
	 "Example: nightjar pki collector logs.example.net 192.0.2.7\n",
	 run_collector, 1, PKI_HOSTS, true, false},
	{"device", "NAME",
	 "Both halves of a device's identity in one place, for demonstrations "
	 "and tests: the\nkey then has to travel.\n\n"
	 "Example: nightjar pki device gw-17\n",
	 run_device, 1, 1, true, false},
	{"show", "FILE",
	 "What a certificate or a signing request says: whose it is, who "
	 "signed it, how long it\nis valid, and the device id by which the "
	 "collector knows its key.\n\n"
	 "Example: nightjar pki show --json /etc/nightjar/device.crt\n",
	 run_show, 1, 1, false, true},
	{NULL, NULL, NULL, NULL, 0, 0, false, false},
};

/* ---- the command ---- */

static void help_verb(const struct verb *v)
{
	printf("Usage: nightjar pki %s [OPTION]... %s\n\n%s\n", v->name,
	       v->arguments, v->text);
	if (v->issues) {
		fputs("  --dir DIR   where the files are (" DEFAULT_DIR ")\n",
		      stdout);
		if (v->run != run_request) {
			fputs("  --days N    how long the certificate is "
			      "valid\n",
			      stdout);
		}
		fputs("  --force     overwrite what is there\n", stdout);
	}
	if (v->json) {
		fputs("  --json      the answer as JSON\n", stdout);
	}
	fputs("  --help      this text\n\n"
	      "Exit status: 0 good, 1 failed, 2 used wrongly.\n",
	      stdout);
}

static void help(FILE *out)
{
	fputs("Usage: nightjar pki VERB [OPTION]... [ARGUMENT]...\n\n"
	      "Identities: an authority of your own, and a key and a "
	      "certificate for each device\nand each collector.  Nothing is "
	      "overwritten without --force.\n\n",
	      out);
	for (const struct verb *v = verbs; v->name != NULL; v++) {
		fprintf(out, "  nightjar pki %s%s%s\n", v->name,
			v->arguments[0] == '\0' ? "" : " ", v->arguments);
	}
	fputs("\nnightjar pki VERB --help tells more about one of them.\n"
	      "Example: nightjar pki init && nightjar pki collector "
	      "logs.example.net\n"
	      "Exit status: 0 good, 1 failed, 2 used wrongly.\n",
	      out);
}

static bool parse_days(const char *text, unsigned *out)
{
	uint64_t v;

	if (!slice_to_u64(slice_str(text), PKI_DAYS_MAX, &v) || v == 0) {
		return false;
	}
	*out = (unsigned)v;
	return true;
}

enum { OPT_DIR = 1000, OPT_DAYS, OPT_FORCE, OPT_JSON, OPT_HELP };

/* One option of a verb.  -1: go on; else the exit status. */
static int take_option(const struct verb *v, struct request *r, int c)
{
	char name[NAME_ROOM];

	full_name(v, name);
	switch (c) {
	case OPT_DIR:
		r->dir = optarg;
		return -1;
	case OPT_DAYS:
		if (!v->issues || v->run == run_request) {
			return cli_usage(name, "--days has no meaning here");
		}
		return parse_days(optarg, &r->days)
			       ? -1
			       : cli_usage(name,
					   "--days takes a number from 1 to "
					   "%d, not \"%s\"",
					   (int)PKI_DAYS_MAX, optarg);
	case OPT_FORCE:
		r->force = true;
		return v->issues
			       ? -1
			       : cli_usage(name, "--force has no meaning here");
	case OPT_JSON:
		r->json = true;
		return v->json ? -1
			       : cli_usage(name, "--json has no meaning here");
	case OPT_HELP:
		help_verb(v);
		return CLI_OK;
	default:
		return cli_usage(name, "unknown or incomplete option");
	}
}

static int run_verb(const struct verb *v, int argc, char **argv)
{
	static const struct option options[] = {
		{"dir", required_argument, NULL, OPT_DIR},
		{"days", required_argument, NULL, OPT_DAYS},
		{"force", no_argument, NULL, OPT_FORCE},
		{"json", no_argument, NULL, OPT_JSON},
		{"help", no_argument, NULL, OPT_HELP},
		{NULL, 0, NULL, 0},
	};
	struct request r = {.dir = DEFAULT_DIR};
	char name[NAME_ROOM];
	int c, status;

	optind = 1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		status = take_option(v, &r, c);
		if (status >= 0) {
			return status;
		}
	}
	r.argc = argc - optind;
	r.argv = argv + optind;
	if (r.argc < v->min || r.argc > v->max) {
		return cli_usage(full_name(v, name), "it takes %s%s",
				 v->arguments[0] == '\0' ? "no argument"
							 : v->arguments,
				 r.argc > v->max ? " and nothing else" : "");
	}
	return v->run(v, &r);
}

int cmd_pki(int argc, char **argv)
{
	if (argc < 2) {
		help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0) {
		help(stdout);
		return CLI_OK;
	}
	for (const struct verb *v = verbs; v->name != NULL; v++) {
		if (strcmp(argv[1], v->name) == 0) {
			return run_verb(v, argc - 1, argv + 1);
		}
	}
	return cli_usage("pki", "there is no \"%s\"", argv[1]);
}

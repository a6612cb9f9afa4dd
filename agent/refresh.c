#include "agent/refresh.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/health.h"
#include "common/log.h"
#include "detectors/refer.h"

struct refresh {
	struct sys *sys;
	struct pipeline *pipeline;
	struct sys_work work;
	struct refer_job job;
	bool busy;    /* the job is a worker's */
	bool freeing; /* and nobody waits for it */
	int64_t looked_ns; /* monotonic; 0: look now */
};

static void on_told(void *arg, const struct refer_told *t)
{
	struct refresh *r = arg;
	char detail[GEO_WHY + 80];

	if (t->good) {
		log_info("a list or database of the rules was read", "path=%s what=\"%s\"",
			 t->path, t->text);
		return;
	}
	if (t->odd) {
		log_warn("a list is hardly meant as it is", "path=%s reason=\"%s\"", t->path,
			 t->text);
		return;
	}
	if (t->line > 0) {
		log_warn("a line of a list is left out", "at=%s:%u reason=\"%s\"", t->path,
			 t->line, t->text);
		return;
	}
	snprintf(detail, sizeof detail, "%s; %s", t->text,
		 t->old ? "what was read before stays in use" : "nothing of it is in use");
	log_warn("a list or database of the rules can't be used", "path=%s error=\"%s\"",
		 t->path, detail);
	health_tell(r->pipeline, r->sys, HEALTH_REFERENCE, slice_str(t->path),
		    slice_str(detail));
}

int refresh_new(struct refresh **out, struct sys *sys, struct pipeline *p)
{
	struct refresh *r = calloc(1, sizeof *r);

	*out = r;
	if (r == NULL) {
		return UV_ENOMEM;
	}
	r->sys = sys;
	r->pipeline = p;
	return 0;
}

void refresh_free(struct refresh *r)
{
	if (r != NULL && r->busy) {
		r->freeing = true;
	} else {
		free(r);
	}
}

void refresh_load(struct refresh *r)
{
	struct refer *refer = pipeline_refer(r->pipeline);

	if (refer != NULL) {
		refer_load(refer, r->sys, on_told, r);
	}
	r->looked_ns = sys_mono_ns(r->sys);
}

static void run(struct sys_work *w)
{
	struct refresh *r = w->arg;

	refer_work(&r->job);
}

static void look(struct refresh *r);

static void done(struct sys_work *w)
{
	struct refresh *r = w->arg;

	r->busy = false;
	if (r->freeing) {
		refer_take(NULL, &r->job, NULL, NULL);
		free(r);
		return;
	}
	/* A reload may have changed which files there are. */
	refer_take(pipeline_refer(r->pipeline), &r->job, on_told, r);
	look(r);
}

static void look(struct refresh *r)
{
	struct refer *refer = pipeline_refer(r->pipeline);

	if (refer == NULL || !refer_next(refer, r->sys, &r->job, on_told, r)) {
		return;
	}
	r->work.run = run;
	r->work.done = done;
	r->work.arg = r;
	r->busy = sys_work_submit(r->sys, &r->work) == 0;
	if (!r->busy) {
		/* Without a thread it is read here. */
		refer_work(&r->job);
		refer_take(refer, &r->job, on_told, r);
	}
}

void refresh_tick(struct refresh *r, uint64_t every_ms)
{
	int64_t now = sys_mono_ns(r->sys);

	if (r->busy || (r->looked_ns != 0 && now - r->looked_ns < (int64_t)every_ms * 1000000)) {
		return;
	}
	r->looked_ns = now;
	look(r);
}

void refresh_soon(struct refresh *r)
{
	r->looked_ns = 0;
}

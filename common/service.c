#include "common/service.h"

#include <signal.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/log.h"
#include "common/sys_uv.h"

void service_begin(struct service *s)
{
	s->started_ns = sys_mono_ns(sys_plain());
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct service *s = handle->data;

	if (number == SIGHUP) {
		s->cbs->reload(s->arg);
		return;
	}
	if (s->stopping) {
		return;
	}
	s->stopping = true;
	log_info("stopping", "signal=%d", number);
	daemon_notify("STOPPING=1");
	s->cbs->stop(s->arg);
}

static void on_watchdog(uv_timer_t *timer)
{
	(void)timer;
	daemon_notify("WATCHDOG=1");
}

static void on_renewing(uv_timer_t *timer)
{
	struct service *s = timer->data;

	s->cbs->renew(s->arg);
}

void service_start(struct service *s, uv_loop_t *loop, uint64_t renew_ms,
		   const struct service_cbs *cbs, void *arg)
{
	uint64_t watchdog_ms = daemon_watchdog_ms();

	s->cbs = cbs;
	s->arg = arg;
	uv_signal_init(loop, &s->term);
	uv_signal_init(loop, &s->interrupt);
	uv_signal_init(loop, &s->hangup);
	uv_timer_init(loop, &s->watchdog);
	uv_timer_init(loop, &s->renewing);
	s->term.data = s->interrupt.data = s->hangup.data = s->renewing.data = s;
	uv_timer_start(&s->renewing, on_renewing, renew_ms, renew_ms);
	uv_signal_start(&s->term, on_signal, SIGTERM);
	uv_signal_start(&s->interrupt, on_signal, SIGINT);
	uv_signal_start(&s->hangup, on_signal, SIGHUP);
	if (watchdog_ms > 0) {
		uv_timer_start(&s->watchdog, on_watchdog, watchdog_ms, watchdog_ms);
	}
}

void service_close(struct service *s)
{
	uv_close((uv_handle_t *)&s->term, NULL);
	uv_close((uv_handle_t *)&s->interrupt, NULL);
	uv_close((uv_handle_t *)&s->hangup, NULL);
	uv_close((uv_handle_t *)&s->watchdog, NULL);
	uv_close((uv_handle_t *)&s->renewing, NULL);
}

void service_status(const struct service *s, const char *program, struct json *j)
{
	size_t rss = 0;

	json_cstr(j, "program", program);
	json_cstr(j, "version", NIGHTJAR_VERSION);
	json_u64(j, "pid", (uint64_t)getpid());
	json_u64(j, "uptime_s",
		 (uint64_t)(sys_mono_ns(sys_plain()) - s->started_ns) / 1000000000);
	if (uv_resident_set_memory(&rss) == 0) {
		json_u64(j, "rss_bytes", rss);
	}
}

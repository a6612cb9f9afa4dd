#include "sources/guard.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static struct sigaction before;
static uintptr_t page_bytes;
static _Thread_local volatile sig_atomic_t inside, missing;

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	int saved = errno;
	uintptr_t page = (uintptr_t)info->si_addr & ~(page_bytes - 1);

	(void)context;
	if (!inside || info->si_code != BUS_ADRERR ||
	    mmap((void *)page, page_bytes, PROT_READ,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
		/* The same access comes again, and then to whoever was there before. */
		sigaction(signal, &before, NULL);
	} else {
		missing = 1;
	}
	errno = saved;
}

int guard_install(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct sigaction now;

	if (sigaction(SIGBUS, NULL, &now) != 0) {
		return -errno;
	}
	if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_sigbus) {
		return 0;
	}
	page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	sigemptyset(&action.sa_mask);
	before = now;
	return sigaction(SIGBUS, &action, NULL) == 0 ? 0 : -errno;
}

void guard_enter(void)
{
	missing = 0;
	inside = 1;
}

bool guard_leave(void)
{
	inside = 0;
	return missing != 0;
}

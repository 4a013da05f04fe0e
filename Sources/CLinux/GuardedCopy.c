// Copies out of a mapping whose pages may fail: behind the end of a file that was cut meanwhile, or in broken memory.
// The kernel then sends SIGBUS; here it ends the copy instead of the process. In C, since it jumps out of a signal
// handler, and only over memcpy's frame.
#define _GNU_SOURCE
#include "CLinux.h"
#include <setjmp.h>
#include <signal.h>
#include <string.h>

struct guard {
  sigjmp_buf out;
  const char *start, *end;
};
static _Thread_local struct guard *volatile current;
static struct sigaction before;

static void on_bus_error(int signal, siginfo_t *information, void *context) {
  (void)context;
  struct guard *guard = current;
  const char *address = information->si_addr;
  if (guard && address >= guard->start && address < guard->end) siglongjmp(guard->out, 1);
  // Somebody else's: what was set before happens when the access is made again.
  sigaction(signal, &before, NULL);
}

int mcore_guard_bus_errors(void) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = on_bus_error;
  // Not deferred: the jump out does not restore the mask of signals.
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  return sigaction(SIGBUS, &action, &before);
}

int mcore_guarded_copy(void *to, const void *from, size_t count) {
  struct guard guard = {.start = from, .end = (const char *)from + count};
  if (sigsetjmp(guard.out, 0)) {
    current = NULL;
    return -1;
  }
  current = &guard;
  __asm__ volatile("" ::: "memory");
  memcpy(to, from, count);
  __asm__ volatile("" ::: "memory");
  current = NULL;
  return 0;
}

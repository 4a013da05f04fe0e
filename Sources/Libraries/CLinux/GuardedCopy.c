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

static int copy(void *to, const void *from, size_t count, const void *guarded) {
  struct guard guard = {.start = guarded, .end = (const char *)guarded + count};
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

int mcore_guarded_copy(void *to, const void *from, size_t count) { return copy(to, from, count, from); }

// Puts what is in the caches into memory. User programs may do that on x86_64 (SSE2) and, as Linux sets it up
// (SCTLR_EL1.UCI), on arm64.
static void flush(const char *start, size_t count) {
#if defined(__x86_64__)
  for (const char *line = (const char *)((uintptr_t)start & ~(uintptr_t)63); line < start + count; line += 64)
    __builtin_ia32_clflush(line);
  __builtin_ia32_mfence();
#elif defined(__aarch64__)
  uint64_t type;
  __asm__ volatile("mrs %0, ctr_el0" : "=r"(type));
  uintptr_t size = (uintptr_t)4 << (type >> 16 & 15);
  for (uintptr_t line = (uintptr_t)start & ~(size - 1); line < (uintptr_t)start + count; line += size)
    __asm__ volatile("dc civac, %0" ::"r"(line) : "memory");
  __asm__ volatile("dsb sy" ::: "memory");
#else
#error "how are caches flushed on this architecture?"
#endif
}

int mcore_guarded_store(void *to, const void *from, size_t count) {
  int result = copy(to, from, count, to);
  if (result == 0) flush(to, count);
  return result;
}

#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t child;
static volatile sig_atomic_t asked;
// Where the signals are held once: when the first one came, in seconds and one more; 0 for none yet.
static volatile sig_atomic_t is_held_once;
static volatile sig_atomic_t asked_at;

// timeout(1) sends the same signal to a process and, at once, to its group: that is one wish and not two.
static void end_if_insisted(int number) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  sig_atomic_t second = (sig_atomic_t)(now.tv_sec + 1);
  if (asked_at == 0) asked_at = second;
  if (second - asked_at < 2) return;
  signal(number, SIG_DFL);
  raise(number);
}

// The terminal sends SIGINT and SIGQUIT to the child itself, which may make something else of them than its end.
static void pass_on(int number) {
  int saved = errno;
  asked = number;
  if (is_held_once) end_if_insisted(number);
  if (child > 0 && number != SIGINT && number != SIGQUIT) kill(child, number);
  errno = saved;
}

void mcore_hold_signals(int once) {
  is_held_once = once;
  static const int numbers[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
  for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++) {
    struct sigaction action;
    // What was ignored from the start, as in the background of a script, stays ignored.
    if (sigaction(numbers[index], NULL, &action) != 0 || action.sa_handler == SIG_IGN) continue;
    memset(&action, 0, sizeof action);
    action.sa_handler = pass_on;
    sigaction(numbers[index], &action, NULL);
  }
}

int mcore_held_signal(void) { return asked; }

void mcore_pass_signals_to(int pid) {
  child = pid;
  int number = asked;
  if (pid > 0 && number != 0 && number != SIGINT && number != SIGQUIT) kill(pid, number);
}

int mcore_rename_new(const char *from, const char *to) {
  if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 1 /* RENAME_NOREPLACE */) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -errno;
  if (link(from, to) == 0) return unlink(from) == 0 ? 0 : -errno;
  if (errno == EEXIST) return -EEXIST;
  // A file system without links: nobody can do better.
  if (access(to, F_OK) == 0) return -EEXIST;
  return rename(from, to) == 0 ? 0 : -errno;
}

int mcore_separate_mounts(void) {
  if (unshare(CLONE_NEWNS) != 0) return -errno;
  // What the system mounts later is still seen; what is mounted here nobody else sees.
  return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0 ? 0 : -errno;
}

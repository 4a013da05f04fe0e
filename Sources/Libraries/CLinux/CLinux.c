#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/reboot.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

const unsigned int MCORE_REBOOT_RESTART = LINUX_REBOOT_CMD_RESTART;
const unsigned int MCORE_REBOOT_POWER_OFF = LINUX_REBOOT_CMD_POWER_OFF;
const unsigned int MCORE_REBOOT_HALT = LINUX_REBOOT_CMD_HALT;
const unsigned int MCORE_REBOOT_KEXEC = LINUX_REBOOT_CMD_KEXEC;
const int MCORE_OPEN_NAMELESS = O_TMPFILE;
const int MCORE_SEEK_DATA = SEEK_DATA;

int mcore_finit_module(int fd, const char *parameters, int flags) {
  return syscall(SYS_finit_module, fd, parameters, flags) == 0 ? 0 : -errno;
}

int mcore_reboot(unsigned int command) {
  return syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command, 0) == 0 ? 0 : -errno;
}

int mcore_kexec_file_load(int kernel, int initrd, const char *arguments, size_t size, unsigned long flags) {
  return syscall(SYS_kexec_file_load, kernel, initrd, size, arguments, flags) == 0 ? 0 : -errno;
}

int mcore_usable_cpus(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  int count = CPU_COUNT(&set);
  return count > 0 ? count : 1;
}

int mcore_block_device_size(int fd, uint64_t *bytes) {
  return ioctl(fd, BLKGETSIZE64, bytes) == 0 ? 0 : -errno;
}

int mcore_pidfd_open(int pid) {
  long fd = syscall(SYS_pidfd_open, pid, 0);
  return fd >= 0 ? (int)fd : -errno;
}

int mcore_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

const int MCORE_SPAWN_SETSID = POSIX_SPAWN_SETSID;

extern char **environ;
char **mcore_environment(void) { return environ; }

int mcore_is_in_proc(int fd) {
  struct statfs information;
  return fstatfs(fd, &information) == 0 && information.f_type == PROC_SUPER_MAGIC;
}

void mcore_start_writing(int fd, long long offset, long long count, int waits) {
  unsigned int flags = SYNC_FILE_RANGE_WRITE;
  if (waits) flags |= SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER;
  sync_file_range(fd, offset, count, flags);
}

void mcore_return_freed_memory(void) { malloc_trim(0); }

void mcore_map_large_buffers(void) { mallopt(M_MMAP_THRESHOLD, 128 << 10); }

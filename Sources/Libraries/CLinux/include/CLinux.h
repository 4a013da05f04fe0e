// System calls and constants that Swift's Glibc module lacks, one thin function each. No logic here.
#ifndef MCORE_CLINUX_H
#define MCORE_CLINUX_H
#include <stddef.h>
#include <stdint.h>

/// finit_module(2). Returns 0 or -errno.
int mcore_finit_module(int fd, const char *parameters, int flags);
/// reboot(2) with the two magic numbers. `command` is one of the MCORE_REBOOT_ values. Returns -errno, if at all.
int mcore_reboot(unsigned int command);
extern const unsigned int MCORE_REBOOT_RESTART, MCORE_REBOOT_POWER_OFF, MCORE_REBOOT_HALT, MCORE_REBOOT_KEXEC;
/// kexec_file_load(2). `arguments` is the new kernel's command line, `size` its bytes with the NUL. Returns 0 or -errno.
int mcore_kexec_file_load(int kernel, int initrd, const char *arguments, size_t size, unsigned long flags);
/// Number of CPUs this process may run on, from sched_getaffinity(2); at least 1.
int mcore_usable_cpus(void);
/// ioctl(fd, BLKGETSIZE64). Returns 0 or -errno.
int mcore_block_device_size(int fd, uint64_t *bytes);
/// pidfd_open(2), Linux 5.3: a descriptor that poll(2) finds readable when the process has ended. Returns -errno.
int mcore_pidfd_open(int pid);
/// The environment, as execve(2) takes it. Not to be kept: setenv(3) moves it.
char **mcore_environment(void);
/// pipe2(2) with O_CLOEXEC, which the Glibc module hides.
int mcore_pipe(int ends[2]);
/// posix_spawn's flag for a session of its own, which the Glibc module hides.
extern const int MCORE_SPAWN_SETSID;
/// open(2)'s flag for a file without a name, which the Glibc module hides.
extern const int MCORE_OPEN_NAMELESS;
/// lseek(2)'s way to the next bytes that are no hole, which the Glibc module hides.
extern const int MCORE_SEEK_DATA;
/// Whether a file is of procfs, from fstatfs(2).
int mcore_is_in_proc(int fd);

/// sync_file_range(2), which Glibc's module map lacks: begins to write a range of a file to its device, and waits for it
/// if it is told to. Nothing depends on it.
void mcore_start_writing(int fd, long long offset, long long count, int waits);
/// Sets the handler that `mcore_guarded_copy` needs, once for the process. Returns 0, or -1 with errno.
int mcore_guard_bus_errors(void);
/// memcpy(3) from a mapping. Returns 0, or -1 when a page of it can't be had; part of it may have been copied then.
int mcore_guarded_copy(void *to, const void *from, size_t count);
/// memcpy(3) into a mapping, and the processor's caches written out behind it. Returns 0, or -1 when a page of it can't be
/// had; part of it may have been copied then.
int mcore_guarded_store(void *to, const void *from, size_t count);
/// From now on SIGINT, SIGQUIT, SIGTERM and SIGHUP do not end this process: the last two are for the child below. `once`: one
/// that comes two seconds after the first does.
void mcore_hold_signals(int once);
/// The last of them that came; 0 for none.
int mcore_held_signal(void);
/// The child that gets SIGTERM and SIGHUP, those too that have come already; 0 for none.
void mcore_pass_signals_to(int pid);
/// Mounts of this process are its own and its children's from now on, and gone with the last of them. Returns 0 or -errno.
int mcore_separate_mounts(void);

/// rename(2) that replaces nothing (RENAME_NOREPLACE; link(2) where the file system lacks that). 0 or -errno.
int mcore_rename_new(const char *from, const char *to);
/// The table of a mapped device, as text (linux/dm-ioctl.h): lines "START LENGTH TYPE PARAMETERS". Returns 0 or -errno.
int mcore_mapper_table(const char *name, char *text, size_t size);
/// Makes a mapped device with such a table: /dev/dm-`minor_number`. Returns 0 or -errno.
int mcore_mapper_create(const char *name, unsigned int minor_number, const char *table);
/// Starts the array behind `fd` with superblocks of version 1.`minor_version` (linux/raid/md_u.h). `devices` are pairs of major and
/// minor number; of the `count` pairs one that can't be added is passed over. Returns 0 or -errno.
int mcore_array_assemble(int fd, int minor_version, const uint32_t *devices, size_t count);
/// malloc_trim(0): freed memory goes back to the system.
void mcore_return_freed_memory(void);
/// mallopt(M_MMAP_THRESHOLD): from now on a buffer of 128 KiB and more is a mapping of its own, unless it fits between others.
void mcore_map_large_buffers(void);
#endif

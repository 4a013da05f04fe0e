#ifndef MCORE_CFUSEVIEW_H
#define MCORE_CFUSEVIEW_H
#include <stddef.h>
#include <stdint.h>

/// A directory of files that can only be read, mounted through libfuse 3.

/// A file of the directory.
struct mcore_view_file {
  const char *name;
  uint64_t size;
  /// Its size is not known before it is read: reading ends where nothing more is given.
  int unsized;
};
/// Gives up to `count` bytes at `offset` of a file, by its index: returns how many, or -errno. Called on several threads.
typedef int64_t (*mcore_view_read)(void *context, int file, uint64_t offset, void *buffer, size_t count);

/// Mounts `count` files at `directory`, leaves the terminal unless `foreground`, and serves until it is unmounted or
/// interrupted; then it is unmounted. `modified` is in seconds since 1970. Returns 0, or -errno where it does not come to that.
int mcore_view_serve(const char *directory, const struct mcore_view_file *files, int count, int64_t modified, int foreground,
                     mcore_view_read read, void *context);

/// The same, served by threads of its own while this process does other things. `unmount_at_end`: should this process be
/// killed, fusermount3 unmounts. `mount` is set for `mcore_view_end`. Returns 0, or -errno.
int mcore_view_begin(const char *directory, const struct mcore_view_file *files, int count, int64_t modified, int unmount_at_end,
                     mcore_view_read read, void *context, void **mount);
/// Unmounts. The threads end with this process.
void mcore_view_end(void *mount);
#endif

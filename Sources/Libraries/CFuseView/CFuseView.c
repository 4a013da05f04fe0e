#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
// An interface that every libfuse 3 has.
#define FUSE_USE_VERSION 31
#include "CFuseView.h"
#include <errno.h>
#include <fcntl.h>

#if __has_include(<fuse3/fuse.h>)
#include <fuse3/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct view {
  const struct mcore_view_file *files;
  int count;
  int64_t modified;
  mcore_view_read read;
  void *context;
};

static struct view *current(void) { return fuse_get_context()->private_data; }

static int index_of(const char *path) {
  struct view *view = current();
  for (int index = 0; index < view->count; index++)
    if (strcmp(path + 1, view->files[index].name) == 0) return index;
  return -1;
}

static void describe(struct stat *info, int index) {
  struct view *view = current();
  memset(info, 0, sizeof *info);
  info->st_uid = getuid();
  info->st_gid = getgid();
  info->st_atime = info->st_mtime = info->st_ctime = view->modified;
  info->st_ino = index + 2;
  if (index < 0) {
    info->st_mode = S_IFDIR | 0500;
    info->st_nlink = 2;
  } else {
    info->st_mode = S_IFREG | 0400;
    info->st_nlink = 1;
    info->st_size = view->files[index].size;
    info->st_blocks = (view->files[index].size + 511) / 512;
  }
}

static void *view_init(struct fuse_conn_info *connection, struct fuse_config *config) {
  (void)connection;
  // Nothing ever changes.
  config->kernel_cache = 1;
  config->attr_timeout = config->entry_timeout = config->negative_timeout = 86400;
  return current();
}

static int view_getattr(const char *path, struct stat *info, struct fuse_file_info *file) {
  (void)file;
  int index = strcmp(path, "/") == 0 ? -1 : index_of(path);
  if (index < 0 && strcmp(path, "/") != 0) return -ENOENT;
  describe(info, index);
  return 0;
}

static int view_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *file,
                        enum fuse_readdir_flags flags) {
  (void)offset, (void)file, (void)flags;
  if (strcmp(path, "/") != 0) return -ENOENT;
  fill(buffer, ".", NULL, 0, 0);
  fill(buffer, "..", NULL, 0, 0);
  struct view *view = current();
  for (int index = 0; index < view->count; index++) {
    struct stat info;
    describe(&info, index);
    fill(buffer, view->files[index].name, &info, 0, 0);
  }
  return 0;
}

static int view_open(const char *path, struct fuse_file_info *file) {
  int index = index_of(path);
  if (index < 0) return -ENOENT;
  if ((file->flags & O_ACCMODE) != O_RDONLY) return -EROFS;
  file->fh = index;
  // The kernel asks for no more than it takes for the size, but of a file that is read past its cache.
  file->direct_io = current()->files[index].unsized != 0;
  file->keep_cache = !file->direct_io;
  return 0;
}

static int view_read(const char *path, char *buffer, size_t count, off_t offset, struct fuse_file_info *file) {
  (void)path;
  struct view *view = current();
  uint64_t size = view->files[file->fh].size;
  if (offset < 0) return -EINVAL;
  if (!view->files[file->fh].unsized) {
    if ((uint64_t)offset >= size) return 0;
    if (count > size - offset) count = size - offset;
  }
  return view->read(view->context, file->fh, offset, buffer, count);
}

static const struct fuse_operations operations = {
  .init = view_init, .getattr = view_getattr, .readdir = view_readdir, .open = view_open, .read = view_read,
};

static struct fuse *made(struct view *view, const char *more) {
  char words[160] = "ro,fsname=mcore,subtype=mcore,default_permissions";
  strcat(words, more);
  char *arguments[] = {"mcore", "-o", words, NULL};
  struct fuse_args all = FUSE_ARGS_INIT(3, arguments);
  struct fuse *fuse = fuse_new(&all, &operations, sizeof operations, view);
  fuse_opt_free_args(&all);
  return fuse;
}

int mcore_view_serve(const char *directory, const struct mcore_view_file *files, int count, int64_t modified, int foreground,
                     mcore_view_read read, void *context) {
  struct view view = {files, count, modified, read, context};
  struct fuse *fuse = made(&view, "");
  if (fuse == NULL) return -EINVAL;
  int result = -EIO;
  errno = 0;
  if (fuse_mount(fuse, directory) == 0) {
    // Its own threads begin only behind the fork.
    if (fuse_daemonize(foreground) == 0 && fuse_set_signal_handlers(fuse_get_session(fuse)) == 0) {
      int code = fuse_loop_mt(fuse, 0);
      // A signal that ends it comes back as its number.
      result = code < 0 ? code : 0;
      fuse_remove_signal_handlers(fuse_get_session(fuse));
    }
    fuse_unmount(fuse);
  } else if (errno != 0) {
    result = -errno;
  }
  fuse_destroy(fuse);
  return result;
}

struct background {
  struct view view;
  struct fuse *fuse;
};

static void *serve(void *fuse) {
  fuse_loop_mt(fuse, 0);
  return NULL;
}

int mcore_view_begin(const char *directory, const struct mcore_view_file *files, int count, int64_t modified, int unmount_at_end,
                     mcore_view_read read, void *context, void **mount) {
  struct background *mounted = calloc(1, sizeof *mounted);
  if (mounted == NULL) return -ENOMEM;
  mounted->view = (struct view){files, count, modified, read, context};
  mounted->fuse = made(&mounted->view, unmount_at_end ? ",auto_unmount" : "");
  int result = mounted->fuse == NULL ? -EINVAL : 0;
  errno = 0;
  if (result == 0 && fuse_mount(mounted->fuse, directory) != 0) result = errno != 0 ? -errno : -EIO;
  if (result == 0) {
    // Signals are for the thread that waits for the program.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_t thread;
    result = -pthread_create(&thread, NULL, serve, mounted->fuse);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result == 0) pthread_detach(thread);
    else fuse_unmount(mounted->fuse);
  }
  if (result == 0) {
    *mount = mounted;
  } else {
    if (mounted->fuse != NULL) fuse_destroy(mounted->fuse);
    free(mounted);
  }
  return result;
}

void mcore_view_end(void *mount) {
  struct background *mounted = mount;
  // Threads that read from the kernel still use the rest. They are told to end, and this process ends soon.
  fuse_exit(mounted->fuse);
  fuse_unmount(mounted->fuse);
}
#else
// Built without libfuse's headers: the trait FUSE is off then, and nothing calls this.
int mcore_view_serve(const char *directory, const struct mcore_view_file *files, int count, int64_t modified, int foreground,
                     mcore_view_read read, void *context) {
  (void)directory, (void)files, (void)count, (void)modified, (void)foreground, (void)read, (void)context;
  return -ENOSYS;
}
int mcore_view_begin(const char *directory, const struct mcore_view_file *files, int count, int64_t modified, int unmount_at_end,
                     mcore_view_read read, void *context, void **mount) {
  (void)directory, (void)files, (void)count, (void)modified, (void)unmount_at_end, (void)read, (void)context, (void)mount;
  return -ENOSYS;
}
void mcore_view_end(void *mount) { (void)mount; }
#endif

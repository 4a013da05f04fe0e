// Block devices that are put together of others: the ioctls of the device mapper and of md.
#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/major.h>
#include <linux/raid/md_u.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { buffer_size = 64 * 1024 };

// A request for the device `name` in a buffer of its own; NULL where there is no memory for it, or the name is too long.
static struct dm_ioctl *request(const char *name) {
  if (strlen(name) >= DM_NAME_LEN) return NULL;
  struct dm_ioctl *dm = calloc(1, buffer_size);
  if (!dm) return NULL;
  dm->version[0] = DM_VERSION_MAJOR;
  dm->data_size = buffer_size;
  dm->data_start = sizeof *dm;
  strcpy(dm->name, name);
  return dm;
}

static int control(unsigned long command, struct dm_ioctl *dm) {
  int fd = open("/dev/" DM_DIR "/" DM_CONTROL_NODE, O_RDWR | O_CLOEXEC);
  if (fd < 0) return -errno;
  int code = ioctl(fd, command, dm) == 0 ? 0 : -errno;
  close(fd);
  return code;
}

int mcore_mapper_table(const char *name, char *text, size_t size) {
  struct dm_ioctl *dm = request(name);
  if (!dm) return -ENAMETOOLONG;
  dm->flags = DM_STATUS_TABLE_FLAG;
  int code = control(DM_TABLE_STATUS, dm);
  if (code == 0 && (dm->flags & DM_BUFFER_FULL_FLAG)) code = -E2BIG;
  size_t used = 0;
  // `next` of each counts from the start of the data.
  uint32_t place = 0, end = buffer_size - sizeof *dm;
  for (uint32_t i = 0; code == 0 && i < dm->target_count; i++) {
    if (place > end - sizeof(struct dm_target_spec)) code = -EIO;
    if (code != 0) break;
    const char *base = (const char *)dm + dm->data_start;
    const struct dm_target_spec *target = (const void *)(base + place);
    int count = snprintf(text + used, size - used, "%llu %llu %.*s %.*s\n", (unsigned long long)target->sector_start,
                         (unsigned long long)target->length, DM_MAX_TYPE_NAME, target->target_type,
                         (int)(end - place - sizeof *target), (const char *)(target + 1));
    if (count < 0 || (size_t)count >= size - used) code = -E2BIG;
    used += code == 0 ? (size_t)count : 0;
    place = target->next;
  }
  free(dm);
  return code;
}

// Puts the lines of `table` behind the request. Returns 0 or -errno.
static int fill(struct dm_ioctl *dm, const char *table) {
  uint32_t place = 0, end = buffer_size - sizeof *dm;
  while (*table) {
    size_t length = strcspn(table, "\n");
    unsigned long long start, count;
    char type[DM_MAX_TYPE_NAME];
    int read = 0;
    if (sscanf(table, "%llu %llu %15s %n", &start, &count, type, &read) != 3 || (size_t)read > length) return -EINVAL;
    size_t parameters = length - (size_t)read;
    // Each begins at a multiple of eight.
    size_t size = (sizeof(struct dm_target_spec) + parameters + 1 + 7) & ~(size_t)7;
    if (size > end - place) return -E2BIG;
    struct dm_target_spec *target = (void *)((char *)dm + dm->data_start + place);
    target->sector_start = start;
    target->length = count;
    strcpy(target->target_type, type);
    memcpy(target + 1, table + read, parameters);
    place += size;
    target->next = (uint32_t)size;
    dm->target_count++;
    table += length + (table[length] == '\n');
  }
  return dm->target_count ? 0 : -EINVAL;
}

int mcore_mapper_create(const char *name, unsigned int minor_number, const char *table) {
  struct dm_ioctl *dm = request(name);
  if (!dm) return -ENAMETOOLONG;
  dm->flags = DM_PERSISTENT_DEV_FLAG;
  dm->dev = makedev(0, minor_number);
  int code = control(DM_DEV_CREATE, dm);
  free(dm);
  if (code != 0) return code;
  const unsigned long steps[] = {DM_TABLE_LOAD, DM_DEV_SUSPEND, 0};
  for (int step = 0; code == 0 && steps[step]; step++) {
    if (!(dm = request(name))) return -ENOMEM;
    // Without DM_SUSPEND_FLAG the second one resumes: the table is in use from then on.
    if (step == 0) code = fill(dm, table);
    if (code == 0) code = control(steps[step], dm);
    free(dm);
  }
  if (code != 0 && (dm = request(name))) {
    control(DM_DEV_REMOVE, dm);
    free(dm);
  }
  return code;
}

int mcore_array_assemble(int fd, int minor_version, const uint32_t *devices, size_t count) {
  // Without disks it only says which kind of superblock to look for (md_set_array_info in drivers/md/md.c).
  mdu_array_info_t array = {.major_version = 1, .minor_version = minor_version};
  if (ioctl(fd, SET_ARRAY_INFO, &array) != 0) return -errno;
  int added = 0, last = -ENODEV;
  for (size_t i = 0; i < count; i++) {
    mdu_disk_info_t disk = {.major = (int)devices[2 * i], .minor = (int)devices[2 * i + 1]};
    if (ioctl(fd, ADD_NEW_DISK, &disk) == 0) added++;
    else last = -errno;
  }
  int code = added ? ioctl(fd, RUN_ARRAY, NULL) == 0 ? 0 : -errno : last;
  if (code != 0) ioctl(fd, STOP_ARRAY, NULL);
  return code;
}

// Uses memory in every way that a process can, and says which page frames it has: run by variety-init in a guest.
//
// usage: memory-kinds RECORD
//
// It sets everything up and prints "ready"; at the end of its input it writes a line for each run of page frames to the
// file RECORD ("KIND FIRST-PFN COUNT", from /proc/self/pagemap), prints "recorded" and stays. What a kernel can't do is a
// line "missing KIND errno" in RECORD.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define PAGE ((size_t)4096)
// From include/uapi/asm-generic/mman-common.h and hugetlb_encode.h, 6.12: an older C library may not have them.
#define ADVISE_HWPOISON 100
#define ADVISE_SOFT_OFFLINE 101
#define ADVISE_PAGEOUT 21
#define HUGE_1GIB (30 << 26)
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

struct area {
  const char *kind;
  char *start;
  size_t bytes;
  int is_file;
};
static struct area areas[32];
static int count;
static FILE *record;
static int pagemap;

static void stop(const char *what) {
  printf("failed: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void missing(const char *kind) { fprintf(record, "missing %s %d\n", kind, errno); }

// The page frame behind an address; 0 when there is none (bit 63 of an entry is "present", the low 55 bits are the pfn).
static uint64_t frame(const char *address) {
  uint64_t entry = 0;
  if (pread(pagemap, &entry, 8, (off_t)((uintptr_t)address / PAGE * 8)) != 8) stop("pagemap");
  return entry >> 63 ? entry & (((uint64_t)1 << 55) - 1) : 0;
}

static void note(const char *kind, uint64_t first, uint64_t pages) {
  if (first != 0) fprintf(record, "%s %llu %llu\n", kind, (unsigned long long)first, (unsigned long long)pages);
}

static void write_frames(const struct area *area) {
  uint64_t first = 0, pages = 0;
  for (size_t at = 0; at < area->bytes; at += PAGE) {
    uint64_t here = frame(area->start + at);
    if (pages > 0 && here == first + pages) {
      pages++;
      continue;
    }
    note(area->kind, first, pages);
    first = here;
    pages = here != 0;
  }
  note(area->kind, first, pages);
}

// Text, no two pages alike: what is to be shared by KSM is written by its own function.
static void fill(char *start, size_t bytes) {
  for (size_t at = 0; at < bytes; at += PAGE)
    snprintf(start + at, PAGE, "page %zu of %zu at %p, pid %d", at / PAGE, bytes / PAGE, (void *)start, getpid());
}

static char *keep(const char *kind, char *start, size_t bytes) {
  areas[count++] = (struct area){kind, start, bytes, 0};
  return start;
}

// Filled memory, or NULL when the kernel has none of the kind.
static char *map(const char *kind, size_t bytes, int flags, int file) {
  char *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
  if (start == MAP_FAILED) {
    missing(kind);
    return NULL;
  }
  if (flags == (MAP_PRIVATE | MAP_ANONYMOUS)) madvise(start, bytes, MADV_NOHUGEPAGE);
  fill(start, bytes);
  return keep(kind, start, bytes);
}

static char *anonymous(const char *kind, size_t bytes) { return map(kind, bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1); }

// Memory of the kind "thp", aligned so that it can consist of huge pages.
static char *huge(const char *kind, size_t bytes) {
  char *start = mmap(NULL, bytes + 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) stop(kind);
  start = (char *)(((uintptr_t)start + 2 * MIB - 1) & ~(2 * MIB - 1));
  if (madvise(start, bytes, MADV_HUGEPAGE) != 0) missing(kind);
  fill(start, bytes);
  return keep(kind, start, bytes);
}

static void look_at(const struct area *area) {
  volatile char byte = 0;
  for (size_t at = 0; at < area->bytes; at += PAGE) byte += area->start[at];
}

static void use_file(const char *kind, const char *path, size_t bytes, int flags) {
  int file = open(path, flags, 0600);
  if (file < 0 || ((flags & O_CREAT) && ftruncate(file, (off_t)bytes) != 0)) {
    missing(kind);
    return;
  }
  char *start = mmap(NULL, bytes, PROT_READ | (flags & O_CREAT ? PROT_WRITE : 0), MAP_SHARED, file, 0);
  if (start == MAP_FAILED) {
    missing(kind);
    return;
  }
  if (flags & O_CREAT) fill(start, bytes);
  keep(kind, start, bytes);
  areas[count - 1].is_file = 1;
  look_at(&areas[count - 1]);
}

// One byte of it is enough to have it all; filled, it would make the dump larger by 1 GiB.
static void use_gigantic(void) {
  size_t bytes = 1024 * MIB;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | HUGE_1GIB;
  char *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (start == MAP_FAILED) {
    missing("gigantic");
    return;
  }
  *start = 1;
  keep("gigantic", start, bytes);
}

static void secret(void) {
  int file = (int)syscall(SYS_memfd_secret, 0);
  if (file < 0 || ftruncate(file, MIB) != 0) {
    missing("secret");
    return;
  }
  map("secret", MIB, MAP_SHARED, file);
}

static void share_by_ksm(void) {
  char *start = anonymous("ksm", 4 * MIB);
  if (start == NULL) return;
  memset(start, 'k', 4 * MIB);
  if (madvise(start, 4 * MIB, MADV_MERGEABLE) != 0) missing("ksm");
}

// Pages that went to the swap device and came back to be read: most of them are in the swap cache too.
static void swap_out_and_in(void) {
  char *start = anonymous("swapped", 16 * MIB);
  if (start == NULL) return;
  if (madvise(start, 16 * MIB, ADVISE_PAGEOUT) != 0) missing("swapped");
  volatile char byte = 0;
  for (size_t at = 0; at < 8 * MIB; at += PAGE) byte += start[at];
}

// Poisons the page at an address and notes which frame it was.
static void poison(const char *kind, char *address, int advice) {
  uint64_t was = frame(address);
  if (madvise(address, PAGE, advice) != 0) missing(kind);
  else note(kind, was, 1);
}

static void poison_free_page(void) {
  char *start = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) stop("mmap");
  fill(start, 4 * MIB);
  uint64_t was = frame(start + 2 * MIB);
  munmap(start, 4 * MIB);
  int file = open("/sys/devices/system/memory/hard_offline_page", O_WRONLY);
  if (file < 0 || dprintf(file, "0x%llx", (unsigned long long)(was * PAGE)) < 0) missing("poison-free");
  else note("poison-free", was, 1);
  if (file >= 0) close(file);
}

// Not where huge pages give away most of their page map: 6.12.117 does not get it back then, complains 40 times of
// "bad page state", and fails.
static void poison_hugetlb(void) {
  char answer = '0';
  int file = open("/proc/sys/vm/hugetlb_optimize_vmemmap", O_RDONLY);
  if (file >= 0 && read(file, &answer, 1) == 1 && answer != '0') {
    errno = EBUSY;
    return missing("poison-hugetlb");
  }
  char *page = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  if (page == MAP_FAILED) stop("a huge page to poison");
  fill(page, 2 * MIB);
  poison("poison-hugetlb", page + 99 * PAGE, ADVISE_HWPOISON);
}

static void page_is_lost(int number) { (void)number; }

static void poison_all(void) {
  // The kernel sends it to a process that has lost a page, and kills one that only ignores it.
  signal(SIGBUS, page_is_lost);
  char *start = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) stop("mmap");
  fill(start, MIB);
  poison("poison-anonymous", start, ADVISE_HWPOISON);
  poison("poison-soft", start + 64 * PAGE, ADVISE_SOFT_OFFLINE);
  poison("poison-thp", huge("thp-poisoned", 2 * MIB) + 77 * PAGE, ADVISE_HWPOISON);
  poison_hugetlb();
  int file = open("/disk/data/code.bin", O_RDONLY);
  char *code = mmap(NULL, MIB, PROT_READ, MAP_SHARED, file, 0);
  if (code == MAP_FAILED) stop("code.bin");
  volatile char byte = code[9 * PAGE];
  (void)byte;
  poison("poison-file", code + 9 * PAGE, ADVISE_HWPOISON);
  poison_free_page();
}

int main(int arguments, char **words) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  record = arguments == 2 ? fopen(words[1], "w") : NULL;
  pagemap = open("/proc/self/pagemap", O_RDONLY);
  if (record == NULL || pagemap < 0) stop("start");

  anonymous("anonymous", 16 * MIB);
  huge("thp", 64 * MIB);
  // Half of each huge page is given back: the kernel would split these later, when memory is short.
  char *torn = huge("thp-torn", 8 * MIB);
  for (size_t at = 0; at < 8 * MIB; at += 2 * MIB) madvise(torn + at, MIB, MADV_DONTNEED);
  char *locked = anonymous("locked", 8 * MIB);
  if (locked != NULL && mlock(locked, 8 * MIB) != 0) missing("locked");
  char *lazy = anonymous("lazyfree", 8 * MIB);
  if (lazy != NULL && madvise(lazy, 8 * MIB, MADV_FREE) != 0) missing("lazyfree");
  swap_out_and_in();
  share_by_ksm();
  map("shared", 8 * MIB, MAP_SHARED | MAP_ANONYMOUS, -1);
  use_file("tmpfs", "/tmp/mapped", 4 * MIB, O_RDWR | O_CREAT);
  use_file("tmpfs-huge", "/hugetmp/mapped", 8 * MIB, O_RDWR | O_CREAT);
  use_file("file", "/disk/data/log.txt", 8 * MIB, O_RDONLY);
  use_file("file-dirty", "/disk/mapped", 4 * MIB, O_RDWR | O_CREAT);
  secret();
  map("hugetlb", 8 * MIB, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
  use_gigantic();
  poison_all();

  puts("ready");
  char byte;
  while (read(0, &byte, 1) > 0) continue;
  for (int index = 0; index < count; index++) {
    // On 7.3 the large folios of a clean file were in the page cache by now, and mapped no more.
    if (areas[index].is_file) look_at(&areas[index]);
    write_frames(&areas[index]);
  }
  if (fclose(record) != 0) stop("record");
  puts("recorded");
  for (;;) pause();
}

// Reads a file once from start to end, in one of two ways, and prints how long it took: what reading /proc/vmcore costs.
//
// usage: vmread read|map FILE PIECE      PIECE bytes at a time; `map` maps windows of that size and copies them out
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **words) {
  if (count != 4) return 2;
  int isMap = strcmp(words[1], "map") == 0;
  size_t piece = strtoull(words[3], NULL, 0), buffered = 128 << 10;
  int file = open(words[2], O_RDONLY);
  struct stat info;
  if (file < 0 || fstat(file, &info) != 0 || piece == 0) return 1;
  char *buffer = malloc(piece > buffered ? piece : buffered);
  double start = now();
  off_t refused = 0;
  unsigned long sum = 0;
  for (off_t offset = 0; offset < info.st_size; offset += piece) {
    size_t left = info.st_size - offset < (off_t)piece ? (size_t)(info.st_size - offset) : piece;
    char *window = isMap ? mmap(NULL, left, PROT_READ, MAP_SHARED, file, offset) : MAP_FAILED;
    if (window == MAP_FAILED) {
      if (isMap) refused += left;
      if (pread(file, buffer, left, offset) < 0) return 1;
      sum += buffer[0];
      continue;
    }
    for (size_t done = 0; done < left; done += buffered) {
      size_t step = left - done < buffered ? left - done : buffered;
      memcpy(buffer, window + done, step);
      sum += buffer[0];
    }
    munmap(window, left);
  }
  double wall = now() - start;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("VMREAD %s %zu: %.2f s, %.1f MiB/s, system %ld.%02ld s, %lld MiB could not be mapped (%lu)\n", words[1], piece, wall,
         info.st_size / wall / (1 << 20), (long)usage.ru_stime.tv_sec, (long)usage.ru_stime.tv_usec / 10000,
         (long long)refused >> 20, sum & 1);
  return 0;
}

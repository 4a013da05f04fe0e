// In C for the instructions, which are chosen at run time: a program for the initramfs of any machine can't assume them.
#define _GNU_SOURCE
#include "CChecksum.h"
#include <string.h>

// One byte at a time: only for processors from before 2008, and for the last bytes.
uint32_t mcore_crc32c_portable(uint32_t crc, const void *bytes, size_t count) {
  const unsigned char *next = bytes;
  crc = ~crc;
  while (count--) {
    crc ^= *next++;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82f63b78u & -(crc & 1));
  }
  return ~crc;
}

#if defined(__x86_64__)
#include <cpuid.h>

// SSE 4.2 (Intel SDM vol. 2A, CPUID leaf 1: ECX bit 20).
static int has_instruction(void) {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c >> 20 & 1);
}

__attribute__((target("sse4.2"))) static uint32_t fast(uint32_t crc, const unsigned char *next, size_t count) {
  uint64_t value = ~crc;
  for (; count >= 8; count -= 8, next += 8) {
    uint64_t word;
    memcpy(&word, next, 8);
    value = __builtin_ia32_crc32di(value, word);
  }
  uint32_t rest = (uint32_t)value;
  for (; count; count--) rest = __builtin_ia32_crc32qi(rest, *next++);
  return ~rest;
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

// FEAT_CRC32 (arch/arm64/include/uapi/asm/hwcap.h: HWCAP_CRC32 is bit 7).
static int has_instruction(void) { return getauxval(AT_HWCAP) >> 7 & 1; }

__attribute__((target("crc"))) static uint32_t fast(uint32_t crc, const unsigned char *next, size_t count) {
  uint32_t value = ~crc;
  for (; count >= 8; count -= 8, next += 8) {
    uint64_t word;
    memcpy(&word, next, 8);
    value = __builtin_arm_crc32cd(value, word);
  }
  for (; count; count--) value = __builtin_arm_crc32cb(value, *next++);
  return ~value;
}
#else
static int has_instruction(void) { return 0; }
static uint32_t fast(uint32_t crc, const unsigned char *next, size_t count) {
  return mcore_crc32c_portable(crc, next, count);
}
#endif

uint32_t mcore_crc32c(uint32_t crc, const void *bytes, size_t count) {
  // 1 no, 2 yes; threads that ask at the same time find the same.
  static int known;
  int answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (!answer) {
    answer = has_instruction() ? 2 : 1;
    __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
  }
  return answer == 2 ? fast(crc, bytes, count) : mcore_crc32c_portable(crc, bytes, count);
}

// CRC-32C, which processors have an instruction for.
#ifndef MCORE_CCHECKSUM_H
#define MCORE_CCHECKSUM_H
#include <stddef.h>
#include <stdint.h>

/// CRC-32C (RFC 3720, B.4: polynomial 0x1EDC6F41, reflected, ones in and out) of `count` bytes, going on from `crc`, which
/// is 0 at the start.
uint32_t mcore_crc32c(uint32_t crc, const void *bytes, size_t count);
/// The same without the processor's instruction: what a processor that lacks it gets. For tests.
uint32_t mcore_crc32c_portable(uint32_t crc, const void *bytes, size_t count);
#endif

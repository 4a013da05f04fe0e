#include <zlib.h>
// deflateInit2 and inflateInit2 are macros, which Swift does not import.
static inline int mcore_deflate_init_raw(z_streamp s, int level) {
  return deflateInit2(s, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
}
static inline int mcore_inflate_init_raw(z_streamp s) { return inflateInit2(s, -15); }
/// For whole gzip members, with header and checksum.
static inline int mcore_inflate_init_gzip(z_streamp s) { return inflateInit2(s, 31); }

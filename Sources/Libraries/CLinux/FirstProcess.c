// What has to be so before the Swift runtime starts, when this program is PID 1.
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

// The runtime looks, in a constructor of its own, for the path of its library (stdlib/public/runtime/Paths.cpp, Swift 6.3).
// In a static program it finds that through /proc, which PID 1 has yet to mount, and it ends the program when it does not:
// "Unable to obtain Swift runtime path". With SWIFT_ROOT set it does not look. Priority 101 runs before all others.
__attribute__((constructor(101))) static void mcore_before_swift(void) {
  if (getpid() != 1) return;
  setenv("SWIFT_ROOT", "/", 0);
  setenv("SWIFT_BACKTRACE", "enable=no", 0);
}

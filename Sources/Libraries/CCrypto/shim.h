// Only the plain SHA-256 functions: they link into a static binary without the rest of libcrypto (whose EVP
// layer brings in 3 MB). OpenSSL 3 calls them deprecated in favour of EVP; they are kept for its whole 3.x line.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

// libelf (elfutils): ELF structures to and from file byte order, notes. libelf.a needs zlib.
#include <libelf.h>
#include <gelf.h>

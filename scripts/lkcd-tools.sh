#!/bin/sh
# Prints the directory of the tools that judge mcore's reader of LKCD, and makes it where it is not yet:
#
#     mklkcd        libkdumpfile's generator of test files (tests/mklkcd.c), built from Debian's source package
#     kdumpfile     libkdumpfile with its Python module, as Debian 12 has them: a root in which `PYTHONPATH` and `LD_LIBRARY_PATH` lead to them
#
# usage: lkcd-tools.sh
#
# Both stay in the cache: they are under GPL and LGPL, and no part of mcore.
set -eu
. "$(dirname "$0")/lib.sh"
version=0.5.4
out=$MCORE_CACHE/lkcd-tools-$version-1

build_tools() {
    begin_own_apt "deb deb-src" bookworm trixie
    # The tests alone are of interest, so Debian's own changes are not.
    own_apt source --download-only --tar-only --target-release trixie libkdumpfile
    tar -xf "libkdumpfile_$version.orig.tar.gz" -C source --strip-components=1
    # What ./configure would make of use here.
    echo '#define USE_ZLIB 1' >source/config.h
    sed 's/@[A-Z_]*@/0/g' source/include/libkdumpfile/addrxlat.h.in >source/include/libkdumpfile/addrxlat.h
    "$compiler" -O1 -w -D_GNU_SOURCE -Isource -Isource/include -o new/mklkcd \
        source/tests/mklkcd.c source/tests/data.c source/tests/param.c source/tests/slurp.c source/tests/rle.c -lz
    own_apt download libkdumpfile10/bookworm python3-libkdumpfile/bookworm
    for package in ./*.deb; do dpkg-deb -x "$package" new/kdumpfile; done
}

lock_cache lkcd-tools
if [ ! -d "$out" ]; then
    compiler=$(command -v gcc || command -v clang || command -v cc) || die "no C compiler"
    begin_build
    say "fetching libkdumpfile, building its test generator"
    mkdir -p "$scratch/new/kdumpfile" "$scratch/source"
    logged_build lkcd-tools build_tools
    mv "$scratch/new" "$out"
fi
echo "$out"

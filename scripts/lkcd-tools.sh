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

# apt-get with lists of its own: this machine's apt is neither changed nor asked for sources, which it may not list.
own_apt() {
    apt-get -qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State=$apt" \
        -o "Dir::State::Lists=$apt/lists" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User= \
        -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

lock_cache lkcd-tools
if [ ! -d "$out" ]; then
    compiler=$(command -v gcc || command -v clang || command -v cc) || die "no C compiler"
    scratch=$(mktemp -d "$MCORE_CACHE/.tmp-lkcd-tools-XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 129' HUP INT TERM
    say "fetching libkdumpfile, building its test generator"
    apt=$scratch/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$scratch/new/kdumpfile" "$scratch/source"
    : >"$apt/status"
    mirror=$(mirror_uri Debian)
    for suite in bookworm trixie; do
        echo "deb [signed-by=$ARCHIVE_KEYRING] $mirror $suite main"
        echo "deb-src [signed-by=$ARCHIVE_KEYRING] $mirror $suite main"
    done >"$apt/sources.list"
    set +e
    (
        set -e
        cd "$scratch"
        own_apt update
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
    ) >"$MCORE_CACHE/lkcd-tools.log" 2>&1
    status=$?
    set -e
    [ "$status" = 0 ] || die "no libkdumpfile: see $MCORE_CACHE/lkcd-tools.log"
    mv "$scratch/new" "$out"
fi
echo "$out"

#!/bin/sh
# Builds crash for dumps of arm64, once, from Debian sid's source package, and prints where the program is. It runs on this machine:
# Debian's own crash for arm64 runs in QEMU only, where it has not answered `sys` after 280 s.
#
# usage: arm64-crash.sh
#
# The build takes ten minutes (gdb is in it). It is done again when this file changes.
set -eu
. "$(dirname "$0")/lib.sh"
[ $# -eq 0 ] || die "usage: arm64-crash.sh"

build_crash() {
    fetch_source crash '' sid
    cd source
    # zstd: pages of kdump-compressed dumps. Without makeinfo there are no manuals of gdb.
    make -j2 target=ARM64 MAKEINFO=true CFLAGS=-O2 CXXFLAGS=-O2 zstd
    strip -o "$scratch/new/crash" crash
}

out=$MCORE_CACHE/arm64-crash-$(sha256sum <"$0" | cut -c 1-12)
if [ ! -x "$out/crash" ]; then
    lock_cache arm64-crash
fi
if [ ! -x "$out/crash" ]; then
    begin_build
    "$(dirname "$0")/deps.sh" --arm64-crash
    say "building crash for arm64 (ten minutes)"
    mkdir "$scratch/new"
    logged_build arm64-crash build_crash
    for old in "$MCORE_CACHE"/arm64-crash-*; do rm -rf "$old"; done
    mv "$scratch/new" "$out"
fi
echo "$out/crash"

#!/bin/sh
# Builds the libraries that compress, each once, as static libraries from Debian's source packages:
#
#     isal   ISA-L (libisal, Intel's and everybody's fast deflate). Debian has only a shared one, and mcore-capture is static.
#     zstd   libzstd as Debian 13 has it, 1.5.7, with the fast compressor alone: smaller by half and faster than Debian 12's.
#
# usage: codecs.sh isal|zstd                    prints the directory: include/, lib/*.a, lib/pkgconfig/*.pc
#        codecs.sh --flags [TRAITS [OTHERS]]    prints the options that make `swift build` use both, beside TRAITS
#                                               (default: the package's own)
#
# Where ISA-L can't be had (no network, no nasm) it says why on standard error, and the traits are OTHERS (default: TRAITS): mcore then
# compresses with libdeflate, which is slower and makes other bytes. Where zstd can't be had the system's is used.
#
# Needs dpkg-source, nasm, make and a C compiler.
set -eu
. "$(dirname "$0")/lib.sh"

# Releases are chosen, not found: another one may compress to other bytes. The last number counts what is changed here.
isal_version=2.30.0
isal_suite=bookworm
isal_key=isal-$isal_version-1
zstd_version=1.5.7
zstd_suite=trixie
zstd_key=zstd-$zstd_version-1

# The first bytes of a block are hashed from a register that holds the address of the stream (tmp2 is rcx) instead of the
# data: now and then a block comes out a byte longer or shorter from run to run, and the same dump has to give the same
# bytes. Found by comparing runs; decompressing was never affected.
repair_isal() {
    file=igzip/igzip_icf_body_h1_gr_bt.asm
    sed -i '/^\.write_first_byte:/,/compute_hash/ s/^\tshr\ttmp2, 16$/\tmov\ttmp2, curr_data\n&/' "$file"
    [ "$(grep -c "^.mov.tmp2, curr_data$" "$file")" = 2 ]
}

# Builds in the unpacked source; leaves the library and its headers in $new.
build_isal() {
    repair_isal
    # Of the library only deflate and CRC. -O2 -g is what Debian builds with; -g would only make the archive large.
    make -f Makefile.unx -j2 units='crc igzip' CC="$compiler" CFLAGS_=-O2 lib
    mkdir "$new/include/isa-l"
    cp include/*.h "$new/include/isa-l/"
    cp bin/isa-l.a "$new/lib/libisal.a"
    package libisal "$isal_version" isal "ISA-L's deflate and CRC"
}

build_zstd() {
    # The levels above 1 use other compressors, which take room in an initramfs; dictionaries and old formats too. (The Makefile's own switch
    # for that has no effect beside CFLAGS of ours.)
    flags='-O3 -ffunction-sections -fdata-sections'
    for strategy in DFAST GREEDY LAZY LAZY2 BTLAZY2 BTOPT BTULTRA; do
        flags="$flags -DZSTD_EXCLUDE_${strategy}_BLOCK_COMPRESSOR"
    done
    make -C lib -j2 libzstd.a-release CC="$compiler" CFLAGS="$flags" ZSTD_LIB_DICTBUILDER=0 ZSTD_LIB_DEPRECATED=0 ZSTD_LEGACY_SUPPORT=0
    cp lib/zstd.h lib/zstd_errors.h "$new/include/"
    cp lib/libzstd.a "$new/lib/"
    package libzstd "$zstd_version" zstd "zstd, with its fast compressor alone"
}

# A pkg-config file for library $1: version $2, linked by the name $3, described as $4.
package() {
    cat >"$new/lib/pkgconfig/$1.pc" <<PC
prefix=$out
Name: $1
Description: $4, static (made by mcore's scripts/codecs.sh)
Version: $2
Cflags: -I\${prefix}/include
Libs: -L\${prefix}/lib -l$3
PC
}

build_library() {
    fetch_source "lib$wanted" "$version" "$suite"
    cd source
    "build_$wanted"
}

# Prints where library $1 (isal or zstd) is, and makes it where it is not yet.
library() {
    eval "version=\$$1_version suite=\$$1_suite out=\$MCORE_CACHE/\$$1_key"
    if [ -d "$out" ]; then
        echo "$out"
        return
    fi
    tools='apt-get dpkg-source make flock'
    if [ "$1" = isal ]; then tools="$tools nasm"; fi
    for tool in $tools; do
        command -v "$tool" >/dev/null || die "$tool is missing: run scripts/deps.sh build"
    done
    compiler=$(command -v gcc || command -v clang || command -v cc) || die "no C compiler"
    lock_cache codecs
    if [ ! -d "$out" ]; then
        begin_build
        new=$scratch/new
        mkdir -p "$new/include" "$new/lib/pkgconfig"
        say "building a static lib$1 $version (half a minute)"
        wanted=$1
        logged_build "codecs-$1" build_library
        mv "$new" "$out"
    fi
    echo "$out"
}

case "${1:-}" in
isal | zstd) library "$1" ;;
--flags)
    path= traits=${2:-default}
    if directory=$("$0" isal); then
        path=" --pkg-config-path $directory/lib/pkgconfig"
        traits=$traits,ISAL
    else
        say "going on without ISA-L"
        traits=${3:-$traits}
    fi
    if directory=$("$0" zstd); then
        path="$path --pkg-config-path $directory/lib/pkgconfig"
    else
        say "going on with the system's libzstd"
    fi
    echo "--traits $traits$path"
    ;;
*) die "usage: codecs.sh isal|zstd, or codecs.sh --flags [TRAITS [OTHERS]]" ;;
esac

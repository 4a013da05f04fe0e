#!/bin/sh
# Builds ISA-L (libisal, Intel's and everybody's fast deflate) as a static library, once, and prints the directory:
#
#     include/isa-l/*.h
#     lib/libisal.a, lib/pkgconfig/libisal.pc
#
# usage: isal.sh [--flags [TRAITS [OTHERS]]]
#
# With --flags it prints the options that make `swift build` use it beside TRAITS (default: the package's own). Where it
# can't be had (no network, no nasm) it says why on standard error and prints the options for the traits OTHERS (default:
# TRAITS): mcore then compresses with libdeflate, which is slower and makes other bytes.
#
# Debian has only a shared libisal, and mcore-capture is static: so Debian's source package is taken and its own
# Makefile.unx used, of which only deflate and CRC are built. Needs nasm, make and a C compiler.
set -eu
. "$(dirname "$0")/lib.sh"

# The release that Debian 12 has; a new one may compress to other bytes, so it is chosen, not found.
version=2.30.0
suite=bookworm
# Counts the changes that `repair` makes.
repair=1
out=$MCORE_CACHE/isal-$version-$repair

found() {
    [ -s "$out/lib/libisal.a" ] && [ -s "$out/lib/pkgconfig/libisal.pc" ]
}
case "${1:-}" in
'') ;;
--flags)
    if directory=$("$0"); then
        echo "--traits ${2:-default},ISAL --pkg-config-path $directory/lib/pkgconfig"
    else
        say "going on without ISA-L"
        echo "--traits ${3:-${2:-default}}"
    fi
    exit 0
    ;;
*) die "unknown argument '$1'; usage: isal.sh [--flags [TRAITS [OTHERS]]]" ;;
esac
if found; then
    echo "$out"
    exit 0
fi
for tool in apt-get dpkg-source nasm make flock; do
    command -v "$tool" >/dev/null || die "$tool is missing: run scripts/deps.sh build"
done
compiler=$(command -v gcc || command -v clang || command -v cc) || die "no C compiler"
lock_cache isal
if found; then
    echo "$out"
    exit 0
fi

scratch=$(mktemp -d "$MCORE_CACHE/.tmp-isal-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 129' HUP INT TERM
log=$MCORE_CACHE/isal.log

# This machine's apt is neither changed nor asked for sources, which it may not list.
fetch() {
    apt=$scratch/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/status"
    echo "deb-src [signed-by=$ARCHIVE_KEYRING] $(mirror_uri Debian) $suite main" >"$apt/sources.list"
    set -- -qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State=$apt" -o "Dir::State::Lists=$apt/lists" -o "Dir::State::status=$apt/status" \
        -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=3
    apt-get "$@" update && apt-get "$@" source --download-only "libisal=$version*" ||
        apt-get "$@" source --download-only libisal
}

# The first bytes of a block are hashed from a register that holds the address of the stream (tmp2 is rcx) instead of the
# data: now and then a block comes out a byte longer or shorter from run to run, and the same dump has to give the same
# bytes. Found by comparing runs; decompressing was never affected.
repair() {
    file=igzip/igzip_icf_body_h1_gr_bt.asm
    sed -i '/^\.write_first_byte:/,/compute_hash/ s/^\tshr\ttmp2, 16$/\tmov\ttmp2, curr_data\n&/' "$file"
    [ "$(grep -c "^.mov.tmp2, curr_data$" "$file")" = 2 ]
}

build() {
    cd "$scratch"
    fetch
    dpkg-source --no-check -x ./*.dsc source
    cd source
    repair
    # -O2 -g is what Debian builds with; -g would only make the archive large.
    make -f Makefile.unx -j2 units='crc igzip' CC="$compiler" CFLAGS_=-O2 lib
}

say "building a static libisal $version (half a minute)"
(build) >"$log" 2>&1 || die "libisal did not build: see $log"
new=$scratch/new
mkdir -p "$new/include/isa-l" "$new/lib/pkgconfig"
cp "$scratch/source/bin/isa-l.a" "$new/lib/libisal.a"
cp "$scratch"/source/include/*.h "$new/include/isa-l/"
cat >"$new/lib/pkgconfig/libisal.pc" <<PC
prefix=$out
Name: libisal
Description: ISA-L's deflate and CRC, static (made by mcore's scripts/isal.sh)
Version: $version
Cflags: -I\${prefix}/include
Libs: -L\${prefix}/lib -lisal
PC
rm -rf "$out"
mv "$new" "$out"
echo "$out"

#!/bin/sh
# Fetches a stock Debian kernel without installing it, and prints the directory where it lies:
#
#     vmlinuz                        the kernel
#     modules/lib/modules/RELEASE/   its modules, with the files that depmod makes
#     release                        the release, as `uname -r` would say it
#     vmlinux                        with debug information (only after --debug; 600 MB)
#
# usage: kernel.sh [--arch arm64] [--debug] [--refresh] [--generic | --rt] SERIES
#
# --generic: not the flavour for clouds, which has few drivers. --rt: with PREEMPT_RT.
#
# With --arch arm64 SERIES may end in -16k: the kernel with pages of 16 KiB (from 6.12 on).
# SERIES is 5.10, 6.1, 6.12, 7.2 ..., or 7.x for the newest 7. The archive keeps a kernel for some weeks only, so
# SERIES means "the newest that is there", and the choice is recorded (kernels/pick-SERIES): later calls return the
# same kernel, without network, until --refresh. When --debug is first asked for after the archive has dropped the symbols
# of that kernel, the newest one whose symbols can be had takes its place.
set -eu
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/suite.sh"

usage="usage: kernel.sh [--arch arm64] [--debug] [--refresh] [--generic | --rt] SERIES"
debug=no
kind=
refresh=no
arch=amd64
series=
while [ $# -gt 0 ]; do
    case "$1" in
    --debug) debug=yes ;;
    --generic) kind=generic ;;
    --rt) kind=rt ;;
    --refresh) refresh=yes ;;
    --arch)
        arch=${2:-}
        [ $# -lt 2 ] || shift
        ;;
    -*) die "unknown option '$1'; $usage" ;;
    *) series=$1 ;;
    esac
    shift
done
[ "$arch" = amd64 ] || [ -z "$kind" ] || die "--$kind is a flavour of amd64"
kernels=$MCORE_CACHE/kernels
# The small cloud flavour first.
case "$arch-$series" in
amd64-*)
    pick=$kernels/pick-$series${kind:+-$kind}
    case "$kind" in
    generic) flavours=amd64 ;;
    rt) flavours=rt-amd64 ;;
    *) flavours="cloud-amd64 amd64" ;;
    esac
    ;;
arm64-*-16k)
    flavours=arm64-16k
    pick=$kernels/pick-arm64-$series
    series=${series%-16k}
    ;;
arm64-*)
    flavours="cloud-arm64 arm64"
    pick=$kernels/pick-arm64-$series
    ;;
*) die "no kernels of '$arch' are known: amd64, arm64" ;;
esac
case "$series" in
'' | *[!0-9.x]*) die "no kernel series like 6.1 or 7.x given; $usage" ;;
esac

mkdir -p "$kernels"

# The fast way, without a lock: everything wanted is there.
cached() {
    [ "$refresh" = no ] && [ -s "$pick" ] || return 1
    release=$(cat "$pick")
    [ -s "$kernels/$release/release" ] || return 1
    [ "$debug" = no ] || [ -s "$kernels/$release/vmlinux" ]
}
if cached; then
    echo "$kernels/$release"
    exit 0
fi
for tool in apt-get dpkg-deb depmod flock; do
    command -v "$tool" >/dev/null || PATH=$PATH:/usr/sbin:/sbin
    command -v "$tool" >/dev/null || die "$tool is missing: run scripts/deps.sh test"
done
lock_cache kernels
if cached; then
    echo "$kernels/$release"
    exit 0
fi

scratch=$(mktemp -d "$kernels/.tmp-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 129' HUP INT TERM

suites_of() {
    case "$1" in
    5.10) echo bullseye ;;
    6.1) echo bookworm ;;
    6.12) echo trixie ;;
    *) echo trixie-backports sid ;;
    esac
}

# Releases of the series in the current suite, one per line. A kernel without a -dbg package is no use to the tests
# that compare with crash, so it counts only when there is nothing else.
releases_here() {
    pattern=$(printf '%s' "$series" | sed 's/x$/[0-9]+/; s/\./\\./g')
    packages=$(apt-cache pkgnames linux-image- |
        sed -nE "s/^linux-image-(${pattern}\.[0-9][^ ]*-$1(-dbg)?)\$/\1/p")
    with_debug=$(echo "$packages" | sed -n 's/-dbg$//p')
    echo "${with_debug:-$packages}"
}

# The releases of the series, newest first, those of the first flavour before the others: "suite release" a line.
candidates() {
    for flavour in $flavours; do
        for suite in $(suites_of "$series"); do
            use_suite "$suite" "$arch"
            for release in $(releases_here "$flavour"); do
                case "$flavour-$release" in
                "$arch"-*-rt-"$arch" | "$arch"-*-cloud-"$arch") continue ;;
                esac
                echo "$suite $release"
            done
        done | sort -t ' ' -k 2,2Vr
    done
}

# From 7.0 on linux-image-RELEASE is empty and depends on packages that hold the kernel, the modules and the rest.
packages_of() {
    echo "linux-image-$1"
    apt-cache depends --important "linux-image-$1" |
        sed -nE "s/^ *\|?(Pre)?Depends: (linux-(binary|modules|base)-[0-9].*)/\2/p"
}

fetch_kernel() {
    for package in $(packages_of "$release"); do
        fetch_package "$package" || die "could not download $package"
    done
    new=$scratch/new
    mkdir -p "$new/modules/lib/modules"
    for tree in "$scratch/root/lib/modules" "$scratch/root/usr/lib/modules"; do
        [ ! -d "$tree/$release" ] || cp -a "$tree/$release" "$new/modules/lib/modules/"
    done
    modules=$new/modules/lib/modules/$release
    [ -d "$modules/kernel" ] || die "the packages of $release hold no modules"
    if [ -e "$scratch/root/boot/vmlinuz-$release" ]; then
        mv "$scratch/root/boot/vmlinuz-$release" "$new/vmlinuz"
    else
        mv "$modules/vmlinuz" "$new/vmlinuz"
    fi
    rm -f "$modules/build" "$modules/source"
    depmod -b "$new/modules" "$release"
    echo "$release" >"$new/release"
    rm -rf "${kernels:?}/$release" "$scratch/root"
    mv "$new" "$kernels/$release"
}

# Whether the debug symbols of $release are there, or can be had: then as $scratch/vmlinux. The archive's lists name some
# that it no longer has, or not yet.
debug_available() {
    [ "$debug" = yes ] && [ ! -s "$kernels/$release/vmlinux" ] || return 0
    [ -n "$(apt-cache pkgnames "linux-image-$release-dbg")" ] || return 1
    fetch_package "linux-image-$release-dbg" --wildcards "*/vmlinux-$release" "*/vmlinux" 2>"$scratch/said" || true
    vmlinux=$(find "$scratch/root" -type f -name 'vmlinux*' | head -n 1)
    if [ -z "$vmlinux" ]; then
        say "no debug symbols of $release: $(tail -n 1 "$scratch/said")"
        return 1
    fi
    mv "$vmlinux" "$scratch/vmlinux"
}

if [ "$refresh" = no ] && [ -s "$pick" ] && [ -s "$kernels/$(cat "$pick")/release" ]; then
    # The kernel is there and only its debug symbols are wanted: best those of this very release.
    release=$(cat "$pick")
    for suite in $(suites_of "$series"); do
        echo "$suite $release"
    done >"$scratch/candidates"
fi
candidates >>"$scratch/candidates"
found=no
while read -r suite release; do
    use_suite "$suite" "$arch"
    # Other packages depend on some that were never there.
    [ -n "$(apt-cache show "linux-image-$release" 2>/dev/null)" ] || continue
    if debug_available; then
        found=yes
        break
    fi
done <"$scratch/candidates"
[ $found = yes ] || die "the archive has no kernel of series $series for $arch$([ $debug = no ] || echo ' with debug symbols')"

[ -s "$kernels/$release/release" ] || fetch_kernel
[ ! -s "$scratch/vmlinux" ] || mv "$scratch/vmlinux" "$kernels/$release/vmlinux"
echo "$release" >"$scratch/pick"
mv "$scratch/pick" "$pick"
echo "$kernels/$release"

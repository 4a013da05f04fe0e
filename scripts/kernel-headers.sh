#!/bin/sh
# Fetches what modules for a stock Debian kernel are built with, once, and prints the directory: `make -C DIRECTORY M=...`.
#
# usage: kernel-headers.sh RELEASE        the release of a kernel of Debian 12, as in kernels/pick-6.1
set -eu
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/suite.sh"

[ $# -eq 1 ] || die "usage: kernel-headers.sh RELEASE"
release=$1
headers=$MCORE_CACHE/kernels/headers-$release
lock_cache kernels
if [ ! -d "$headers" ]; then
    scratch=$(mktemp -d "$MCORE_CACHE/kernels/.tmp-XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 129' HUP INT TERM
    use_suite bookworm
    common=$(apt-cache depends "linux-headers-$release" | sed -n 's/.*Depends: \(linux-headers-.*-common.*\)/\1/p' | head -n 1)
    [ -n "$common" ] || die "the archive has no headers of $release"
    for package in "linux-headers-$release" "$common" linux-kbuild-6.1; do
        fetch_package "$package" || die "could not download $package"
    done
    # The packages name one another by paths from the root.
    find "$scratch/root/usr/src" -name Makefile -maxdepth 2 -exec sed -i "s,/usr/src,$headers/usr/src,g; s,/usr/lib/linux-kbuild,$headers/usr/lib/linux-kbuild,g" {} +
    find "$scratch/root" -type l | while read -r link; do
        target=$(readlink "$link")
        case $target in
        /usr/*) ln -sfn "$headers$target" "$link" ;;
        esac
    done
    mv "$scratch/root" "$headers"
fi
echo "$headers/usr/src/linux-headers-$release"

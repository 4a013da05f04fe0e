#!/bin/sh
# Unpacks Debian packages of arm64, once, and prints where they are: what a guest of arm64 runs (busybox-static, kexec-tools)
# and what judges its dumps (makedumpfile, by qemu-aarch64-static), with their libraries. Nothing is installed.
#
# usage: arm64-root.sh
set -eu
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/suite.sh"
[ $# -eq 0 ] || die "usage: arm64-root.sh"

suite=trixie
packages="busybox-static kexec-tools makedumpfile"

# Made anew when this file changes.
root=$MCORE_CACHE/arm64-root-$(sha256sum <"$0" | cut -c 1-12)
if [ -d "$root" ]; then
    echo "$root"
    exit 0
fi
# The lock of kernel.sh, which uses the same apt.
lock_cache kernels
if [ -d "$root" ]; then
    echo "$root"
    exit 0
fi
scratch=$(mktemp -d "$MCORE_CACHE/.tmp-arm64-root-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 129' HUP INT TERM

use_suite "$suite" arm64
# Where usr is one (Debian 12 and later): programs name their loader below /lib.
mkdir -p "$scratch/root/usr/lib" "$scratch/root/usr/bin" "$scratch/root/usr/sbin"
for name in lib bin sbin; do ln -s "usr/$name" "$scratch/root/$name"; done
# The programs and every library that their packages ask for; nothing else is needed to run them.
# shellcheck disable=SC2086 # a list of words
apt-get install --print-uris -qq --no-install-recommends $packages | sed "s/^'[^']*' \([^_]*\)_.*/\1/" >"$scratch/names"
for package in $packages $(grep -E '^lib|^zlib' "$scratch/names"); do
    fetch_package "$package" || die "could not download $package"
done
# Of the source: what a package with its busybox names.
apt-cache show --no-all-versions busybox-static | sed -n 's/^Source: .*(\(.*\))$/\1/p; s/^Version: //p' | head -n 1 >"$scratch/root/busybox-version"
for old in "$MCORE_CACHE"/arm64-root-*; do rm -rf "$old"; done
mv "$scratch/root" "$root"
echo "$root"

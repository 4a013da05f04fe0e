#!/bin/sh
# Fetches the kernel of Debian 13 as the package that an administrator installs, once, and prints where it is.
#
# usage: kernel-deb.sh
set -eu
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/suite.sh"

debs=$MCORE_CACHE/kernels/debs
mkdir -p "$debs"
lock_cache kernels
newest() { find "$debs" -name 'linux-image-*.deb' | sort -V | tail -n 1; }
if [ -z "$(newest)" ]; then
    scratch=$(mktemp -d "$debs/.tmp-XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 129' HUP INT TERM
    use_suite trixie
    package=$(apt-cache pkgnames linux-image- | grep -E '^linux-image-[0-9].*-cloud-amd64$' | sort -V | tail -n 1)
    [ -n "$package" ] || die "Debian 13 has no kernel for clouds"
    say "fetching $package"
    (cd "$scratch" && download_package "$package") || die "could not download $package"
    mv "$scratch"/*.deb "$debs"
fi
newest

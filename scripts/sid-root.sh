#!/bin/sh
# Makes a small root of Debian sid, once, and prints where it is. It holds the newest tools that read dumps:
# makedumpfile, crash, drgn, libkdumpfile; Debian 12's are wrong about kernels from 6.12 on. See in-sid.sh.
#
# usage: sid-root.sh [--refresh]
#
# sid changes every day; the root is as old as its name says, and stays until --refresh.
set -eu
. "$(dirname "$0")/lib.sh"

packages="makedumpfile crash python3-drgn libkdumpfile-utils tabix zstd gdb"

newest() {
    find "$MCORE_CACHE" -maxdepth 1 -type d -name 'sid-root-*' 2>/dev/null | sort | tail -n 1 | grep .
}
case "${1:-}" in
'') newest && exit 0 ;;
--refresh) ;;
*) die "unknown argument '$1'; usage: sid-root.sh [--refresh]" ;;
esac
require_root_tools
begin_root sid-root
[ "${1:-}" = --refresh ] || ! newest || exit 0

say "making a root of Debian sid (some minutes)"
bootstrap sid
say "installing $packages"
# shellcheck disable=SC2086 # a list of words
isolated sh -ec '
    mount -t proc proc "$1/proc"
    root=$1
    shift
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C
    chroot "$root" apt-get install -y -qq --no-install-recommends "$@"
    chroot "$root" apt-get clean' sh "$scratch" $packages

root=$MCORE_CACHE/sid-root-$(date -u +%Y%m%dT%H%M%SZ)
for old in $(newest); do
    rm -rf --one-file-system "$old"
done
mv "$scratch" "$root"
echo "$root"

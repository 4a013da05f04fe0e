#!/bin/sh
# Runs a command in the root of Debian sid (see sid-root.sh), as root.
#
# usage: in-sid.sh [--timeout SECONDS] [--bind DIR]... COMMAND [ARGUMENT...]
#
# The cache of kernels and dumps, and each DIR, are seen inside under the same path as outside; the current directory
# stays the same if it is one of them. Mounts and processes vanish with the command; it is killed after SECONDS (600).
set -eu
. "$(dirname "$0")/lib.sh"

limit=600
binds=$MCORE_CACHE
while [ $# -gt 0 ]; do
    case "$1" in
    --timeout) limit=$2 ;;
    --bind) binds="$binds
$(realpath "$2")" ;;
    *) break ;;
    esac
    shift 2
done
[ $# -gt 0 ] || die "no command given; usage: in-sid.sh [--timeout SECONDS] [--bind DIR]... COMMAND..."
[ "$(id -u)" = 0 ] || die "only root can change into the root of sid"
root=$("$(dirname "$0")/sid-root.sh")

# /proc is needed: without it makedumpfile sees no free memory and never ends.
# shellcheck disable=SC2016 # expanded by the inner shell
exec timeout -k 10 "$limit" unshare --mount --pid --fork --kill-child sh -ec '
    root=$1 binds=$2 here=$3
    shift 3
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    echo "$binds" | while read -r directory; do
        mkdir -p "$root$directory"
        mount --bind "$directory" "$root$directory"
    done
    [ -d "$root$here" ] || here=/
    exec chroot "$root" env -C "$here" LC_ALL=C.UTF-8 "$@"' sh "$root" "$binds" "$PWD" "$@"

#!/bin/sh
# Makes a root of Debian with systemd, apt, grub's configuration, LVM and RAID, once, and prints where it is: what the package is
# installed into (Tests/Kernels/real/test_installed_debian.py). Nothing of mcore is in it, nor anything that only mcore would need.
#
# usage: installed-root.sh [--dracut] RELEASE        the release of a kernel of Debian 12 or 13, as in kernels/pick-6.1 and pick-6.12
#
# --dracut: its initramfs is made by dracut. root's password is mcore.
set -eu
. "$(dirname "$0")/lib.sh"

kind=installed-root
maker=initramfs-tools
if [ "${1:-}" = --dracut ]; then
    kind=dracut-root
    maker=dracut
    shift
fi
case ${1:-} in
*+deb13-*) suite=trixie ;;
*) suite=bookworm ;;
esac
begin_release_root "$kind" "systemd, LVM, RAID, $maker" "$@"
finish_release_root : systemd-sysv udev kmod zstd xz-utils "$maker" login grub2-common e2fsprogs lvm2 mdadm man-db bash-completion

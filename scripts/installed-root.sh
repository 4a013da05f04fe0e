#!/bin/sh
# Makes a root of Debian with systemd, apt, grub's configuration, LVM and RAID, once, and prints where it is: what the package is
# installed into (Tests/Kernels/real/test_installed_debian.py). Nothing of mcore is in it, nor anything that only mcore would need.
#
# usage: installed-root.sh RELEASE        the release of a kernel of Debian 12 or 13, as in kernels/pick-6.1 and pick-6.12
#
# root's password is mcore.
set -eu
. "$(dirname "$0")/lib.sh"

case ${1:-} in
*+deb13-*) suite=trixie ;;
*) suite=bookworm ;;
esac
begin_release_root installed-root "systemd, LVM and RAID" "$@"
finish_release_root : systemd-sysv udev kmod zstd xz-utils initramfs-tools login grub2-common e2fsprogs lvm2 mdadm man-db bash-completion

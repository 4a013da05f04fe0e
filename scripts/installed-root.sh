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
# The initramfs is Debian's default one (MODULES=most).
isolated sh -ec '
    mount -t proc proc "$1/proc"
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C
    chroot "$1" apt-get update -qq
    chroot "$1" apt-get install -y -qq --no-install-recommends systemd-sysv udev kmod zstd xz-utils initramfs-tools login \
        grub2-common e2fsprogs lvm2 mdadm man-db bash-completion
    chroot "$1" apt-get install -y -qq --no-install-recommends "linux-image-$2"
    chroot "$1" apt-get clean
    echo root:mcore | chroot "$1" chpasswd
    echo mcore-guest >"$1/etc/hostname"
    rm -rf "$1"/var/lib/apt/lists/* "$1"/usr/share/doc "$1"/usr/share/locale "$1/usr/sbin/policy-rc.d"
' sh "$scratch" "$release"
[ -s "$scratch/boot/initrd.img-$release" ] || die "no initramfs was made (see $MCORE_CACHE/installed-root.log)"
mv "$scratch" "$root"
echo "$root"

#!/bin/sh
# Makes a root of Debian 12 with systemd, cryptsetup and a kernel, once, and prints where it is: what the soft boot is tried on
# (Tests/Kernels/guest/debian.py). Nothing of mcore is in it.
#
# usage: soft-root.sh RELEASE        the release of a kernel of Debian 12, as in kernels/pick-6.1
#
# Its initramfs has everything that opens a LUKS disk, but no crypttab: what is to be opened, the test adds. root's password is mcore.
set -eu
. "$(dirname "$0")/lib.sh"

begin_release_root soft-root "systemd and cryptsetup" "$@"
# The initramfs is Debian's default one (MODULES=most). The libraries at the end are those of mcore.
isolated sh -ec '
    mount -t proc proc "$1/proc"
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C
    chroot "$1" apt-get update -qq
    chroot "$1" apt-get install -y -qq --no-install-recommends systemd-sysv udev kmod zstd initramfs-tools \
        cryptsetup cryptsetup-initramfs login libelf1 libdeflate0 libstdc++6 libssl3 libzstd1 zlib1g
    echo CRYPTSETUP=y >>"$1/etc/cryptsetup-initramfs/conf-hook"
    chroot "$1" apt-get install -y -qq --no-install-recommends "linux-image-$2"
    chroot "$1" apt-get clean
    echo root:mcore | chroot "$1" chpasswd
    echo mcore-guest >"$1/etc/hostname"
    rm -rf "$1"/var/lib/apt/lists/* "$1"/usr/share/doc "$1"/usr/share/locale "$1/usr/sbin/policy-rc.d"
' sh "$scratch" "$release"
[ -s "$scratch/boot/initrd.img-$release" ] || die "no initramfs was made (see $MCORE_CACHE/soft-root.log)"
mv "$scratch" "$root"
echo "$root"

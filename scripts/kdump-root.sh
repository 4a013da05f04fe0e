#!/bin/sh
# Makes a root of Debian 12 with kdump-tools and a kernel, once, and prints where it is: what `make bench-service` compares
# with. It boots as a guest's disk; its crash initramfs is the one that kdump-tools itself makes.
#
# usage: kdump-root.sh RELEASE        the release of a kernel of Debian 12, as in kernels/pick-6.1
set -eu
. "$(dirname "$0")/lib.sh"

begin_release_root kdump-root "kdump-tools" "$@"
# MODULES=dep, which kdump-tools sets for its own initramfs where it can, needs the running machine to be the one that crashes:
# here the modules that the guest's disk needs are listed, which comes to the same or less.
isolated sh -ec '
    mount -t proc proc "$1/proc"
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C
    chroot "$1" apt-get update -qq
    chroot "$1" apt-get install -y -qq --no-install-recommends systemd-sysv udev initramfs-tools zstd
    sed -i "s/^MODULES=.*/MODULES=list/" "$1/etc/initramfs-tools/initramfs.conf"
    printf "virtio_pci\nvirtio_blk\next4\n" >>"$1/etc/initramfs-tools/modules"
    chroot "$1" apt-get install -y -qq --no-install-recommends kdump-tools makedumpfile kexec-tools "linux-image-$2"
    # What the kernel package calls when it is installed after kdump-tools.
    chroot "$1" /etc/kernel/postinst.d/kdump-tools "$2"
    chroot "$1" apt-get clean
    sed -i "s/^USE_KDUMP=.*/USE_KDUMP=1/" "$1/etc/default/kdump-tools"
    rm -rf "$1"/var/lib/apt/lists/* "$1"/usr/share/doc "$1"/usr/share/locale "$1/usr/sbin/policy-rc.d"
' sh "$scratch" "$release"
mv "$scratch" "$root"
echo "$root"

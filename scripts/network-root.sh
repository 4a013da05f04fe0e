#!/bin/sh
# Makes a root of Debian 12 with what dumps leave a machine by and arrive at, once, and prints where it is: ssh and sshd, NFS at both
# ends, curl and nginx (Tests/Kernels/real/test_networked_debian.py). Nothing of mcore is in it.
#
# usage: network-root.sh RELEASE        the release of a kernel of Debian 12, as in kernels/pick-6.1
#
# No server starts by itself. root's password is mcore.
set -eu
. "$(dirname "$0")/lib.sh"

begin_release_root network-root "systemd, and both ends of ssh, NFS and https" "$@"
# shellcheck disable=SC2016 # finish_release_root's own $1
finish_release_root 'for unit in ssh nfs-server nginx rpcbind; do rm -f "$1"/etc/systemd/system/*.wants/"$unit".*; done' \
    systemd-sysv udev kmod zstd xz-utils initramfs-tools login grub2-common e2fsprogs iproute2 openssh-client openssh-server nfs-common \
    nfs-kernel-server rpcbind curl ca-certificates nginx-core openssl

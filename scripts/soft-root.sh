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
# The libraries at the end are those of mcore.
finish_release_root 'echo CRYPTSETUP=y >>"$1/etc/cryptsetup-initramfs/conf-hook"' systemd-sysv udev kmod zstd initramfs-tools \
    cryptsetup cryptsetup-initramfs login libelf1 libdeflate0 libstdc++6 libssl3 libzstd1 zlib1g

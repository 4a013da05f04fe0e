#!/bin/bash
# A module of dracut: the second stage of a soft boot in the initramfs of the normal boot (initramfs/second-stage.sh, which lies beside this file).
# dracut calls these functions: man dracut.modules.

check() {
    [ -x "${dracutsysrootdir-}@PREFIX@/sbin/mcore-capture" ]
}

depends() {
    return 0
}

install() {
    inst_multiple chroot mount sh umount
    # shellcheck disable=SC2154 # dracut sets it
    inst_simple "$moddir/second-stage.sh" /usr/lib/mcore/second-stage
    # Where the root is mounted and nothing of it runs yet.
    inst_hook pre-pivot 50 "$moddir/pre-pivot.sh"
}

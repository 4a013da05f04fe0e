#!/bin/sh
# The second stage of a soft boot in the initramfs of the normal boot: a script of initramfs-tools (scripts/local-bottom), where the root
# is mounted and nothing of it runs yet. mcore-memory.service is the second chance.
#
# mcore-capture and its settings are those of the root, in which it runs: nothing of mcore but this file is in the initramfs. klibc's
# shell and tools have to do: no grep, no sed.
case ${1:-} in prereqs) exit 0 ;; esac
set -f

root=${rootmnt:?}
program=@PREFIX@/sbin/mcore-capture

say() {
    echo "mcore: $*"
    echo "<5>mcore: $*" >/dev/kmsg
}

# words FILE: its lines, one after the other; nothing where it can't be read
words() {
    [ -r "$1" ] || return 0
    while read -r line || [ -n "$line" ]; do
        case $line in \#*) ;; *) printf '%s ' "$line" ;; esac
    done <"$1"
}

# mount_of PATH: the first mount point in the root's fstab, other than /, that PATH will lie on; nothing if there is none
mount_of() {
    [ -r "$root/etc/fstab" ] || return 0
    while read -r device place _ || [ -n "$place" ]; do
        case "$device $place" in
        \#* | *' /' | *' '[!/]* | *' ') ;;
        *) case $1/ in "${place%/}"/*) echo "$place"; return ;; esac ;;
        esac
    done <"$root/etc/fstab"
}

# reason_to_wait: why saving is left to mcore-memory.service; nothing if it can be done here
reason_to_wait() {
    [ -x "$root$program" ] || { echo "there is no $program"; return; }
    found=
    for word in $(words "$root/etc/mcore.conf") $cmdline; do
        target=${word#mcore.}
        case $target in
        target=/*:* | target=UUID=*:* | target=LABEL=*:*) found=yes ;;
        target=/*)
            found=yes
            place=$(mount_of "${target#target=}")
            [ -z "$place" ] || { echo "$place is mounted later"; return; }
            ;;
        target=*) echo "$target may not be reached yet"; return ;;
        esac
    done
    [ -n "$found" ] || echo "no target is given"
}

# At nearly all boots there is nothing to do.
cmdline=$(words /proc/cmdline)
case " $cmdline" in *\ mcore.region=*) ;; *) exit 0 ;; esac

reason=$(reason_to_wait)
if [ -n "$reason" ]; then
    say "the dump in memory is saved after the boot: $reason"
    exit 0
fi
# As it is mounted now; the last line holds.
state=
while read -r device place _ options _; do
    if [ "$place" = "$root" ]; then state=${options%%,*} source=$device; fi
done </proc/mounts
[ "$state" != ro ] || mount -o remount,rw "$source" "$root" || say "the root can't be made writable"
for place in dev proc sys; do mount -o bind "/$place" "$root/$place"; done
chroot "$root" "$program" source=memory:
status=$?
for place in sys proc dev; do umount "$root/$place"; done
[ "$state" != ro ] || mount -o remount,ro "$source" "$root" || say "the root stays writable"
say "the second stage ended in the initramfs with status $status"
# Whatever happened, the boot goes on.
exit 0

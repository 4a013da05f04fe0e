#!/bin/sh
# The second stage of a soft boot in the initramfs of the normal boot, where the root is mounted ($rootmnt) and nothing of it runs yet: a script
# of initramfs-tools (scripts/local-bottom), which dracut's module runs too. mcore-memory.service is the second chance.
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

# What mcore arm saw in the system that crashed: its nonce, and the targets that were on the root, all mounts considered.
record=/var/lib/mcore/armed
nonce=
on_root=
read_record() {
    [ -r "$root$record" ] || return 0
    while read -r key values; do
        case $key in
        nonce) nonce=$values ;;
        on-root) on_root=" $values " ;;
        esac
    done <"$root$record"
}

# mount_of PATH: the first mount point in the root's fstab, other than /, that PATH will lie on; nothing if there is none.
# It may be newer than the record.
mount_of() {
    [ -r "$root/etc/fstab" ] || return 0
    while read -r device place _ || [ -n "$place" ]; do
        case "$device $place" in
        \#* | *' /' | *' '[!/]* | *' ') ;;
        *) case $1/ in "${place%/}"/*) echo "$place"; return ;; esac ;;
        esac
    done <"$root/etc/fstab"
}

# reason_for PATH: why a dump can't be saved there yet; nothing if it can
reason_for() {
    place=$(mount_of "$1")
    if [ -n "$place" ]; then
        echo "$place is mounted later"
    elif [ -z "$nonce" ]; then
        echo "$record is not there, which tells what is on the root"
    else
        case " $cmdline" in *" mcore.nonce=$nonce "*) ;; *) echo "$record is of another boot"; return ;; esac
        case $on_root in *" $1 "*) ;; *) echo "$1 was not on the root when mcore arm looked" ;; esac
    fi
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
            reason=$(reason_for "${target#target=}")
            [ -z "$reason" ] || { echo "$reason"; return; }
            ;;
        # Where the dump comes from.
        target=memory:*) ;;
        target=*) echo "$target may not be reached yet"; return ;;
        esac
    done
    [ -n "$found" ] || echo "no target is given"
}

# At nearly all boots there is nothing to do.
cmdline=$(words /proc/cmdline)
case " $cmdline" in *\ mcore.region=*) ;; *) exit 0 ;; esac

read_record
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

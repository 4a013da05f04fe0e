#!/bin/sh
# Gives the memory in which a dump waited back to the kernel that saved it: the persistent memory that it was set aside as becomes a
# DAX device, and that becomes RAM (drivers dax_pmem and kmem). mcore-memory.service calls it once the dump is saved.
#
# The kernel takes whole memory blocks (128 MiB, up to 2 GiB in large machines), and not the first 2 MiB, where libnvdimm keeps
# its notes: of a smaller region nothing comes back before the next boot. A window that an administrator set aside stays.
set -u
nd=/sys/bus/nd
region=$(sed -n 's/.*mcore\.region=\([^ ]*\).*/\1/p' /proc/cmdline)
[ -n "$region" ] || exit 0
! grep -q '^window ' /var/lib/mcore/armed 2>/dev/null || exit 0
block=$((0x$(cat /sys/devices/system/memory/block_size_bytes))) || exit 0

total() {
    sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo
}

# is_saved DEVICE: whether the head of the region says so (docs/region.md)
is_saved() {
    [ "$(dd if="$1" bs=8 count=1 2>/dev/null)" = MCOREREG ] &&
        [ "$(dd if="$1" bs=4 skip=6 count=1 2>/dev/null | od -An -tu1 | tr -d ' \n')" = 3000 ]
}

# give_back START SIZE
give_back() {
    first=$((($1 + (2 << 20) + block - 1) / block * block))
    last=$((($1 + $2) / block * block))
    [ "$last" -gt "$first" ] || return 0
    modprobe -qa device_dax dax_pmem kmem 2>/dev/null
    for namespace in "$nd"/devices/namespace*; do
        [ "$(($(cat "$namespace/resource")))" = "$1" ] || continue
        name=${namespace##*/}
        is_saved "/dev/$(ls "$namespace/block" 2>/dev/null)" || continue
        echo "$name" >"$nd/drivers/nd_pmem/unbind" || return 1
        parent=$(dirname "$(readlink -f "$namespace")")
        dax=$(cat "$parent/dax_seed")
        # The kernel's notes on these pages lie in RAM; the device itself keeps but a page of its own.
        echo ram >"$parent/$dax/mode" &&
            echo 2097152 >"$parent/$dax/align" &&
            cat /proc/sys/kernel/random/uuid >"$parent/$dax/uuid" &&
            echo "$name" >"$parent/$dax/namespace" &&
            echo "$dax" >"$nd/drivers/dax_pmem/bind" || return 1
        device=$(basename "$(ls -d "$parent/$dax"/dax*.*)")
        echo "$device" >/sys/bus/dax/drivers/device_dax/unbind
        echo "$device" >/sys/bus/dax/drivers/kmem/new_id || return 1
        at=$first
        while [ "$at" -lt "$last" ]; do
            state=/sys/devices/system/memory/memory$((at / block))/state
            [ "$(cat "$state")" = online ] || echo online >"$state"
            at=$((at + block))
        done
    done
}

before=$(total)
for extent in $(echo "$region" | tr , ' '); do
    give_back "$((${extent#*@}))" "$((${extent%@*}))" || echo "mcore: $extent is not given back before the next boot" >&2
done
more=$(($(total) - before))
[ "$more" -eq 0 ] || echo "mcore: $((more / 1024)) MiB of memory, where the dump was, are in use again"

#!/bin/sh
# Builds the initramfs that the crash kernel boots: mcore-capture as /init, busybox, and the modules that lead to the
# target. The same input gives the same bytes. Needs no root.
#
# usage: build.sh --kernel-dir DIR --capture MCORE-CAPTURE --out FILE [options]
#
#   --kernel-dir DIR    a directory made by scripts/kernel.sh (release, modules/)
#   --capture FILE      the static mcore-capture; it becomes /bin/mcore-capture, and /init
#   --out FILE          the image to write (gzip-compressed cpio: every kernel can unpack it)
#   --modules "A B..."  kernel modules to load, without their dependencies (default: virtio disk, ext4)
#   --conf FILE         becomes /etc/mcore.conf
#   --shell             /init is a rescue shell on the console, where mcore-capture is typed by hand
#   --busybox FILE      a static busybox (default: this machine's), of whatever machine the initramfs is for
#   --extra DIR         a tree that is laid over the rest, last
set -eu
here=$(cd "$(dirname "$0")" && pwd)

die() {
    echo "build.sh: error: $*" >&2
    exit 1
}

kernel_dir='' capture='' out='' conf='' busybox='' extra='' shell=no
modules="virtio_pci virtio_blk ext4"
while [ $# -gt 0 ]; do
    case "$1" in
    --shell)
        shell=yes
        shift
        continue
        ;;
    --kernel-dir | --capture | --out | --modules | --conf | --busybox | --extra) [ $# -ge 2 ] || die "$1 needs a value" ;;
    *) die "unknown argument '$1'; the head of this file lists them" ;;
    esac
    case "$1" in
    --kernel-dir) kernel_dir=$2 ;;
    --capture) capture=$2 ;;
    --out) out=$2 ;;
    --modules) modules=$2 ;;
    --conf) conf=$2 ;;
    --busybox) busybox=$2 ;;
    --extra) extra=$2 ;;
    esac
    shift 2
done
[ -n "$out" ] || die "--out is missing"
[ -s "$kernel_dir/release" ] || die "--kernel-dir '$kernel_dir' holds no kernel made by scripts/kernel.sh"
[ -x "$capture" ] || die "--capture '$capture' is no executable file"
[ -z "$conf" ] || [ -r "$conf" ] || die "--conf '$conf' cannot be read"
[ -z "$extra" ] || [ -d "$extra" ] || die "--extra '$extra' is no directory"

applets=$(command -v busybox) || die "busybox is missing: run scripts/deps.sh test"
busybox=${busybox:-$applets}
if readelf -l "$busybox" 2>/dev/null | grep -q INTERP; then
    die "$busybox is not static: install busybox-static"
fi

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
trap 'exit 129' HUP INT TERM

for directory in bin dev etc lib mnt proc run sys tmp; do
    mkdir "$tree/$directory"
done
# A distribution's mount and modprobe are looked for in /sbin and /usr too.
ln -s bin "$tree/sbin"

cp "$busybox" "$tree/bin/busybox"
# All applets: a link costs nothing, and in a rescue shell one never knows which will be needed. Those of this machine's, since
# another machine's does not run here; Debian's have the same.
for applet in $("$applets" --list); do
    case "$applet" in
    busybox | */*) ;;
    *) ln -s busybox "$tree/bin/$applet" ;;
    esac
done

cp "$capture" "$tree/bin/mcore-capture"
if [ "$shell" = yes ]; then
    cp "$here/rescue-init" "$tree/init"
else
    ln -s bin/mcore-capture "$tree/init"
fi
chmod 0755 "$tree/bin/busybox" "$tree/bin/mcore-capture"
[ -z "$conf" ] || cp "$conf" "$tree/etc/mcore.conf"
# shellcheck disable=SC2086 # a list of words
"$here/modules.py" "$kernel_dir" "$tree" $modules
[ -z "$extra" ] || cp -a "$extra/." "$tree/"
"$here/newc.py" "$tree" "$out"

#!/bin/sh
# Puts what `make build` made in place: programs, man pages, the start of the crash initramfs, units of systemd, a script of
# initramfs-tools, and, where there is none yet, /etc/mcore.conf, which says where dumps go.
#
# usage: install.sh BIN     (environment: DESTDIR, PREFIX, default /usr/local)
set -eu
cd "$(dirname "$0")/.."
bin=$1
prefix=${PREFIX:-/usr/local}
to=${DESTDIR:-}$prefix

install -D -m 0755 "$bin/mcore" "$to/bin/mcore"
install -D -m 0755 "$bin/mcore-capture" "$to/sbin/mcore-capture"
install -D -m 0644 man/mcore.1 "$to/share/man/man1/mcore.1"
install -D -m 0644 man/mcore-capture.8 "$to/share/man/man8/mcore-capture.8"

# No modules: the crash kernel of a soft boot needs no disk. build.sh wants a kernel all the same: one without modules.
kernel=$(mktemp -d)
trap 'rm -rf "$kernel"' EXIT
trap 'exit 129' HUP INT TERM
echo none >"$kernel/release"
mkdir -p "$kernel/modules/lib/modules/none" "$to/lib/mcore"
for list in dep builtin softdep; do : >"$kernel/modules/lib/modules/none/modules.$list"; done
initramfs/build.sh --kernel-dir "$kernel" --capture "$bin/mcore-capture" --modules '' --out "$to/lib/mcore/crash-base.img"

install -m 0755 units/give-back.sh "$to/lib/mcore/give-back"

# fill FILE MODE TO: installs it with the prefix in its place
fill() {
    mkdir -p "$(dirname "$3")"
    sed "s|@PREFIX@|$prefix|g" "$1" >"$3"
    chmod "$2" "$3"
}

# Where initramfs-tools is, its next initramfs has the second stage: update-initramfs -u.
etc=${DESTDIR:-}/etc
if [ -d "$etc/initramfs-tools" ]; then fill initramfs/second-stage.sh 0755 "$etc/initramfs-tools/scripts/local-bottom/mcore"; fi
for unit in units/*.service; do fill "$unit" 0644 "$etc/systemd/system/$(basename "$unit")"; done

[ -d "${DESTDIR:-}/var/crash" ] || install -d -m 0700 "${DESTDIR:-}/var/crash"
[ -e "${DESTDIR:-}/etc/mcore.conf" ] || echo target=/var/crash >"${DESTDIR:-}/etc/mcore.conf"

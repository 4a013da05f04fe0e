#!/bin/sh
# Puts what `make build` made in place: programs, man pages, completions, the start of the crash initramfs, units of systemd, a script
# of initramfs-tools, a module of dracut, and, where there is none yet, /etc/mcore.conf, which says where dumps go.
#
# usage: install.sh BIN     (environment: DESTDIR, PREFIX, default /usr/local; UNITS, RULES and BOOT_SCRIPTS, the directories of systemd's
#                            units, of udev's rules and of initramfs-tools' scripts, default those for an administrator below /etc;
#                            DRACUT, that of dracut's modules, default /usr/lib/dracut/modules.d where that exists; BUSYBOX, a static
#                            busybox, and EMULATOR, what runs the programs, where they are another machine's)
set -eu
cd "$(dirname "$0")/.."
bin=$1
prefix=${PREFIX:-/usr/local}
to=${DESTDIR:-}$prefix

install -D -m 0755 "$bin/mcore" "$to/bin/mcore"
install -D -m 0755 "$bin/mcore-capture" "$to/sbin/mcore-capture"
install -D -m 0644 man/mcore.1 "$to/share/man/man1/mcore.1"
install -D -m 0644 man/mcore-capture.8 "$to/share/man/man8/mcore-capture.8"
install -D -m 0644 man/mcore.conf.5 "$to/share/man/man5/mcore.conf.5"
# complete SHELL FILE
complete() {
    mkdir -p "$to/share/$(dirname "$2")"
    # Such a file is read by the shell, and not run: no #! in it.
    ${EMULATOR:-} "$bin/mcore" --generate-completion-script "$1" | sed '1{/^#!/d}' >"$to/share/$2"
}
complete bash bash-completion/completions/mcore
# Where zsh looks: packages of Debian have a directory of their own.
if [ "$prefix" = /usr ]; then complete zsh zsh/vendor-completions/_mcore; else complete zsh zsh/site-functions/_mcore; fi
complete fish fish/vendor_completions.d/mcore.fish

# No modules: the crash kernel of a soft boot needs no disk. build.sh wants a kernel all the same: one without modules.
kernel=$(mktemp -d)
trap 'rm -rf "$kernel"' EXIT
trap 'exit 129' HUP INT TERM
echo none >"$kernel/release"
mkdir -p "$kernel/modules/lib/modules/none" "$to/lib/mcore"
for list in dep builtin softdep alias; do : >"$kernel/modules/lib/modules/none/modules.$list"; done
initramfs/build.sh --kernel-dir "$kernel" --capture "$bin/mcore-capture" --modules '' \
    ${BUSYBOX:+--busybox "$BUSYBOX"} --out "$to/lib/mcore/crash-base.img"

install -m 0755 units/give-back.sh "$to/lib/mcore/give-back"
install -m 0755 units/write-metrics.sh "$to/lib/mcore/write-metrics"

# fill FILE MODE TO: installs it with the prefix in its place
fill() {
    mkdir -p "$(dirname "$3")"
    sed "s|@PREFIX@|$prefix|g" "$1" >"$3"
    chmod "$2" "$3"
}

# Where initramfs-tools is, its next initramfs has the second stage: update-initramfs -u.
etc=${DESTDIR:-}/etc
scripts=${BOOT_SCRIPTS:-/etc/initramfs-tools/scripts}
if [ -n "${BOOT_SCRIPTS:-}" ] || [ -d "$etc/initramfs-tools" ]; then
    fill initramfs/second-stage.sh 0755 "${DESTDIR:-}$scripts/local-bottom/mcore"
fi
# Where dracut is, likewise: dracut --force.
modules=${DRACUT:-/usr/lib/dracut/modules.d}
if [ -n "${DRACUT:-}" ] || [ -d "${DESTDIR:-}$modules" ]; then
    fill initramfs/second-stage.sh 0755 "${DESTDIR:-}$modules/90mcore/second-stage.sh"
    for file in module-setup.sh pre-pivot.sh; do fill "initramfs/dracut/$file" 0755 "${DESTDIR:-}$modules/90mcore/$file"; done
fi
units=${DESTDIR:-}${UNITS:-/etc/systemd/system}
for unit in units/*.service units/*.path units/*.timer; do fill "$unit" 0644 "$units/$(basename "$unit")"; done
install -D -m 0644 packaging/mcore.rules "${DESTDIR:-}${RULES:-/etc/udev/rules.d}/90-mcore.rules"

[ -d "${DESTDIR:-}/var/crash" ] || install -d -m 0700 "${DESTDIR:-}/var/crash"
# What an administrator has run in the crash kernel.
install -d -m 0755 "$etc/mcore/hooks.d/before" "$etc/mcore/hooks.d/after" "$etc/mcore/hooks.d/failed"
[ -e "$etc/mcore.conf" ] || install -D -m 0644 packaging/mcore.conf "$etc/mcore.conf"

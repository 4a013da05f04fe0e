#!/bin/sh
# Installs the Debian packages that building and testing need. Does nothing, without network, when all are there.
#
# usage: deps.sh [build|lint|test|all|--arm64|--arm64-crash]
#
# --arm64 is what guests and judges of arm64 need beyond `test`; --arm64-crash is what scripts/arm64-crash.sh builds with.
set -eu
. "$(dirname "$0")/lib.sh"

build_packages="libelf-dev zlib1g-dev libdeflate-dev libzstd-dev liblzo2-dev libsnappy-dev libfuse3-dev libssl-dev nasm dpkg-dev pkg-config make git binutils"
test_packages="qemu-system-x86 qemu-utils seabios kexec-tools busybox-static e2fsprogs cpio zstd xz-utils kmod tabix gdb crash
makedumpfile python3 debootstrap debian-archive-keyring util-linux strace valgrind fuse3 gcc-12
openssh-server openssh-client nginx-core curl openssl fdisk iproute2 btrfs-progs chromium fonts-dejavu-core"
arm64_packages="qemu-system-arm qemu-efi-aarch64 qemu-user-static"
arm64_crash_packages="bison g++ libgmp-dev libmpfr-dev libncurses-dev libzstd-dev make pkg-config zlib1g-dev"
lint_packages="black pyflakes3 git"

case "${1:-all}" in
build) wanted=$build_packages ;;
lint) wanted=$lint_packages ;;
test) wanted=$test_packages ;;
all) wanted="$build_packages $lint_packages $test_packages" ;;
--arm64) wanted="$test_packages $arm64_packages" ;;
--arm64-crash) wanted=$arm64_crash_packages ;;
*) die "unknown set '$1': build, lint, test, all, --arm64 or --arm64-crash" ;;
esac

missing() {
    for package in $wanted; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || printf '%s ' "$package"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "these packages are missing: $(missing)- install them as root, or install sudo"
    fi
}

# The questions that packages like kexec-tools ask (handle reboots?) must not be answered with yes or stop the run.
install_missing() {
    # shellcheck disable=SC2046 # the list is meant to be split into words
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 $(missing) >&2
}

list=$(missing)
[ -n "$list" ] || exit 0
say "installing $list"
# Lists may be there and fresh enough. When they are not, the archive no longer has what they name.
if ! install_missing 2>/dev/null; then
    as_root apt-get update -qq -o Acquire::Retries=3 >&2 || say "apt-get update failed for a part, going on"
    install_missing || die "apt-get could not install: $(missing)"
fi
list=$(missing)
[ -z "$list" ] || die "still missing after apt-get: $list"

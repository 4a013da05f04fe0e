# shellcheck shell=sh
# Shared by the scripts of this directory: source it, do not run it.

# Everything that is fetched or made once and may be deleted at any time lies below this directory.
MCORE_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/mcore"

ARCHIVE_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Messages go to standard error: standard output carries only the result of a script.
say() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
    say "error: $*"
    exit 1
}

# The archive that this machine's own apt uses (a local mirror, say), for other suites too.
# $1 is the label of the archive: Debian, or Debian-Security.
mirror_uri() {
    uri=$(env -u APT_CONFIG apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Label: $1" 2>/dev/null |
        sed -n '1s,/*$,,p')
    if [ -n "$uri" ]; then
        echo "$uri"
    elif [ "$1" = Debian-Security ]; then
        echo http://deb.debian.org/debian-security
    else
        echo http://deb.debian.org/debian
    fi
}

# Waits until no other run of a script uses the same part of the cache; the lock ends with the script.
# $1 is a name for that part.
lock_cache() {
    mkdir -p "$MCORE_CACHE"
    exec 9>"$MCORE_CACHE/.$1.lock"
    flock -w 1800 9 || die "another run has held $MCORE_CACHE/.$1.lock for half an hour"
}

# Makes the directory that a root of Debian grows in: $scratch, which vanishes with the script unless it is moved away. Needs root.
# $1 is what the root is called, $MCORE_CACHE/$1.log where `isolated` writes.
begin_root() {
    root_name=$1
    lock_cache "$root_name"
    scratch=$(mktemp -d "$MCORE_CACHE/.tmp-$root_name-XXXXXX")
    trap 'rm -rf --one-file-system "$scratch"' EXIT
    trap 'exit 129' HUP INT TERM
    chmod 0755 "$scratch"
}

# Ends the script where no root of Debian can be made.
require_root_tools() {
    [ "$(id -u)" = 0 ] || die "a root of Debian can only be made by root"
    command -v debootstrap >/dev/null || die "debootstrap is missing: run scripts/deps.sh test"
}

# Runs a command with mounts of its own, which vanish with it, as do all processes that it leaves.
isolated() {
    timeout -k 10 1500 unshare --mount --pid --fork --kill-child "$@" >"$MCORE_CACHE/$root_name.log" 2>&1 ||
        die "failed: $* (see $MCORE_CACHE/$root_name.log)"
}

# Fills $scratch with the smallest Debian of suite $1, in which packages do not start daemons on the host.
bootstrap() {
    isolated debootstrap --variant=minbase --keyring="$ARCHIVE_KEYRING" "$1" "$scratch" "$(mirror_uri Debian)"
    printf '#!/bin/sh\nexit 101\n' >"$scratch/usr/sbin/policy-rc.d"
    chmod 0755 "$scratch/usr/sbin/policy-rc.d"
}

# For a script `KIND-root.sh RELEASE`: prints where the root with a kernel of that release is, and ends the script, where it was made
# before. Else $scratch is filled with the smallest Debian 12, with its security updates; $root is where it belongs, $release is RELEASE.
# Where $suite is set, it is of that suite.
# $1 is KIND-root, $2 what it is to have, for people; the rest are the script's arguments.
begin_release_root() {
    kind=$1 content=$2
    shift 2
    [ $# -eq 1 ] || die "usage: $kind.sh RELEASE"
    release=$1
    root=$MCORE_CACHE/$kind-$release
    if [ -d "$root" ]; then
        echo "$root"
        exit 0
    fi
    require_root_tools
    begin_root "$kind"
    suite=${suite:-bookworm}
    say "making a root of Debian $suite with $content (some minutes)"
    bootstrap "$suite"
    echo "deb $(mirror_uri Debian-Security) $suite-security main" >>"$scratch/etc/apt/sources.list"
}

# After begin_release_root: installs packages, the kernel $release last, sets root's password to mcore, and puts the root where it belongs;
# prints where. $1 is a command of the shell that runs before the kernel is installed, with the root as its $1 (: is none); the rest are
# the packages. The initramfs is Debian's default one (MODULES=most).
finish_release_root() {
    isolated sh -ec '
        root=$1 release=$2 prepare=$3
        shift 3
        mount -t proc proc "$root/proc"
        export DEBIAN_FRONTEND=noninteractive LC_ALL=C
        chroot "$root" apt-get update -qq
        chroot "$root" apt-get install -y -qq --no-install-recommends "$@"
        sh -ec "$prepare" sh "$root"
        chroot "$root" apt-get install -y -qq --no-install-recommends "linux-image-$release"
        chroot "$root" apt-get clean
        echo root:mcore | chroot "$root" chpasswd
        echo mcore-guest >"$root/etc/hostname"
        rm -rf "$root"/var/lib/apt/lists/* "$root"/usr/share/doc "$root"/usr/share/locale "$root/usr/sbin/policy-rc.d"
    ' sh "$scratch" "$release" "$@"
    [ -s "$scratch/boot/initrd.img-$release" ] || die "no initramfs was made (see $MCORE_CACHE/$root_name.log)"
    mv "$scratch" "$root"
    echo "$root"
}

# For a script `NAME.sh BIN OUT-DIRECTORY` that makes a package of what `make build` made, the same bytes from the same programs and
# commit: sets $bin, $out, $version, $SOURCE_DATE_EPOCH, $machine (amd64 or arm64), $EMULATOR, which runs the programs where they are
# another machine's (else empty), and $stage, a directory that vanishes with the script.
begin_package() {
    [ $# -eq 2 ] || die "usage: ${0##*/} BIN OUT-DIRECTORY"
    bin=$1 out=$2
    case $(readelf -h "$bin/mcore" | sed -n 's/^ *Machine: *//p') in
    *X86-64) machine=amd64 ;;
    AArch64) machine=arm64 ;;
    *) die "$bin/mcore is of no machine that is known" ;;
    esac
    EMULATOR=
    [ "$machine" = "$(dpkg --print-architecture)" ] || EMULATOR=qemu-aarch64-static
    export EMULATOR
    version=$($EMULATOR "$bin/mcore" --version | sed 's/^mcore //')
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
    stage=$(mktemp -d)
    trap 'rm -rf "$stage"' EXIT
    trap 'exit 129' HUP INT TERM
    mkdir -p "$out"
}

# Makes the directory that something is built in: $scratch, which vanishes with the script.
begin_build() {
    scratch=$(mktemp -d "$MCORE_CACHE/.tmp-build-XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 129' HUP INT TERM
}

# Runs the function $2 in $scratch, with its output in the cache's log $1; ends the script where a step of it fails.
logged_build() {
    # Not as the condition of an `if` or `||`: in there no failure would end it.
    set +e
    (
        set -e
        cd "$scratch"
        "$2"
    ) >"$MCORE_CACHE/$1.log" 2>&1
    status=$?
    set -e
    [ "$status" = 0 ] || die "failed: see $MCORE_CACHE/$1.log"
}

# Gives apt lists of its own in $scratch, of the kinds $1 (deb, deb-src or both) and the suites behind it: this machine's apt is neither
# changed nor asked for sources, which it may not list. `own_apt` is apt-get with them.
begin_own_apt() {
    kinds=$1
    shift
    apt=$scratch/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/status"
    mirror=$(mirror_uri Debian)
    for one in "$@"; do
        for kind in $kinds; do echo "$kind [signed-by=$ARCHIVE_KEYRING] $mirror $one main"; done
    done >"$apt/sources.list"
    own_apt update
}

own_apt() {
    apt-get -qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State=$apt" \
        -o "Dir::State::Lists=$apt/lists" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User= \
        -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

# Unpacks Debian's source package $1, release $2 ('' for the newest), of suite $3 as ./source.
fetch_source() {
    begin_own_apt deb-src "$3"
    own_apt source --download-only "$1"
    # Another release would make other bytes under the name of this one.
    dpkg-source --no-check -x ./"$1_$2"*.dsc source
}

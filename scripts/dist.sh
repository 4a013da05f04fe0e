#!/bin/sh
# A tarball for systems without a package of their own: the programs, which need no library, and an installer. The same bytes from the
# same programs and commit.
#
# usage: dist.sh BIN OUT-DIRECTORY      prints the path of the tarball
set -eu
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
bin=$1
out=$2
version=$("$bin/mcore" --version | sed 's/^mcore //')
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
name=mcore-$version-linux-x86_64

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
trap 'exit 129' HUP INT TERM
mkdir -p "$stage/$name" "$out"
DESTDIR=$stage/$name/tree scripts/install.sh "$bin"
# Where initramfs-tools is, the installer puts it.
mkdir -p "$stage/$name/initramfs-tools"
sed 's|@PREFIX@|/usr/local|g' initramfs/second-stage.sh >"$stage/$name/initramfs-tools/mcore"
chmod 0755 "$stage/$name/initramfs-tools/mcore"
install -m 0755 packaging/install "$stage/$name/install"
cp LICENSE docs/install.md "$stage/$name/"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" -C "$stage" -c "$name" | gzip -9n >"$out/$name.tar.gz"
echo "$out/$name.tar.gz"

#!/bin/sh
# A tarball for systems without a package of their own: the programs, which need no library, and an installer. The same bytes from the
# same programs and commit.
#
# usage: dist.sh BIN OUT-DIRECTORY      prints the path of the tarball
set -eu
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
begin_package "$@"
name=mcore-$version-linux-x86_64
mkdir -p "$stage/$name"
DESTDIR=$stage/$name/tree scripts/install.sh "$bin"
# Where initramfs-tools is, the installer puts it.
mkdir -p "$stage/$name/initramfs-tools"
sed 's|@PREFIX@|/usr/local|g' initramfs/second-stage.sh >"$stage/$name/initramfs-tools/mcore"
chmod 0755 "$stage/$name/initramfs-tools/mcore"
install -m 0755 packaging/install "$stage/$name/install"
cp LICENSE docs/install.md "$stage/$name/"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$stage" -c "$name" | gzip -9n >"$out/$name.tar.gz"
echo "$out/$name.tar.gz"

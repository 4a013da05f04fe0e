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
# Where initramfs-tools or dracut is, the installer puts it.
mkdir -p "$stage/$name/initramfs-tools" "$stage/$name/dracut"
for file in second-stage.sh dracut/module-setup.sh dracut/pre-pivot.sh; do
    sed 's|@PREFIX@|/usr/local|g' "initramfs/$file" >"$stage/$name/dracut/$(basename "$file")"
done
cp "$stage/$name/dracut/second-stage.sh" "$stage/$name/initramfs-tools/mcore"
chmod 0755 "$stage/$name/initramfs-tools/mcore" "$stage/$name"/dracut/*
install -m 0755 packaging/install "$stage/$name/install"
cp LICENSE docs/install.md "$stage/$name/"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$stage" -c "$name" | gzip -9n >"$out/$name.tar.gz"
echo "$out/$name.tar.gz"

#!/bin/sh
# Builds the Debian package of what `make build` made, for Debian 12 and later: the same bytes from the same programs and commit.
#
# usage: deb.sh BIN OUT-DIRECTORY      prints the path of the package
set -eu
. "$(dirname "$0")/lib.sh"
cd "$(dirname "$0")/.."
export LC_ALL=C TZ=UTC
umask 022
begin_package "$@"
export SOURCE_DATE_EPOCH

for program in mcore mcore-capture; do
    if readelf -l "$bin/$program" | grep -q INTERP; then die "$bin/$program is not static: its package would need more than it names"; fi
done

# What the crash initramfs starts with.
if [ -n "$EMULATOR" ]; then
    root=$(scripts/arm64-root.sh)
    BUSYBOX=$root/usr/bin/busybox
    export BUSYBOX
    busybox_version=$(cat "$root/busybox-version")
else
    busybox_version=$(dpkg-query -W -f '${source:Version}' busybox-static)
fi
# Debian's kernels for arm64 have no kexec_file_load(2).
if [ "$machine" = arm64 ]; then kexec=", kexec-tools"; else kexec=; fi

tree=$stage/tree
mkdir -p "$tree/DEBIAN"
chmod 0755 "$tree"
DESTDIR=$tree PREFIX=/usr UNITS=/usr/lib/systemd/system RULES=/usr/lib/udev/rules.d BOOT_SCRIPTS=/usr/share/initramfs-tools/scripts \
    DRACUT=/usr/lib/dracut/modules.d scripts/install.sh "$bin"
install -D -m 0644 packaging/grub.cfg "$tree/etc/default/grub.d/mcore.cfg"
install -d -m 0755 "$tree/usr/share/doc/mcore" "$tree/usr/share/lintian/overrides"
install -m 0644 packaging/debian/copyright "$tree/usr/share/doc/mcore/copyright"
install -m 0644 packaging/debian/lintian-overrides "$tree/usr/share/lintian/overrides/mcore"
{
    printf 'mcore (%s) unstable; urgency=medium\n\n  * See the history of the project.\n\n' "$version"
    printf ' -- mcore maintainers <maintainers@users.noreply.github.com>  %s\n' "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$tree/usr/share/doc/mcore/changelog.gz"
gzip -9n "$tree"/usr/share/man/man*/*

for script in postinst prerm postrm; do install -m 0755 "packaging/debian/$script" "$tree/DEBIAN/$script"; done
for list in triggers conffiles; do install -m 0644 "packaging/debian/$list" "$tree/DEBIAN/$list"; done
sed -e "s|@VERSION@|$version|" -e "s|@MACHINE@|$machine|" -e "s|@KEXEC@|$kexec|" -e "s|@BUSYBOX@|busybox (= $busybox_version)|" -e "s|@SIZE@|$(du -sk --apparent-size "$tree" | cut -f 1)|" \
    packaging/debian/control >"$tree/DEBIAN/control"
(cd "$tree" && find usr etc -type f ! -path 'etc/*' -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
chmod 0644 "$tree/DEBIAN/md5sums" "$tree/DEBIAN/control"
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

package=$out/mcore_${version}_$machine.deb
dpkg-deb --root-owner-group -Zxz -z6 --build "$tree" "$package" >/dev/null
echo "$package"

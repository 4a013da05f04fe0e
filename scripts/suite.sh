# shellcheck shell=sh
# Packages of any Debian suite and architecture, unpacked without being installed. Source it behind lib.sh; it needs $scratch,
# a directory of the caller's, and the lock `kernels`.

# use_suite SUITE [ARCHITECTURE]: makes an apt of our own for one suite, so that this machine's apt is neither used nor changed.
# Sets APT_CONFIG to it and fetches the lists. The architecture is amd64 if none is named.
use_suite() {
    suite=$1 suite_arch=${2:-amd64}
    apt=$MCORE_CACHE/apt/$suite
    [ "$suite_arch" = amd64 ] || apt=$apt-$suite_arch
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/empty"
    : >"$apt/status"
    [ -r "$ARCHIVE_KEYRING" ] || die "$ARCHIVE_KEYRING is missing: install debian-archive-keyring"
    # An old release is no longer signed anew, its signature is still checked.
    options="[arch=$suite_arch signed-by=$ARCHIVE_KEYRING check-valid-until=no]"
    {
        echo "deb $options $(mirror_uri Debian) $suite main"
        case "$suite" in
        bullseye | bookworm | trixie)
            echo "deb $options $(mirror_uri Debian-Security) $suite-security main"
            ;;
        esac
    } >"$apt/sources.list"
    # Nothing of this machine's apt counts (hooks, pins) but how it reaches the network.
    env -u APT_CONFIG apt-config dump | grep -E '^Acquire::(http|https|socks)::' >"$apt/apt.conf" || true
    cat >>"$apt/apt.conf" <<END
Dir::Etc::Main "$apt/empty/none";
Dir::Etc::Parts "$apt/empty";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "$apt/empty";
Dir::Etc::Preferences "$apt/empty/none";
Dir::Etc::PreferencesParts "$apt/empty";
Dir::State "$apt";
Dir::State::Lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
APT::Architecture "$suite_arch";
APT::Architectures { "$suite_arch"; };
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
END
    export APT_CONFIG="$apt/apt.conf"
    # Lists of the last hour are good enough: the archive changes four times a day.
    [ -z "$(find "$apt/updated" -mmin -60 2>/dev/null)" ] || return 0
    apt-get update -qq >&2 || die "could not fetch the package lists of $suite"
    touch "$apt/updated"
}

# Downloads a package (apt checks its hash) into the current directory.
download_package() { apt-get download -qq "$1" </dev/null >&2; }

# Downloads a package and unpacks it into $scratch/root.
# Further arguments are handed to tar, to take only a part.
fetch_package() {
    package=$1
    shift
    say "fetching $package"
    rm -rf "$scratch/deb"
    mkdir -p "$scratch/deb" "$scratch/root"
    (cd "$scratch/deb" && download_package "$package") || return 1
    dpkg-deb --fsys-tarfile "$scratch/deb/"*.deb | tar -xf - -C "$scratch/root" --keep-directory-symlink "$@"
    rm -rf "$scratch/deb"
}

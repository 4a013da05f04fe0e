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

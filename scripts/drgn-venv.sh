#!/bin/sh
# Prints the directory of a Python environment with drgn (from PyPI) and the package in python/, and makes it where it is not yet.
#
# usage: drgn-venv.sh
set -eu
. "$(dirname "$0")/lib.sh"
sources=$(cd "$(dirname "$0")/.." && pwd)/python
drgn_version=0.3.0
# What is installed changes with the package's own text.
key=drgn-venv-$drgn_version-$(cat "$sources"/pyproject.toml "$sources"/mcore_drgn/*.py | sha256sum | cut -c 1-12)
out=$MCORE_CACHE/$key

lock_cache drgn-venv
if [ ! -d "$out" ]; then
    command -v python3 >/dev/null || die "python3 is missing: run scripts/deps.sh test"
    scratch=$(mktemp -d "$MCORE_CACHE/.tmp-drgn-venv-XXXXXX")
    made=
    trap '[ -n "$made" ] || rm -rf "$out"; rm -rf "$scratch"' EXIT
    trap 'exit 129' HUP INT TERM
    # Not in the checkout, where a build would leave files behind.
    cp -r "$sources" "$scratch/python"
    # Under its last name from the start: an environment can't be moved.
    if python3 -m venv "$out" && "$out/bin/pip" install -q "drgn==$drgn_version" "$scratch/python" >"$MCORE_CACHE/drgn-venv.log" 2>&1; then
        made=yes
    else
        die "no environment with drgn: see $MCORE_CACHE/drgn-venv.log"
    fi
fi
echo "$out"

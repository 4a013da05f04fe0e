#!/bin/sh
# Prints the directory of a Python environment with moto (from PyPI), an S3 server that checks signatures, and makes it where it is not yet.
#
# usage: moto-venv.sh
set -eu
. "$(dirname "$0")/lib.sh"
version=5.2.5
out=$MCORE_CACHE/moto-venv-$version

lock_cache moto-venv
if [ ! -d "$out" ]; then
    command -v python3 >/dev/null || die "python3 is missing: run scripts/deps.sh test"
    made=
    trap '[ -n "$made" ] || rm -rf "$out"' EXIT
    trap 'exit 129' HUP INT TERM
    # Under its last name from the start: an environment can't be moved.
    if python3 -m venv "$out" && "$out/bin/pip" install -q "moto[s3,iam,server]==$version" >"$MCORE_CACHE/moto-venv.log" 2>&1; then
        made=yes
    else
        die "no environment with moto: see $MCORE_CACHE/moto-venv.log"
    fi
fi
echo "$out"

#!/bin/bash
# The damage campaign of `make test-mutations` (docs/verification.md): mutations of real dumps and of synthetic machines.
#
#   MCORE_TEST_KERNELS     series whose dumps are damaged (default: all five); empty: synthetic machines alone
#   MCORE_TEST_MUTATIONS   for each dump, and over all synthetic machines together (default: 2000)
#   MCORE_TEST_FILE_MUTATIONS   for each of six files whose own bytes are damaged (default: 3000)
#
# scripts/mutations.sh PROGRAM, beside which mcore lies
set -euo pipefail
program=$(realpath "$1")
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD/Tests/Kernels PYTHONDONTWRITEBYTECODE=1
dumps=()
for series in ${MCORE_TEST_KERNELS-5.10 6.1 6.12 7.2 7.3}; do
  dumps+=("$(python3 -m guest raw-dump "$series" | tail -1)")
done
"$program" --synthetic --count "${MCORE_TEST_MUTATIONS:-2000}" "${dumps[@]}"
"$program" --synthetic --arm64 --count "${MCORE_TEST_MUTATIONS:-2000}"

# Whole files: a raw copy of /proc/vmcore, and dumps of ours of it in every format.
[ "${#dumps[@]}" -gt 0 ] || exit 0
work=$(mktemp -d /dev/shm/mcore-mutations-XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP INT TERM
raw=${dumps[${#dumps[@]} > 1 ? 1 : 0]}
for format in elf elf.gz elf.zst kdump-zlib kdump-zstd; do
  "$(dirname "$program")/mcore" save -q --level kern --format "$format" "$raw" "$work/dump.$format"
done
"$program" --files --count "${MCORE_TEST_FILE_MUTATIONS:-3000}" "$raw" "$work"/dump.*

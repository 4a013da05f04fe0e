#!/bin/bash
# The damage campaign of `make test-mutations` (docs/verification.md): mutations of real dumps and of synthetic machines.
#
#   MCORE_TEST_KERNELS     series whose dumps are damaged (default: all five); empty: synthetic machines alone
#   MCORE_TEST_MUTATIONS   for each dump, and over all synthetic machines together (default: 2000)
#
# scripts/mutations.sh PROGRAM
set -euo pipefail
program=$(realpath "$1")
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD/Tests/Kernels PYTHONDONTWRITEBYTECODE=1
dumps=()
for series in ${MCORE_TEST_KERNELS-5.10 6.1 6.12 7.2 7.3}; do
  dumps+=("$(python3 -m guest raw-dump "$series" | tail -1)")
done
exec "$program" --synthetic --count "${MCORE_TEST_MUTATIONS:-2000}" "${dumps[@]}"

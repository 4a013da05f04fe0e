#!/bin/sh
# mcore-capture goes into an initramfs that a crash kernel with 128 MiB unpacks: at most 8 MB.
set -eu
limit=8000000
size=$(stat -c %s "$1")
if [ "$size" -gt "$limit" ]; then
  echo "$1 has $size bytes, more than $limit" >&2
  exit 1
fi
if readelf -l "$1" | grep -q INTERP; then
  echo "$1 is not static" >&2
  exit 1
fi

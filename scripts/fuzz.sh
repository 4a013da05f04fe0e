#!/bin/sh
# Looks for a file that makes a reader of dumps trap, hang or take memory without bound, by libFuzzer: a coverage-guided search that begins
# with Tests/Campaigns/ReaderFuzz/corpus. What it finds is a file crash-... in the current directory; put into the corpus it is a test.
#
# usage: fuzz.sh [SECONDS [OPTIONS OF LIBFUZZER...]]     (default: 60)
set -eu
seconds=${1:-60}
[ $# -eq 0 ] || shift
here=$PWD
cd "$(dirname "$0")/.."
# shellcheck disable=SC2046 # the flags are words
MCORE_FUZZ=yes swift build --quiet --scratch-path .build/fuzz $(scripts/codecs.sh --flags) -Xswiftc -sanitize=fuzzer --product mcore-fuzz
program=$PWD/.build/fuzz/debug/mcore-fuzz
seeds=$PWD/Tests/Campaigns/ReaderFuzz/corpus
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
cd "$here"
# Largest input 64 KiB; 20 s and 1 GB for one input are a failure.
"$program" -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=1024 "$@" "$found" "$seeds"

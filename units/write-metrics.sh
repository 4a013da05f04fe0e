#!/bin/sh
# Writes mcore.prom into $DIRECTORY, under another name first. mcore-metrics.service calls it.
#
# usage: write-metrics MCORE
set -eu
new=$DIRECTORY/.mcore.prom.new
trap 'rm -f "$new"' EXIT
# 1: a crash would not be captured, which the metrics say.
"$1" status --metrics >"$new" || [ $? -eq 1 ]
[ -s "$new" ]
mv "$new" "$DIRECTORY/mcore.prom"

#!/bin/sh
# dracut reads its hooks into its own shell, which the second stage must not end: hence one of its own.
rootmnt=${NEWROOT:-/sysroot} sh /usr/lib/mcore/second-stage

#!/bin/bash
# Format and style. Warnings of the compiler are errors already; this checks what the compiler does not.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0

swift format lint --strict --recursive --parallel Sources Tests Package.swift || status=1

# What must not be written at all. The initramfs program may not bring in Foundation; nothing may trap on input.
complain() {
  if [ -n "$2" ]; then
    printf '%s\n%s\n' "$1" "$2" >&2
    status=1
  fi
}
complain 'Foundation in the library or in mcore-capture:' \
  "$(grep -rnE '^ *(public |internal |private )?import Foundation' Sources --include='*.swift' | grep -v '^Sources/Programs/mcore/' || true)"
complain 'try!, as! or fatalError:' \
  "$(grep -rnE '\btry!|\bas!|\bfatalError\(' Sources --include='*.swift' || true)"
complain 'system calls outside LinuxSystem and Workers:' \
  "$(grep -rnE '^ *(public |internal |private )?import (Glibc|CLinux)' Sources --include='*.swift' \
     | grep -vE '^Sources/Foundations/(LinuxSystem|Workers)/' || true)"

python3 -m compileall -q Tests/Kernels initramfs || status=1
for script in scripts/*.sh initramfs/*.sh units/*.sh packaging/install packaging/grub.cfg packaging/debian/{postinst,prerm,postrm} .ci/run; do sh -n "$script" 2>/dev/null || bash -n "$script" || status=1; done
exit $status

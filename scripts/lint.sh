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
complain 'comments of more than 110 characters:' \
  "$(LC_ALL=C.UTF-8 grep -rnE --include='*.swift' '^.{111}' Sources | grep -E '^[^:]+:[0-9]+: *//' || true)"
complain 'try!, as! or fatalError:' \
  "$(grep -rnE '\btry!|\bas!|\bfatalError\(' Sources --include='*.swift' || true)"
complain 'system calls outside LinuxSystem and Workers:' \
  "$(grep -rnE '^ *(public |internal |private )?import (Glibc|CLinux)' Sources --include='*.swift' \
     | grep -vE '^Sources/Foundations/(LinuxSystem|Workers)/' || true)"

complain "functions of libm, which mcore-capture is linked without (lean.ld):" \
  "$(grep -rnE '(^|[^.A-Za-z0-9_])(a?(sin|cos|tan)h?|atan2|pow|exp2?|expm1|log(2|10|1p|b)|cbrt|hypot|erfc?|[tl]gamma|fdim|remquo|nextafter|[jy]n)\(' \
     Sources --include='*.swift' | grep -v '^Sources/Programs/mcore/' | grep -v ':  *//' | grep -v 'func ' || true)"

complain "what mcore-capture is linked without (lean.ld): properties of Unicode's characters, and what brings regular expressions along:" \
  "$(grep -rnE '\.properties\b|import (_StringProcessing|RegexBuilder)|\.firstRange\(of:|\.wholeMatch\(' Sources --include='*.swift' || true)"

# Debian's own Python, whatever another one is called python3 here.
python_code='Tests/Kernels initramfs scripts'
# shellcheck disable=SC2086 # the list is meant to be split into words
/usr/bin/black --check --quiet $python_code || { echo 'Python is not in the format of black: make format' >&2; status=1; }
# shellcheck disable=SC2086
/usr/bin/pyflakes3 $python_code || status=1
scripts/check-papers.py || status=1
scripts/plot-bench.py --check || status=1
for script in scripts/*.sh initramfs/*.sh initramfs/dracut/*.sh units/*.sh packaging/install packaging/grub.cfg packaging/debian/{postinst,prerm,postrm} .ci/run; do sh -n "$script" 2>/dev/null || bash -n "$script" || status=1; done
exit $status

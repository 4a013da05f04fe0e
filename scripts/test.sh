#!/bin/bash
# All tests, cheapest first. `make test` calls it; `--full` adds the kernels and campaigns that take long.
#
#   MCORE_TEST_KERNELS   series of kernels whose dumps are read (default: 6.1 and the newest 7.x)
#   MCORE_TEST_CRASH     series on which the crash utility judges: needs their debug symbols, 280 MB each (default: all five)
#   MCORE_TEST_FORMATS   series whose dumps go through the formats of others; needs debug symbols too (default: 6.1)
#   MCORE_TEST_LKCD      the series whose memory is put into LKCD's format, 5.10 or 6.1; needs debug symbols too (default: 5.10)
#   MCORE_TEST_REPORT    series whose reports crash and drgn judge; needs debug symbols too (default: 6.1)
#   MCORE_TEST_REPORT_PAGE series whose report is looked at in Chromium (default: 6.1 and the newest 7.x)
#   MCORE_TEST_VARIETY   series on which every kind of memory is judged; needs debug symbols too (default: 6.12)
#   MCORE_TEST_ARM64     series of arm64 whose dumps are read, 6.12-16k and 6.12-max (52 bits) among them; 6.12 needs debug symbols, with --full all (default: 6.12)
#   MCORE_TEST_SOFT_BOOT series that take the soft boot (default: 6.1)
#   MCORE_TEST_GUESTS    series that run in guests (default: 6.1 and the newest 7.x)
set -euo pipefail
cd "$(dirname "$0")/.."

full=no
if [ "${1:-}" = --full ]; then full=yes; fi
if [ $full = yes ]; then
  export MCORE_TEST_FULL=yes
  export MCORE_TEST_KERNELS=${MCORE_TEST_KERNELS:-5.10 6.1 6.12 7.2 7.x}
  export MCORE_TEST_CRASH=${MCORE_TEST_CRASH:-5.10 6.1 6.12 7.2 7.x}
  export MCORE_TEST_FORMATS=${MCORE_TEST_FORMATS:-5.10 6.1 6.12 7.2 7.x}
  export MCORE_TEST_REPORT=${MCORE_TEST_REPORT:-5.10 6.1 6.12 7.2 7.x}
  export MCORE_TEST_VARIETY=${MCORE_TEST_VARIETY:-5.10 6.1 6.12 7.2 7.x}
  export MCORE_TEST_ARM64=${MCORE_TEST_ARM64:-6.12 6.12-max 6.12-16k 7.x 6.1}
  export MCORE_TEST_GUESTS=${MCORE_TEST_GUESTS:-5.10 6.1 6.12 7.2 7.x}
  export MCORE_TEST_SOFT_BOOT=${MCORE_TEST_SOFT_BOOT:-6.1 6.12 7.x}
else
  export MCORE_TEST_KERNELS=${MCORE_TEST_KERNELS:-6.1 7.x}
  export MCORE_TEST_CRASH=${MCORE_TEST_CRASH:-5.10 6.1 6.12 7.2 7.x}
  export MCORE_TEST_FORMATS=${MCORE_TEST_FORMATS:-6.1}
  export MCORE_TEST_REPORT=${MCORE_TEST_REPORT:-6.1}
  export MCORE_TEST_VARIETY=${MCORE_TEST_VARIETY:-6.12}
  export MCORE_TEST_GUESTS=${MCORE_TEST_GUESTS:-6.1 7.x}
fi
export PYTHONPATH=$PWD/Tests/Kernels PYTHONDONTWRITEBYTECODE=1

failed=()
times=()
# step NAME COMMAND...: runs one part, says how long it took, goes on after a failure.
step() {
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  if "$@"; then
    times+=("$(printf '%4d s  %s' $((SECONDS - start)) "$name")")
  else
    failed+=("$name")
    times+=("$(printf '%4d s  %s  FAILED' $((SECONDS - start)) "$name")")
  fi
}

step 'lint' scripts/lint.sh
# Serially: planned failures of system calls hold for the whole process.
# With the libraries that ship (ISA-L where it can be had).
read -ra flags <<<"$(scripts/codecs.sh --flags)"
step 'unit tests' swift test --quiet --no-parallel "${flags[@]}"
step 'unit tests with libelf and zlib alone' swift test --quiet --no-parallel --disable-default-traits --scratch-path .build-minimal
step 'release build' make --no-print-directory build
step 'dumps of real kernels' python3 -m unittest -q real.test_dumps
step 'dumps of five kernels, judged by crash, drgn, makedumpfile' python3 -m unittest -q real.test_oracles
step 'reports, judged by crash and drgn, and crashes of several kinds' python3 -m unittest -q real.test_report
step 'dumps of arm64, judged by crash, drgn and makedumpfile' python3 -m unittest -q real.test_arm64
step 'the page of a report, in Chromium' python3 -m unittest -q real.test_report_page
step 'formats of others, both ways, judged by makedumpfile, crash, drgn' python3 -m unittest -q real.test_formats
step 'dumps of LKCD, judged by libkdumpfile and crash' python3 -m unittest -q real.test_lkcd
step 'crash, drgn and gdb by mcore' python3 -m unittest -q real.test_tools
step 'every kind of memory, judged by the guest, makedumpfile, crash' python3 -m unittest -q real.test_variety
step 'cut dumps, limits, full disks' python3 -m unittest -q real.test_cuts
step 'the package' python3 -m unittest -q real.test_package
step 'the boot script of initramfs-tools' python3 -m unittest -q real.test_boot_script
step 'targets: ssh, https, raw disks, failover' python3 -m unittest -q real.test_targets
step 'guests in QEMU' python3 -m unittest -q real.test_guests
step 'a kernel that runs on, saved from /proc/kcore' python3 -m unittest -q real.test_live
if [ $full = no ]; then export MCORE_TEST_SOFT_BOOT_SHORT=1; fi
step 'soft boot in QEMU' python3 -m unittest -q real.test_soft_boot
if [ $full = yes ]; then
  step 'soft boot in QEMU, its other ways' python3 -m unittest -q real.test_soft_boot_ways
  step 'soft boot of Debian 12 with an encrypted disk' python3 -m unittest -q real.test_soft_boot_debian
  step 'the package on Debian 12: installed, one reboot, a crash' python3 -m unittest -q real.test_installed_debian
  step 'dumps from one Debian 12 to another' python3 -m unittest -q real.test_networked_debian
  step 'dumps over the network in QEMU' python3 -m unittest -q real.test_target_guests
  step 'targets on other machines, armed by mcore arm' python3 -m unittest -q real.test_armed_network
  step 'a watchdog in QEMU' python3 -m unittest -q real.test_watchdog
  step 'mcore-bench, for counting and scale' swift build -c release --static-swift-stdlib "${flags[@]}" --product mcore-bench
  step 'instructions of the hot paths' python3 -m unittest -q real.test_instructions
  step 'memory for a machine of 64 GiB' .build/release/mcore-bench scale 64
  step 'memory for a machine of 1 TiB' .build/release/mcore-bench scale 1024
  step 'memory for a machine of 4 TiB' .build/release/mcore-bench scale 4096
fi

echo '== times'
printf '%s\n' "${times[@]}"
if [ ${#failed[@]} -gt 0 ]; then printf 'failed: %s\n' "${failed[@]}"; fi
echo "$((${#times[@]} - ${#failed[@]})) passed, ${#failed[@]} failed"
[ ${#failed[@]} -eq 0 ]

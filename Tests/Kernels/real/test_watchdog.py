"""A watchdog that the crashed kernel left armed does not end the dump: a real guest with a device that can't be stopped.

The device (i6300esb) is locked by the first kernel (nowayout): the driver of the crash kernel can't disable it, and does not even
know that it runs. The dump takes several times as long as its timeout, since its disk is slow. Which kernel: the newest of
MCORE_TEST_GUESTS that has the driver. That what is stuck is not fed is tested in Tests/Unit/CaptureInitTests/WatchdogTests.swift.
"""

import os
import pathlib
import re
import shutil
import tempfile
import unittest

from guest import disk, system
from guest.paths import CACHE, GUEST, build_initramfs, fetch_kernel, kernel_release
from guest.qemu import GuestError

from .test_dumps import mcore
from .test_guests import CAPTURE, SERIES

MODULES = f"{system.MODULES} i6300esb"
# Seconds: of the first kernel, and of the driver in the crash kernel (WATCHDOG_HEARTBEAT in i6300esb.c).
ARMED, HEARTBEAT = 40, 30
BYTES_PER_SECOND = 400_000
# Stands for kexec, the last program that the guest starts before it panics.
ARM = f"""#!/bin/sh
kexec.real "$@" || exit
rmmod i6300esb
insmod "$(grep i6300esb /etc/mcore.modules)" nowayout=1
watchdog -T {ARMED} -t 5 /dev/watchdog0
sleep 1
echo "MCORE-GUEST: watchdog $(cat /sys/class/watchdog/watchdog0/state), nowayout $(cat /sys/class/watchdog/watchdog0/nowayout)"
"""


class Watchdog(unittest.TestCase):
    def setUp(self):
        kernels = [fetch_kernel(series) for series in SERIES]
        having = [kernel for kernel in kernels if list(kernel.rglob("i6300esb.ko*"))]
        if not having:
            self.skipTest(f"none of {', '.join(SERIES)} has the driver i6300esb")
        self.kernel = having[-1]
        directory = tempfile.TemporaryDirectory(prefix="mcore-watchdog-")
        self.addCleanup(directory.cleanup)
        self.work = pathlib.Path(directory.name)
        extra = self.work / "extra"
        system.copy_kexec(extra)
        shutil.move(extra / "bin/kexec", extra / "bin/kexec.real")
        (extra / "bin/kexec").write_text(ARM)
        (extra / "bin/kexec").chmod(0o755)
        self.normal = build_initramfs(
            self.kernel, GUEST / "guest-init", self.work / "normal.img", "--modules", MODULES, "--extra", extra
        )
        capture = build_initramfs(
            self.kernel, CAPTURE, self.work / "capture.img", "--modules", "virtio_pci virtio_blk ext4 i6300esb"
        )
        self.boot = (self.kernel, capture)
        self.slow = disk.make_ext4(self.work / "slow.img", "1G")

    def start(self, *words):
        """A guest whose second disk, the target, is slow. A reset ends it."""
        cmdline = " ".join([system.CRASH_CMDLINE, "mcore.target=/dev/vdb:/var/crash", *words])
        image = system.make_disk(self.work / "disk.img", *self.boot, cmdline)
        self.log = CACHE / "logs" / f"test-{kernel_release(self.kernel)}-watchdog{len(words)}.log"
        slow = f"file={self.slow},format=raw,if=none,id=slow,cache=unsafe,throttling.bps-write={BYTES_PER_SECOND}"
        devices = ["-device", "i6300esb", "-action", "watchdog=reset", "-drive", slow, "-device", "virtio-blk-pci,drive=slow"]
        return system.start(
            self.kernel, [image], self.log, initramfs=self.normal, reboot=False, devices=devices, crashkernel="128M"
        )

    def expect_crash(self, guest):
        guest.expect("MCORE-GUEST: watchdog active, nowayout 1", 200, or_fail=system.FAILED)
        guest.expect("Kernel panic - not syncing: sysrq triggered crash", 60)
        guest.expect("Linux version .*\n", 90)

    def test_a_dump_that_takes_longer_than_the_watchdog(self):
        with self.start() as guest:
            self.expect_crash(guest)
            guest.expect("/dev/watchdog0: fed while there is progress", 60)
            guest.expect("dump saved: ", 400)
            guest.expect("handing off: reboot", 60)
            guest.wait_exit(60)
        text = self.log.read_text(errors="replace")
        seconds = float(re.search(r"mcore: (\d+\.\d) s, peak memory", text)[1])
        self.assertGreater(seconds, 2 * HEARTBEAT, "the test is one only when the dump takes longer")
        self.assertNotIn("is not fed", text)
        disk.check(self.slow)
        (name,) = disk.list_directory(self.slow, "/var/crash")
        mcore("verify", "-q", disk.extract_tree(self.slow, f"/var/crash/{name}", self.work))

    @unittest.skipUnless(os.environ.get("MCORE_TEST_FULL") == "yes", "make test-full runs it")
    def test_the_same_without_feeding_is_cut_off(self):
        with self.start("mcore.watchdog=off") as guest:
            self.expect_crash(guest)
            guest.expect("writing ", 120)
            with self.assertRaisesRegex(GuestError, "the guest ended"):
                guest.expect("dump saved: ", 400)
        # Whatever had reached the disk by then: nothing whole.
        for name in disk.list_directory(self.slow, "/var/crash"):
            self.assertTrue(name.endswith(".incomplete"), name)

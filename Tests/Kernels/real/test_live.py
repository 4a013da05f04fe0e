"""The kernel that runs, saved from /proc/kcore in a guest while that works; crash and drgn open the dump. And what `mcore estimate`
says of the same guest.

Which kernels: MCORE_TEST_GUESTS (default 6.1). MCORE_TEST_CRASH: those whose dumps crash judges.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from guest import disk, soft_boot, system
from guest.paths import CACHE, fetch_kernel, kernel_release

from . import cuts
from .crash_tool import IN_SID
from .series import for_each
from .test_dumps import BIN, command, mcore

SERIES = os.environ.get("MCORE_TEST_GUESTS", "6.1").split()
JUDGED = os.environ.get("MCORE_TEST_CRASH", "6.1").split()
WHOLE = r"saved=0\n"


class LiveTest:
    series: str

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="mcore-live-")
        self.addCleanup(directory.cleanup)
        self.work = pathlib.Path(directory.name)
        self.kernel = fetch_kernel(self.series)
        self.release = kernel_release(self.kernel)

    def run_guest(self) -> tuple:
        """Returns the dump directory, and what `mcore estimate --json` said."""
        image = system.make_disk(self.work / "disk.img", self.kernel, None)
        soft_boot.add_to_disk(image, soft_boot.mcore_program(BIN / "mcore"))
        initramfs = soft_boot.normal_initramfs(self.kernel, BIN / "mcore-capture", self.work / "normal.img")
        log = CACHE / "logs" / f"test-{self.release}-live.log"
        with system.start(self.kernel, [image], log, initramfs=initramfs, role="shell", append=soft_boot.NORMAL_APPEND) as guest:
            guest.expect("MCORE-GUEST: shell", 180, or_fail=system.FAILED)
            guest.send("export LD_LIBRARY_PATH=/disk/mcore/lib PATH=/disk/mcore:/bin; mkdir -p /disk/live\n")
            guest.send("mcore estimate --json >/disk/estimate.json; echo estimated=$?\n")
            guest.expect("estimated=0\n", 200, or_fail=system.FAILED)
            # Something goes on meanwhile: a page that changes all the time.
            guest.send(
                "(while :; do echo $RANDOM >/tmp/restless; done) & busy=$!; mcore save /proc/kcore /disk/live; echo saved=$?\n"
            )
            guest.expect(WHOLE, 300, or_fail="saved=[12]|" + system.FAILED)
            guest.send("kill $busy; wait $busy; cd /; sync; umount /disk; poweroff -f\n")
            guest.wait_exit(60)
        disk.check(image)
        (name,) = disk.list_directory(image, "/live")
        disk.extract_file(image, "/estimate.json", self.work / "estimate.json")
        return disk.extract_tree(image, f"/live/{name}", self.work), json.loads((self.work / "estimate.json").read_text())

    def test_a_kernel_that_runs_on(self):
        dump, estimate = self.run_guest()
        manifest = json.loads((dump / "dump.json").read_text())
        print(self.release, manifest["status"], manifest["sampled_pages"], manifest["changed_pages"], manifest["findings"][:4])
        self.assertTrue(manifest["live"])
        self.assertEqual(manifest["kernel"]["release"], self.release)
        # What changed while it was read is counted, and is no finding.
        self.assertEqual((manifest["status"], manifest["findings"]), ("complete", []))
        self.assertEqual(manifest["unreadable_pages"], 0)
        mcore("verify", "-q", dump)
        self.assertIn(b"Linux version", (dump / "dmesg.txt").read_bytes())
        # Most of what is free and of processes is left out, as of a crash.
        pages = manifest["pages"]
        self.assertGreater(pages["free"]["left_out"], pages["free"]["total"] * 9 // 10)
        self.assertGreater(pages["user"]["left_out"], 24 << 8)
        self.check_estimate(estimate, manifest)
        if self.series in JUDGED:
            self.check_crash(dump)

    def check_estimate(self, estimate: dict, manifest: dict) -> None:
        """Of the same guest a minute before."""
        sizes = {(entry["level"], entry["format"]): entry["bytes"] for entry in estimate["sizes"]}
        taken = manifest["file_bytes"]
        self.assertTrue(taken / 2 < sizes["kern", "elf.gz"] < taken * 2, (taken, sizes))
        self.assertGreater(sizes["all", "elf.gz"], sizes["used", "elf.gz"] - 1)
        self.assertGreater(sizes["used", "elf.gz"], sizes["kern", "elf.gz"])
        total = sum(estimate["pages"].values())
        self.assertLess(abs(total - sum(entry["total"] for entry in manifest["pages"].values())), total // 100)

    def check_crash(self, dump: pathlib.Path, again=True) -> None:
        plain = self.work / "plain.elf"
        mcore("convert", "-q", "--format", "elf", dump, plain)
        answers = cuts.crash(self.series, plain, ("ps", "log", "kmem -i"), timeout=300)
        if again and None in answers.values():
            # A list that crash needs may have changed while it was read: that is no fault of one dump, and one of all.
            plain.unlink()
            return self.check_crash(self.run_guest()[0], again=False)
        self.assertNotIn(None, answers.values())
        self.assertIn("swapper/0", answers["ps"])
        self.assertIn("Linux version", answers["log"])
        vmlinux = fetch_kernel(self.series, debug=True) / "vmlinux"
        script = self.work / "tasks.py"
        script.write_text("from drgn.helpers.linux.pid import find_task\nprint(find_task(prog, 1).comm.string_().decode())\n")
        words = [IN_SID, "--timeout", 300, "--bind", self.work, "drgn", "-q", "-c", plain, "-s", vmlinux, script]
        told = command(*words, timeout=360, stdin=subprocess.DEVNULL).stdout.decode()
        self.assertIn("init", told)


def load_tests(loader, _, __):
    return unittest.TestSuite([for_each(loader, SERIES, LiveTest, "LiveTest")])

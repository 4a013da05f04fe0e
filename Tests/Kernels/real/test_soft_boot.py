"""The memory-preserving soft boot in QEMU: panic, dump into memory, the normal kernel again, dump on the disk.

Which kernels: MCORE_TEST_SOFT_BOOT, a list of series (default 6.1). MCORE_TEST_CRASH: those of which crash judges the dumps.
"""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import unittest

from guest import disk, soft_boot, system
from guest.paths import CACHE, REPOSITORY, fetch_kernel, kernel_release

from . import cuts
from .elf import Core, compare_memory
from .series import for_each
from .test_dumps import BIN, command, mcore

SERIES = os.environ.get("MCORE_TEST_SOFT_BOOT", "6.1").split()
JUDGED = os.environ.get("MCORE_TEST_CRASH", "6.1").split()
# What crash is asked of a dump.
ASKED = ("bt -a", "ps", "log", "kmem -i")
CAPTURE = BIN / "mcore-capture"
# What a dump directory has.
FILES = ["dmesg.txt", "dump.json", "report.json", "report.txt", "vmcore.elf.gz"]
NUMBERS = r"MCORE-GUEST: memory (?P<kib>\d+) kB, CPUs (?P<cpus>\d+)"


class SoftBootTest:
    series: str

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="mcore-soft-")
        self.addCleanup(directory.cleanup)
        self.work = pathlib.Path(directory.name)
        self.kernel = fetch_kernel(self.series)
        self.release = kernel_release(self.kernel)

    def crash(self, name: str, *, copies_raw=False, modules="", crashkernel="256M", lost_cpus=0, **options) -> tuple:
        """Panic, crash kernel, normal kernel. Returns the dump directory, and the console's text. With `copies_raw` the crash
        kernel keeps /proc/vmcore in self.raw first. `modules` are for the normal boot."""
        normal = soft_boot.normal_initramfs(self.kernel, CAPTURE, self.work / "normal.img", modules)
        storage = "virtio_pci virtio_blk" if copies_raw else ""
        crash = soft_boot.crash_initramfs(self.kernel, CAPTURE, normal, self.work / "crash.img", storage)
        cmdline = soft_boot.CRASH_CMDLINE + (" rdinit=/raw-copy-init" if copies_raw else "")
        image = system.make_disk(self.work / "disk.img", self.kernel, crash, cmdline)
        self.raw = self.work / "raw.elf"
        subprocess.run(["truncate", "-s", "64G", self.raw], check=True)
        log = CACHE / "logs" / f"test-{self.release}-soft-{name}.log"
        with system.start(
            self.kernel,
            [image, self.raw],
            log,
            initramfs=normal,
            crashkernel=crashkernel,
            append=soft_boot.NORMAL_APPEND,
            **options,
        ) as guest:
            before = guest.expect(NUMBERS, 120, or_fail=system.FAILED)
            # At every boot, and there is nothing to do.
            guest.expect("second stage ended with status 0", 30, or_fail=system.FAILED)
            guest.expect("Kernel panic - not syncing: sysrq triggered crash", 180, or_fail=system.FAILED)
            panicked = time.monotonic()
            if copies_raw:
                size = int(guest.expect(r"MCORE-GUEST: vmcore has (?P<size>\d+) bytes", 120)["size"])
                guest.expect("MCORE-GUEST: copied", 300)
                guest.expect("MCORE-GUEST: disks left: 0", 30)
            region = guest.expect(r"leaves out (?P<word>[0-9a-fx@,]+)\n", 300, or_fail="error: .*\n|" + system.FAILED)
            guest.expect("handing off: kexec", 60)
            guest.expect("Linux version .*\n", 60)
            started = time.monotonic()
            after = guest.expect(NUMBERS, 120, or_fail=system.FAILED)
            guest.expect(r"dump saved: /dev/vda:/var/crash/\S+, .*, complete\n", 240, or_fail="error: .*\n|" + system.FAILED)
            guest.expect("second stage ended with status 0", 30, or_fail=system.FAILED)
            saved = time.monotonic()
            guest.expect("MCORE-GUEST: dump found after boot 2", 120, or_fail=system.FAILED)
            back = time.monotonic()
            guest.wait_exit(30)
        if copies_raw:
            os.truncate(self.raw, size)
        print(
            f"{self.release} {name}: from panic to normal kernel {started - panicked:.0f} s, dump saved {saved - panicked:.0f} s, "
            f"boot done {back - panicked:.0f} s"
        )
        taken = sum(int(word.split("@")[0], 16) for word in region["word"].split(",")) // 1024
        text = log.read_text(errors="replace")
        if lost_cpus:
            taken += self.check_image(text)
        # The machine has all its memory but the region and that; the kernel's own share differs by little.
        self.assertLess(abs(int(before["kib"]) - taken - int(after["kib"])), 4096, (before, taken, after))
        self.assertEqual(int(after["cpus"]), int(before["cpus"]) - lost_cpus)
        disk.check(image)
        names = disk.list_directory(image, "/var/crash")
        self.assertEqual(len(names), 1, names)
        self.assertRegex(names[0], rf"^\d{{4}}-\d\d-\d\d.*-{re.escape(self.release)}$")
        return disk.extract_tree(image, f"/var/crash/{names[0]}", self.work), text

    def check_image(self, text: str) -> int:
        """The normal kernel leaves the crashed one's image alone, in which a CPU stays. Returns its size in KiB."""
        start, last = (int(word, 16) for word in re.search(r"kernel image 0x(\w+)-0x(\w+)", text).groups())
        unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
        line = re.search(r"Kernel command line: memmap=exactmap .*", text)[0]
        reserved = [(int(a) * unit[m], int(b) * unit[n]) for a, m, b, n in re.findall(r"[=,](\d+)([KMG])\$(\d+)([KMG])", line)]
        self.assertTrue(any(place <= start and last < place + count for count, place in reserved), (hex(start), hex(last), line))
        return (last - start) // 1024

    def check_dump(self, dump: pathlib.Path) -> dict:
        """What holds for a dump directory, whichever way it came. Returns dump.json."""
        self.assertEqual(sorted(path.name for path in dump.iterdir()), FILES)
        mcore("verify", "-q", dump)
        manifest = json.loads((dump / "dump.json").read_text())
        files, travelled = manifest.pop("files"), manifest.pop("travelled")
        derived = json.loads(mcore("info", "--json", dump).stdout)
        self.assertEqual(manifest["types"]["disagree"], [])
        self.assertTrue(manifest["signature"]["hash"])
        self.assertEqual((dump / "report.txt").read_bytes(), mcore("report", dump).stdout)
        self.assertEqual(manifest, derived)
        for name, entry in files.items():
            digest = command("sha256sum", dump / name, timeout=60)
            self.assertEqual(entry["sha256"], digest.stdout.split()[0].decode())
        self.assertEqual((dump / "dmesg.txt").read_bytes(), mcore("dmesg", dump).stdout)
        boot = travelled.pop("boot_id")
        self.assertRegex(boot, r"^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$")
        self.assertEqual(travelled, {"by": "memory", "evidence": "head", "attempts": 1, "damaged": []})
        self.assertEqual(manifest["status"], "complete")
        self.assertIn("sysrq triggered crash", manifest["kernel"]["reason"])
        return manifest

    def check_memory(self, dump: pathlib.Path, manifest: dict) -> None:
        """Page by page what /proc/vmcore held in the same crash; and the classes are those of a dump made directly of it."""
        mcore("save", "-q", self.raw, self.work / "direct.elf.gz")
        direct = json.loads(mcore("info", "--json", self.work / "direct.elf.gz").stdout)
        self.assertEqual(manifest["pages"], direct["pages"])
        plain = self.work / "plain.elf"
        mcore("convert", "-q", "--format", "elf", dump, plain)
        kept, raw = Core(plain), Core(self.raw)
        self.assertGreater(len(kept.loads), 10)
        self.assertEqual(compare_memory(kept, raw), (0, sum(load[2] for load in kept.loads)))
        # Nothing that should be there is missing: as much as the direct dump has.
        direct_plain = self.work / "direct.elf"
        mcore("convert", "-q", "--format", "elf", self.work / "direct.elf.gz", direct_plain)
        self.assertEqual([load[:3:2] for load in kept.loads], [load[:3:2] for load in Core(direct_plain).loads])

    def check_crash(self, dump: pathlib.Path) -> None:
        """crash says the same of it as of the raw copy."""
        plain, raw = (cuts.crash(self.series, path, ASKED, timeout=300) for path in (self.work / "plain.elf", self.raw))
        self.assertNotIn(None, plain.values())
        self.assertGreater(sum(len(text.splitlines()) for text in plain.values()), 300)
        self.assertEqual(plain, raw)


class ShortTest(SoftBootTest):
    def test_the_dump_travels_in_memory_and_equals_a_direct_one(self):
        dump, _ = self.crash("raw", copies_raw=True, memory="2G")
        manifest = self.check_dump(dump)
        self.check_memory(dump, manifest)
        if self.series in JUDGED:
            self.check_crash(dump)


class LongTest(SoftBootTest):
    def test_memory_above_4_gib_after_a_panic_on_cpu_1(self):
        """The boot CPU stays off when another one panicked (docs/soft-boot.md)."""
        dump, text = self.crash("6g", memory="6G", cpu=1, lost_cpus=1)
        self.check_dump(dump)
        region = re.search(r"leaves out 0x[0-9a-f]+@(0x[0-9a-f]+)", text)[1]
        self.assertGreaterEqual(int(region, 16), 4 << 30)

    def test_through_persistent_memory_devices(self):
        """Here a driver has claimed the region before mcore-capture looks for it."""
        dump, text = self.crash("pmem", modules=soft_boot.PERSISTENT_MEMORY, memory="1G")
        self.check_dump(dump)
        self.assertIn("nd_pmem namespace0.0", text)

    def test_armed_by_mcore(self):
        """mcore arm in the guest in place of what soft-init and kexec do."""
        normal = soft_boot.normal_initramfs(self.kernel, CAPTURE, self.work / "normal.img")
        image = system.make_disk(self.work / "disk.img", self.kernel, None)
        subprocess.run(
            [REPOSITORY / "scripts/install.sh", BIN],
            check=True,
            timeout=120,
            capture_output=True,
            env={**os.environ, "DESTDIR": str(self.work / "root")},
        )
        base = self.work / "root/usr/local/lib/mcore/crash-base.img"
        files = {"/boot/initrd.img": normal, "/boot/crash-base.img": base, **soft_boot.mcore_program(BIN / "mcore")}
        soft_boot.add_to_disk(image, files)
        log = CACHE / "logs" / f"test-{self.release}-soft-arm.log"
        arm = "mcore arm --target memory: --kernel /disk/boot/vmlinuz --initrd /disk/boot/initrd.img --base /disk/boot/crash-base.img"
        with system.start(self.kernel, [image], log, initramfs=normal, role="shell", append=soft_boot.NORMAL_APPEND) as guest:
            guest.expect("MCORE-GUEST: shell", 180, or_fail=system.FAILED)
            guest.send("export LD_LIBRARY_PATH=/disk/mcore/lib PATH=/disk/mcore:/bin; mkdir -p /var/lib\n")
            for command_line, expected in [
                ("mcore status", "no crash kernel is loaded: run mcore arm"),
                ("echo status=$?", "status=1"),
                (arm, r"armed: /disk/boot/vmlinuz"),
                ("echo armed=$?", "armed=0"),
                ("mcore status --json", '"captured": true'),
                ("echo status=$?", "status=0"),
                ("mcore disarm; mcore status", "no crash kernel is loaded"),
                (arm, r"armed: /disk/boot/vmlinuz"),
                ("cat /sys/kernel/kexec_crash_loaded", "\n1\n"),
            ]:
                guest.send(command_line + "\n")
                guest.expect(expected, 60, or_fail=system.FAILED)
            guest.send("sync; echo c >/proc/sysrq-trigger\n")
            guest.expect("Kernel panic - not syncing: sysrq triggered crash", 60, or_fail=system.FAILED)
            guest.expect("handing off: kexec", 300, or_fail="error: .*\n|" + system.FAILED)
            guest.expect(r"dump saved: /dev/vda:/var/crash/\S+, .*, complete\n", 300, or_fail="error: .*\n|" + system.FAILED)
            guest.expect("MCORE-GUEST: dump found after boot 2", 120, or_fail=system.FAILED)
            guest.wait_exit(30)
        disk.check(image)
        (name,) = disk.list_directory(image, "/var/crash")
        self.check_dump(disk.extract_tree(image, f"/var/crash/{name}", self.work))


def load_tests(loader, _, __):
    """MCORE_TEST_SOFT_BOOT_SHORT=1: the short tests alone, as `make test` has them."""
    bases = [ShortTest] if os.environ.get("MCORE_TEST_SOFT_BOOT_SHORT") else [ShortTest, LongTest]
    return unittest.TestSuite(for_each(loader, SERIES, base, base.__name__) for base in bases)

"""Real kernels crash in QEMU and mcore-capture saves them: by itself as PID 1, and typed into a rescue shell.

One boot checks many things. Which kernels: MCORE_TEST_GUESTS, a list of series; scripts/test.sh sets it.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from guest import disk, rescue, system
from guest.paths import CACHE, GUEST, build_initramfs, fetch_kernel, kernel_release

from .elf import Core, compare_memory
from .series import for_each
from .test_dumps import BIN, mcore

SERIES = os.environ.get("MCORE_TEST_GUESTS", "6.1").split()
CAPTURE = BIN / "mcore-capture"
# What a dump directory has.
FILES = ["dmesg.txt", "dump.json", "report.json", "report.txt", "vmcore.elf.gz"]
# What is promised: it lives in a crash kernel of this size, with one CPU. Kernels from 6.12 on need more for themselves.
CRASHKERNEL = {"5.10": "96M", "6.1": "96M"}
CRASHKERNEL_NEWER = "128M"
# The most that mcore-capture may need for 1 GiB of memory, with one thread: 24 MiB, and 40 for each TiB.
PEAK_MIB = 24


class GuestTest:
    series: str

    @classmethod
    def setUpClass(cls):
        cls.kernel = fetch_kernel(cls.series)
        cls.release = kernel_release(cls.kernel)

        cls.crashkernel = CRASHKERNEL.get(cls.series, CRASHKERNEL_NEWER)

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="mcore-guest-")
        self.addCleanup(directory.cleanup)
        self.work = pathlib.Path(directory.name)

    def log(self, name: str) -> pathlib.Path:
        return CACHE / "logs" / f"test-{self.release}-{name}.log"

    def initramfs(self, *options):
        return build_initramfs(self.kernel, CAPTURE, self.work / "capture.img", *options)

    def only_dump(self, image) -> pathlib.Path:
        disk.check(image)
        names = disk.list_directory(image, "/var/crash")
        self.assertEqual(len(names), 1, names)
        self.assertRegex(names[0], rf"^\d{{4}}-\d\d-\d\d.*-{re.escape(self.release)}$")
        return disk.extract_tree(image, f"/var/crash/{names[0]}", self.work)

    def check_dump(self, dump: pathlib.Path) -> dict:
        """Everything that holds for a dump directory, whoever made it. Returns dump.json."""
        self.assertEqual(sorted(path.name for path in dump.iterdir()), FILES)
        mcore("verify", "-q", dump)
        manifest = json.loads((dump / "dump.json").read_text())
        derived = json.loads(mcore("info", "--json", dump).stdout)
        files = manifest.pop("files")
        self.assertTrue(manifest["signature"]["hash"])
        self.assertEqual(manifest["types"]["disagree"], [])
        # Made in the crash kernel of all memory; here of what the dump has of it.
        self.assertEqual((dump / "report.txt").read_bytes(), mcore("report", dump).stdout)
        self.assertEqual(json.loads((dump / "report.json").read_text())["signature"], manifest["signature"])
        self.assertEqual(manifest, derived, "dump.json says what the dump itself says")
        for name, entry in files.items():
            digest = subprocess.run(["sha256sum", dump / name], capture_output=True, check=True, timeout=60)
            self.assertEqual(entry["sha256"], digest.stdout.split()[0].decode())
            self.assertEqual(entry["bytes"], (dump / name).stat().st_size)
        self.assertEqual((dump / "dmesg.txt").read_bytes(), mcore("dmesg", dump).stdout)
        self.assertEqual(manifest["status"], "complete")
        self.assertEqual(manifest["kernel"]["release"], self.release)
        self.assertIn("sysrq triggered crash", manifest["kernel"]["reason"])
        return manifest

    def test_a_crash_is_saved_and_the_machine_boots_again(self):
        cmdline = system.CRASH_CMDLINE + " mcore.target=/dev/vda:/var/crash"
        image = system.make_disk(self.work / "disk.img", self.kernel, self.initramfs(), cmdline)
        log = self.log("direct")
        with system.start(self.kernel, [image], log, crashkernel=self.crashkernel) as guest:
            guest.expect("MCORE-GUEST: crash kernel loaded", 150, or_fail=system.FAILED)
            guest.expect("Kernel panic - not syncing: sysrq triggered crash", 60)
            guest.expect("Linux version .*\n", 90)
            guest.expect("Linux version .*\n", 300)
            guest.expect("MCORE-GUEST: dump found after boot 2", 120, or_fail=system.FAILED)
            guest.wait_exit(30)
        text = log.read_text(errors="replace")
        peak = re.search(r"peak memory (?P<mib>\d+\.\d) MiB", text)
        self.assertIsNotNone(peak, "the peak memory stands in the log")
        print(f"{self.release}, crashkernel={self.crashkernel}: peak memory {peak['mib']} MiB", flush=True)
        self.assertLess(float(peak["mib"]), PEAK_MIB)
        self.assertLess(text.index("kernel log saved"), text.index("writing"), "the log is written first")
        facts = self.check_dump(self.only_dump(image))
        self.assertEqual(facts["level"], "kern")
        self.assertGreater(facts["pages"]["free"]["left_out"], facts["pages"]["kernel"]["total"])

    def test_typed_into_a_rescue_shell_twice_and_page_for_page_right(self):
        image = system.make_disk(self.work / "disk.img", self.kernel, self.initramfs("--shell"))
        raw = self.work / "raw.elf"
        subprocess.run(["truncate", "-s", "8G", raw], check=True)
        with system.start(
            self.kernel, [image, raw], self.log("rescue"), crashkernel=self.crashkernel, reboot=False, cpu=1, kexec="classic"
        ) as guest:
            guest.expect("mcore-rescue# ", 240, or_fail=system.FAILED)
            size = rescue.type_captures(guest, ["level=all target=/dev/vda:/var/crash"] * 2, 240)
            guest.send("poweroff -f\n")
            guest.wait_exit(60)
        os.truncate(raw, size)
        disk.check(image)
        names = disk.list_directory(image, "/var/crash")
        self.assertEqual(len(names), 2, names)
        first, second = (disk.extract_tree(image, f"/var/crash/{name}", self.work) for name in names)
        self.check_dump(first)
        # The same memory, saved twice: the same bytes.
        subprocess.run(["cmp", first / "vmcore.elf.gz", second / "vmcore.elf.gz"], check=True, timeout=60)
        plain = self.work / "plain.elf"
        mcore("convert", "-q", "--format", "elf", first, plain)
        source = Core(raw)
        partial = [load for load in source.loads if load[2] % 4096]
        self.assertTrue(partial, "a segment ends within a page")
        self.assertEqual(compare_memory(source, Core(plain)), (0, sum(load[2] for load in source.loads)))

    def last_resort(self, name: str, words: str, *options, cpu=0) -> tuple:
        """A crash that ends with little on a second disk: the two disks, the console, and what `mcore last` prints. `options`: of the
        crash kernel's initramfs."""
        cmdline = f"{system.CRASH_CMDLINE} mcore.last=/dev/vdb {words}"
        image = system.make_disk(self.work / "disk.img", self.kernel, self.initramfs(*options), cmdline)
        spare = self.work / "spare.img"
        subprocess.run(["truncate", "-s", "4M", spare], check=True)
        log = self.log(name)
        with system.start(self.kernel, [image, spare], log, crashkernel=self.crashkernel, reboot=False, cpu=cpu) as guest:
            guest.expect("Kernel panic - not syncing: sysrq triggered crash", 240, or_fail=system.FAILED)
            guest.expect("last resort: log and registers are on /dev/vdb", 120)
            guest.wait_exit(60)
        console = log.read_text(errors="replace").replace("\r", "")
        return image, spare, console, mcore("last", spare).stdout.decode()

    def test_when_every_target_fails_log_and_registers_go_to_the_last_resort(self):
        _, spare, console, kept = self.last_resort(
            "last", "mcore.wait=1 mcore.target=/dev/vdz:/var/crash mcore.target=LABEL=none:/", cpu=1
        )
        self.assertIn(f"kernel   {self.release}, x86_64", kept)
        self.assertRegex(kept, "reason   .*sysrq triggered crash")
        self.assertIn("failed   /dev/vdz:/var/crash: there is no such disk", kept)
        self.assertIn("failed   LABEL=none:/: there is no such disk", kept)
        # The process that crashed the machine, as the kernel itself named it on the console.
        pid = re.search(r"CPU: 1 .*PID: (?P<pid>\d+) ", console)["pid"]
        self.assertEqual(len(re.findall("registers of a CPU, process ", kept)), 2)
        self.assertIn(f"registers of a CPU, process {pid}:", kept)
        self.assertRegex(kept, r" rip ffffffff[0-9a-f]{8}  cs 0000000000000010\b")
        # The whole log fits here: its first line, and all of the panic as the console had it.
        self.assertIn("] Linux version " + self.release, kept)
        first = console.index("sysrq: Trigger a crash")
        panic = re.findall(r"\[ *\d+\.\d{6}\] .*", console[console.rindex("\n", 0, first) + 1 :])
        shown = panic[: next(i for i, line in enumerate(panic) if "Linux version" in line)]
        self.assertGreater(len(shown), 10)
        missing = [line for line in shown if line.rstrip() not in kept]
        self.assertEqual(missing, [])
        # Without any tool of ours.
        self.assertEqual(spare.read_bytes()[64 : 64 + 6], b"mcore ")
        mcore("last", "--clear", spare)
        self.assertEqual(spare.read_bytes(), bytes(4 << 20))
        self.assertEqual(mcore("last", spare, status=1).stdout, b"")

    def test_when_every_child_is_killed_log_and_registers_go_to_the_last_resort(self):
        extra = self.work / "extra"
        extra.mkdir()
        shutil.copy2(GUEST / "kill-init", extra / "kill-init")
        image, _, console, kept = self.last_resort(
            "killed", "mcore.target=/dev/vda:/var/crash rdinit=/kill-init", "--extra", extra
        )
        told = console.rpartition("PID 1, ")[2]
        self.assertEqual(told.count("saving was ended by signal 9"), 3)
        self.assertEqual(re.findall("trying once more, (.*)", told), ["with one thread", "with every page"])
        self.assertRegex(kept, "reason   .*sysrq triggered crash")
        self.assertEqual(len(re.findall("registers of a CPU, process ", kept)), 2)
        self.assertIn("] Linux version " + self.release, kept)
        # The machine restarts; of the dump nothing is there.
        disk.check(image)
        self.assertEqual([name for name in disk.list_directory(image, "/var/crash") if not name.endswith(".incomplete")], [])


def load_tests(loader, _, __):
    return for_each(loader, SERIES, GuestTest, "Guest")

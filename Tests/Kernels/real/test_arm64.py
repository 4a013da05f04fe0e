"""Dumps of arm64 kernels, read on this machine: classes are those of makedumpfile, drgn says of a kern dump what it says of the
raw one, stacks are those of the kernel and of drgn.

| | make test | make test-full |
|---|---|---|
| kernels (MCORE_TEST_ARM64) | 6.12 | 6.12, with addresses of 52 bits too, 6.12-16k, 7.x, 6.1 |
| drgn (with debug symbols, 100 MB) | 6.12 | 6.12 |
| crash (with debug symbols, 80 MB each) | - | all but the one of 52 bits |
| makedumpfile (in QEMU, knows only 6.1 here) | - | 6.1 |
| a crash kernel that runs mcore-capture, a rescue shell | - | 6.12 |
"""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from guest import arm64, disk, rescue, system
from guest.paths import REPOSITORY, kernel_release, run
from guest.qemu import new_log

from . import cuts
from .diskdump import kept_pages
from .elf import Core, compare_memory
from .oracles import CLASSES
from .series import for_each
from .test_dumps import BIN, command, mcore
from .test_oracles import COMMANDS as CRASH_COMMANDS
from .test_report import DRGN_STACKS, functions

SERIES = os.environ.get("MCORE_TEST_ARM64", "6.12").split()
FULL = bool(os.environ.get("MCORE_TEST_FULL"))
# Debian's 6.1 has no CONFIG_KALLSYMS_ALL: nothing leads to the nodes.
WITHOUT_NODES = "6.1"

DRGN_FACTS = """
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.printk import get_dmesg
for task in sorted((task.pid.value_(), task.comm.string_().decode()) for task in for_each_task(prog)):
    print(*task)
print(get_dmesg(prog).decode())
print(prog.crashed_thread().stack_trace())
for pid in (1, 2):
    print(prog.stack_trace(pid))
"""


class ARM64:
    """The tests for one kernel; a class for each series is made below."""

    series: str

    @classmethod
    def setUpClass(cls):
        cls.raw = arm64.raw_dump(cls.series)
        cls.directory = tempfile.TemporaryDirectory(prefix="mcore-arm64-")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.work = pathlib.Path(cls.directory.name)
        cls.kern = cls.work / "kern.elf"
        cls.status = 3 if cls.series == WITHOUT_NODES else 0
        mcore("save", "-q", "--format", "elf", cls.raw, cls.kern, status=cls.status)
        cls.facts = json.loads(mcore("info", "--json", cls.kern).stdout)

    def test_classes_are_whole_and_nothing_is_found_that_is_not_so(self):
        self.assertEqual(self.facts["kernel"]["machine"], "arm64")
        pages = self.facts["pages"]
        self.assertGreater(pages["cache"]["total"], 5_000)
        self.assertGreater(pages["user"]["total"], 5_000)
        if self.series == WITHOUT_NODES:
            # Free pages have no second witness, and are kept; the dump says why, and nothing else is wrong.
            self.assertEqual(pages["free"]["total"], 0)
            first, *others = self.facts["findings"]
            self.assertIn("neither VMCOREINFO nor kallsyms has them", str(first))
            for finding in others:
                self.assertIn("free by the page map", str(finding))
            return
        self.assertEqual(self.facts["status"], "complete")
        self.assertEqual(self.facts["findings"], [])
        self.assertEqual([check for check in self.facts["checks"] if check["failed"]], [])
        self.assertGreater(pages["free"]["total"], 5_000)
        self.assertEqual(pages["free"]["kept"], 0)
        self.assertLess(pages["kernel"]["kept"], sum(entry["total"] for entry in pages.values()) / 4)

    def test_everything_is_what_the_raw_copy_has(self):
        packed, plain = self.work / "all.elf.gz", self.work / "all.elf"
        mcore("save", "-q", "--level", "all", self.raw, packed)
        mcore("verify", "-q", packed)
        mcore("convert", "-q", "--format", "elf", packed, plain)
        wrong, compared = compare_memory(Core(self.raw), Core(plain))
        self.assertEqual(wrong, 0)
        self.assertGreater(compared, 700 << 20)
        wrong, compared = compare_memory(Core(self.kern), Core(self.raw))
        self.assertEqual(wrong, 0)
        packed.unlink()
        plain.unlink()

    def test_the_stack_of_the_panic_is_what_the_kernel_printed(self):
        log = mcore("dmesg", self.raw).stdout.decode()
        printed = re.findall(r"^\[ *[\d.]+\]  (\S+\+0x[0-9a-f]+/0x[0-9a-f]+)$", log.split("Call trace:")[-1], re.M)
        # What the kernel calls before it panics is not the same as what it calls to print.
        # 6.1 prints the address behind the call as it is, which is the next function's.
        first = "__handle_sysrq" if self.series == WITHOUT_NODES else "sysrq_handle_crash"
        printed = printed[next(n for n, line in enumerate(printed) if line.startswith(first)) :]
        self.assertEqual(printed[-1].split("+")[0], "el0t_64_sync")
        (crashed,) = [one for one in json.loads(mcore("bt", "--json", self.raw).stdout)]
        frames = crashed["stack"]["frames"]
        texts = [f"{frame['function']}+{hex(frame['offset'])}/{hex(frame['size'])}" for frame in frames]
        self.assertTrue(texts[0].startswith("__crash_kexec+"), texts)
        self.assertEqual(texts[-len(printed) :], printed)
        self.assertTrue(all(frame["reliable"] for frame in frames))

    # MARK: drgn

    def drgn(self, dump, program) -> str:
        tool = pathlib.Path(run(REPOSITORY / "scripts/drgn-venv.sh", timeout=600).strip()) / "bin/drgn"
        script = self.work / "program.py"
        script.write_text(program)
        vmlinux = arm64.fetch_kernel(self.series, debug=True) / "vmlinux"
        return command(tool, "-q", "-c", dump, "-s", vmlinux, script, stdin=subprocess.DEVNULL).stdout.decode()

    def require_drgn(self):
        if not self.series.startswith("6.12") or self.series.endswith("-16k"):
            self.skipTest("judged on 6.12")

    def test_drgn_says_the_same_of_the_kern_dump(self):
        """Also of what is there at the end of pass 2: the stack of the panic takes the CPU's own memory."""
        self.require_drgn()
        full = self.drgn(self.raw, DRGN_FACTS)
        self.assertIn("2 kthreadd", full)
        self.assertIn("sysrq triggered crash", full)
        self.assertIn("sysrq_handle_crash", full)
        self.assertIn("do_wait", full)
        self.assertEqual(self.drgn(self.kern, DRGN_FACTS), full)
        cut = self.work / "cut.elf"
        with open(self.kern, "rb") as whole:
            cut.write_bytes(whole.read(cuts.pass_ends(Core(self.kern))[1]))
        self.assertLess(cut.stat().st_size, self.kern.stat().st_size)
        # drgn takes no file that ends early.
        packed = self.work / "cut-whole.elf"
        mcore("convert", "-q", "--format", "elf", cut, packed, status=3)
        self.assertEqual(self.drgn(packed, DRGN_FACTS), full)

    def test_stacks_of_all_tasks_are_those_of_drgn(self):
        self.require_drgn()
        theirs = {}
        for line in self.drgn(self.raw, DRGN_STACKS).splitlines():
            task, _, _, *names = line.split("\t")
            theirs[int(task)] = functions(names)
        ours = {}
        for entry in json.loads(mcore("bt", "-a", "--json", self.kern).stdout):
            names = functions(frame["function"] or "?" for frame in entry["stack"]["frames"])
            ours[int(entry["task"]["address"], 16)] = names
        self.assertGreater(len(theirs), 60)
        different = {task: (ours.get(task), names) for task, names in theirs.items() if ours.get(task) != names}
        self.assertEqual(different, {})

    # MARK: crash

    def crash(self, dump) -> tuple:
        """What crash, opened by mcore, prints of a dump: (standard output, standard error). mcore tells it where memory starts, which
        it does not find out by itself from 6.12 on."""
        script = self.work / "commands"
        script.write_text("\n".join([*CRASH_COMMANDS, "exit"]) + "\n")
        tool = pathlib.Path(run(REPOSITORY / "scripts/arm64-crash.sh", timeout=3600).strip())
        vmlinux = arm64.fetch_kernel(self.series, debug=True) / "vmlinux"
        # crash 9.0.2 does not know where kernels from 7.x on keep a module's symbols, and ends there.
        options = ["--no_modules"] if self.series.startswith("7.") else []
        words = ["crash", "--vmlinux", vmlinux, dump, "--", "-s", *options, "-i", script]
        environment = {**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}"}
        result = command(BIN / "mcore", *words, timeout=300, stdin=subprocess.DEVNULL, env=environment)
        # The file's name is in what `sys` prints; addresses of crash's own code, which differ from run to run, in its complaints.
        texts = (text.decode(errors="replace").replace(str(dump), "DUMP") for text in (result.stdout, result.stderr))
        return tuple(re.sub(r"(error trace:).*", r"\1", text) for text in texts)

    @unittest.skipUnless(FULL, "crash is built for it, in ten minutes; make test-full")
    def test_crash_says_the_same_of_all_dumps(self):
        """Of a kern dump what it says of the raw copy."""
        if self.series.endswith(arm64.WIDE):
            self.skipTest("crash 9.0.2 can't walk page tables of 52 bits with pages of 4 KiB: invalid kernel virtual address")
        full = self.crash(self.raw)
        for expected in ("PANIC:", "COMMAND", "sysrq_handle_crash at", "TOTAL MEM", "TIMER", "RUNQUEUE", "NET_DEVICE"):
            self.assertIn(expected, full[0])
        self.assertGreater(len(full[0].splitlines()), 1_200)
        self.assertEqual(self.crash(self.kern), full)
        if self.series == WITHOUT_NODES:
            # All free pages are kept there; without them too.
            trusting = self.work / "trusting.elf"
            mcore("save", "-q", "--trust", "metadata", "--format", "elf", self.raw, trusting)
            self.assertLess(trusting.stat().st_size, self.kern.stat().st_size)
            self.assertEqual(self.crash(trusting), full)
            trusting.unlink()

    # MARK: makedumpfile

    def test_classes_are_makedumpfiles_page_by_page(self):
        if self.series != WITHOUT_NODES or not FULL:
            self.skipTest("makedumpfile 1.7.6 refuses kernels for addresses of 52 bits; make test-full")
        root = arm64.root()
        out = self.work / "theirs.kdump"
        tool = ["qemu-aarch64-static", "-L", root, root / "usr/bin/makedumpfile"]
        report = command(*tool, "--message-level", "31", "-c", "-d", "30", self.raw, out, timeout=600).stdout.decode()
        theirs = {name: int(re.search(rf"{text}\s*: 0x([0-9a-f]+)", report)[1], 16) for name, text in CLASSES.items()}
        # It has no second witness for free pages either.
        trusting = self.work / "trusting.elf"
        mcore("save", "-q", "--trust", "metadata", "--format", "elf", self.raw, trusting)
        pages = json.loads(mcore("info", "--json", trusting).stdout)["pages"]
        self.assertEqual({name: pages[name]["total"] for name in CLASSES}, theirs)
        kept = kept_pages(out)
        ours = bytearray(len(kept))
        for paddr, _, _, size, _ in Core(trusting).loads:
            ours[paddr >> 12 : (paddr + size) >> 12] = b"\1" * (size >> 12)
        self.assertEqual([pfn for pfn in range(len(kept)) if ours[pfn] != kept[pfn]], [])


class CaptureGuest(unittest.TestCase):
    """An arm64 machine panics, its crash kernel runs mcore-capture as /init, and the dump is whole by this machine's mcore."""

    programs = REPOSITORY / ".build/arm64-release"

    @classmethod
    def setUpClass(cls):
        run("make", "-C", REPOSITORY, "build-arm64", timeout=1800)

    @unittest.skipUnless(FULL, "make test-full")
    def test_a_dump_is_captured_and_whole(self):
        kernel = arm64.fetch_kernel("6.12")
        with tempfile.TemporaryDirectory(prefix="mcore-arm64-") as directory:
            work = pathlib.Path(directory)
            capture = arm64.capture_initramfs(kernel, self.programs / "mcore-capture", work / "capture.img")
            cmdline = arm64.CRASH_CMDLINE + " mcore.target=/dev/vda:/var/crash mcore.final=poweroff"
            image = system.make_disk(work / "disk.img", kernel, capture, crash_cmdline=cmdline)
            log = new_log("arm64-capture")
            with arm64.start(kernel, [image], log, reboot=False) as guest:
                guest.expect("MCORE-GUEST: panic now", 240, or_fail=system.FAILED)
                guest.wait_exit(300)
            disk.check(image)
            (name,) = disk.list_directory(image, "/var/crash")
            dump = disk.extract_tree(image, f"/var/crash/{name}", work)
            self.assertFalse(name.endswith(".incomplete"), guest.console.last_lines(40))
            mcore("verify", dump)
            facts = json.loads(mcore("info", "--json", dump).stdout)
            self.assertEqual(facts["status"], "complete")
            self.assertEqual(facts["findings"], [])
            self.assertIn(b"sysrq triggered crash", mcore("dmesg", dump).stdout)

    @unittest.skipUnless(FULL, "make test-full")
    def test_typed_into_a_rescue_shell_and_page_for_page_right(self):
        """The crash kernel ends in a shell. There mcore-capture is typed twice, for a kern dump and for one with every page, which
        is compared with a copy of /proc/vmcore of the same crash."""
        kernel = arm64.fetch_kernel("6.12")
        with tempfile.TemporaryDirectory(prefix="mcore-arm64-") as directory:
            work = pathlib.Path(directory)
            capture = arm64.capture_initramfs(kernel, self.programs / "mcore-capture", work / "capture.img", "--shell")
            image, raw = system.make_disk(work / "disk.img", kernel, capture, arm64.CRASH_CMDLINE), work / "raw.elf"
            run("truncate", "-s", "8G", raw)
            with arm64.start(kernel, [image, raw], new_log("arm64-rescue"), cpu=1, reboot=False) as guest:
                guest.expect("mcore-rescue# ", 300, or_fail=system.FAILED)
                words = ["target=/dev/vda:/var/crash", "level=all target=/dev/vda:/var/crash"]
                size = rescue.type_captures(guest, words, 300)
                guest.send("poweroff -f\n")
                guest.wait_exit(60)
            os.truncate(raw, size)
            disk.check(image)
            dumps = [disk.extract_tree(image, f"/var/crash/{name}", work) for name in disk.list_directory(image, "/var/crash")]
            levels = {}
            for dump in dumps:
                mcore("verify", "-q", dump)
                facts = json.loads((dump / "dump.json").read_text())
                self.assertEqual((facts["status"], facts["findings"]), ("complete", []))
                self.assertIn("sysrq triggered crash", facts["kernel"]["reason"])
                levels[facts["level"]] = dump
            self.assertEqual(sorted(levels), ["all", "kern"])
            source = Core(raw)
            for level, dump in levels.items():
                plain = work / f"{level}.elf"
                mcore("convert", "-q", "--format", "elf", dump, plain)
                pages = Core(plain)
                self.assertEqual(compare_memory(pages, source)[0], 0, level)
                # Every page of the source is there.
                if level == "all":
                    self.assertEqual(compare_memory(source, pages), (0, sum(load[2] for load in source.loads)))

    def test_a_machine_arms_itself(self):
        """mcore itself on arm64: it finds what the crash kernel needs on the running machine, kexec-tools load it, status says yes, and
        the dump of the crash that follows is there; mcore of arm64 says of it what this machine's says."""
        # Kernels with pages of 16 KiB have crc32c as a module, which ext4 needs.
        for series in ("6.12", "6.12-16k", "7.x") if FULL else ("6.12",):
            with self.subTest(series=series), tempfile.TemporaryDirectory(prefix="mcore-arm64-") as directory:
                self.check_armed(arm64.fetch_kernel(series), pathlib.Path(directory))

    @unittest.skipUnless(FULL, "make test-full")
    def test_a_machine_with_acpi_arms_itself(self):
        """Servers have UEFI and ACPI, and no device tree but the one that UEFI's part of the kernel makes for itself."""
        firmware = ["-bios", "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"]
        with tempfile.TemporaryDirectory(prefix="mcore-arm64-") as directory:
            console, log = self.check_armed(
                arm64.fetch_kernel("6.12"), pathlib.Path(directory), append=" acpi=force", devices=firmware
            )
        self.assertIn("ACPI: RSDP 0x", log)
        # The crash kernel has it from the same firmware.
        self.assertRegex(console.split("Kernel panic - not syncing: sysrq")[1], r"efi: .*ACPI 2\.0=0x")

    def check_armed(self, kernel: pathlib.Path, work: pathlib.Path, *, append="", **options) -> tuple:
        """What the console had, and the log of the kernel that crashed."""
        words = "--target /disk/var/crash --kernel /disk/boot/vmlinuz --base /disk/boot/base.img --append mcore.final=poweroff"
        image = work / "disk.img"
        initramfs = arm64.armed_disk(image, kernel, self.programs, work, {"/boot/arm": words + "\n"})
        log = new_log(f"arm64-armed-{kernel_release(kernel)}")
        append = "rdinit=/armed-init mcore.target=/disk/var/crash" + append
        with arm64.start(kernel, [image], log, role="none", initramfs=initramfs, append=append, reboot=False, **options) as guest:
            guest.expect("target /disk/var/crash as /dev/vda:/var/crash\n", 240, or_fail=system.FAILED)
            guest.expect("MCORE-GUEST: arm ended with status 0", 120, or_fail="arm ended with status [1-9]|error: .*\n")
            guest.expect("~ # ", 60)
            guest.send("mcore status --no-probe; echo status=$?\n")
            guest.expect("a crash now would be captured, to /dev/vda:/var/crash", 60, or_fail="status=[1-9]")
            guest.expect("status=0", 60)
            guest.send("sync; echo c >/proc/sysrq-trigger\n")
            guest.expect("dump saved: /dev/vda:/var/crash/", 300, or_fail="handing off|error: .*\n")
            guest.wait_exit(120)
        disk.check(image)
        (name,) = disk.list_directory(image, "/var/crash")
        dump = disk.extract_tree(image, f"/var/crash/{name}", work)
        mcore("verify", dump)
        self.assertEqual(json.loads((dump / "dump.json").read_text())["status"], "complete")
        for words in (["info", "--json"], ["report"], ["dmesg"]):
            theirs = command("qemu-aarch64-static", self.programs / "mcore", *words, dump, timeout=300).stdout
            self.assertEqual(theirs, mcore(*words, dump).stdout, words)
        return guest.console.text, theirs.decode()


def load_tests(loader, standard_tests, _):
    suite = unittest.TestSuite()
    suite.addTests(for_each(loader, SERIES, ARM64, "ARM64"))
    suite.addTests(loader.loadTestsFromTestCase(CaptureGuest))
    return suite

"""Dumps, those of level kern above all, judged by the tools that engineers open them with: crash, drgn, makedumpfile.

Which kernels: MCORE_TEST_CRASH, a list of series. Each needs the kernel's debug symbols (280 MB), and a root of Debian sid.
"""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from guest import dumps
from guest.paths import REPOSITORY, fetch_kernel

from .diskdump import kept_pages
from .elf import Core
from .test_dumps import command, mcore

IN_SID = REPOSITORY / "scripts/in-sid.sh"
SERIES = os.environ.get("MCORE_TEST_CRASH", "6.1").split()
COMMANDS = ["sys", "bt -a", "ps", "log", "kmem -i", "kmem -s", "mod", "files", "mount", "foreach bt", "dev", "net", "timer", "runq"]
COMPLAINTS = ("read error", "seek error", "page excluded", "invalid")
CLASSES = {
    "cache": "Non-private cache pages",
    "cache-private": "Private cache pages",
    "user": "User process data pages",
    "free": "Free pages",
    "hwpoison": "Hwpoison pages",
    "offline": "Offline pages",
}
# The page types that makedumpfile 1.7.8 takes the first tail page of for anonymous memory; include/linux/page-flags.h, 6.12.
PGTY_SLAB, PGTY_LARGE_KMALLOC = 0xF5, 0xF8

DRGN_TASKS = """
from drgn.helpers.linux.pid import for_each_task
for task in sorted((task.pid.value_(), task.comm.string_().decode()) for task in for_each_task(prog)):
    print(*task)
"""
DRGN_TYPES = """
from drgn.helpers.linux.mm import pfn_to_page
for pfn in open("{}"):
    print(pfn_to_page(prog, int(pfn)).page_type.value_() & 0xffffffff)
"""


class Judged:
    """The tests for one kernel; a class for each series is made below."""

    series: str

    @classmethod
    def setUpClass(cls):
        cls.vmlinux = fetch_kernel(cls.series, debug=True) / "vmlinux"
        cls.raw = dumps.raw_dump(cls.series)
        cls.directory = tempfile.TemporaryDirectory(prefix="mcore-oracle-")
        cls.work = pathlib.Path(cls.directory.name)
        cls.kern = cls.work / "kern.elf"
        mcore("save", "-q", "--format", "elf", cls.raw, cls.kern)
        cls.facts = json.loads(mcore("info", "--json", cls.kern).stdout)

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def in_sid(self, *words, timeout=300):
        tool = [IN_SID, "--timeout", timeout, "--bind", self.work, "--bind", self.raw.parent]
        return command(*tool, *words, timeout=timeout + 60, stdin=subprocess.DEVNULL)

    # MARK: crash

    def crash(self, dump) -> tuple:
        """What crash prints of a dump: (standard output, standard error)."""
        script = self.work / "commands"
        script.write_text("\n".join([*COMMANDS, "exit"]) + "\n")
        # crash 9.0.2 does not know the modules of 7.x, and does not start with them.
        options = ["--no_modules"] if self.series.startswith("7.") else []
        words = ["crash", *options, "-s", "-i", script, self.vmlinux, dump]
        # Debian 12's crash knows kernels up to 6.1.
        if self.series in ("5.10", "6.1"):
            result = command(*words, timeout=300, stdin=subprocess.DEVNULL)
        else:
            result = self.in_sid(*words)
        # The file's name is in what `sys` prints; addresses of crash's own code, which differ from run to run, in its complaints.
        texts = (text.decode(errors="replace").replace(str(dump), "DUMP") for text in (result.stdout, result.stderr))
        return tuple(re.sub(r"(error trace:).*", r"\1", text) for text in texts)

    def test_crash_says_the_same_of_all_dumps(self):
        """Of a kern dump, and of one with everything that was compressed and unpacked again, what it says of the raw copy."""
        packed, unpacked = self.work / "all.elf.gz", self.work / "all.elf"
        mcore("save", "-q", "--level", "all", self.raw, packed)
        mcore("convert", "-q", "--format", "elf", packed, unpacked)
        full, kern = self.crash(self.raw), self.crash(self.kern)
        self.assertGreater(len(full[0].splitlines()), 700)
        for expected in ("PANIC:", "COMMAND", "TIMER", "RUNQUEUE", "SOCK" if "SOCK" in full[0] else "NET_DEVICE"):
            self.assertIn(expected, full[0])
        self.assertEqual(kern, full)
        self.assertEqual(self.crash(unpacked), full)
        packed.unlink()
        unpacked.unlink()
        # What crash can't do with this kernel, it can't do with the full dump either.
        for complaint in COMPLAINTS:
            self.assertEqual(kern[1].count(complaint), full[1].count(complaint))

    # MARK: drgn

    def drgn(self, dump, program) -> list:
        script = self.work / "program.py"
        script.write_text(program)
        return self.in_sid("drgn", "-q", "-c", dump, "-s", self.vmlinux, script).stdout.decode().splitlines()

    def test_drgn_sees_the_same_tasks(self):
        full = self.drgn(self.raw, DRGN_TASKS)
        self.assertGreater(len(full), 50)
        self.assertIn("2 kthreadd", full)
        self.assertEqual(self.drgn(self.kern, DRGN_TASKS), full)

    # MARK: makedumpfile

    def test_classes_are_makedumpfiles_page_by_page(self):
        """makedumpfile 1.7.8 leaves the same pages out. Where it leaves out more, those pages are the kernel's."""
        out = self.work / "makedumpfile.kdump"
        # 30: all but zero pages, which are no class.
        report = self.in_sid("makedumpfile", "--message-level", "31", "-c", "-d", "30", self.raw, out).stdout.decode()
        theirs = {name: int(re.search(rf"{text}\s*: 0x([0-9a-f]+)", report)[1], 16) for name, text in CLASSES.items()}
        ours = {name: self.facts["pages"][name]["total"] for name in CLASSES}
        self.assertEqual({**ours, "user": 0}, {**theirs, "user": 0})

        kept = kept_pages(out)
        out.unlink()
        left_out_by_us, left_out_by_them = set(), set()
        held = bytearray(len(kept))
        for paddr, _, _, size, _ in Core(self.kern).loads:
            held[paddr >> 12 : (paddr + size + 4095) >> 12] = b"\1" * (((paddr + size + 4095) >> 12) - (paddr >> 12))
        for paddr, _, _, size, _ in Core(self.raw).loads:
            for pfn in range(paddr >> 12, min((paddr + size) >> 12, len(kept))):
                if not held[pfn]:
                    left_out_by_us.add(pfn)
                if not kept[pfn]:
                    left_out_by_them.add(pfn)
        self.assertGreater(len(left_out_by_them), 100_000)
        self.assertEqual(left_out_by_us - left_out_by_them, set(), "we leave out nothing more")
        more = left_out_by_them - left_out_by_us
        wrong = self.tails_of_kernel_memory(more) if self.series.startswith("7.") else set()
        self.assertEqual(theirs["user"] - ours["user"], len(wrong))
        # The rest are pages that the log needs: pass 1 holds them whatever their class is.
        rest = more - wrong
        self.assertLessEqual(len(rest), 4, sorted(rest))
        self.assertLess(len(rest), len(left_out_by_them) / 1000)

    def tails_of_kernel_memory(self, pages) -> set:
        """Those of the pages that follow the head of a slab or of a large kmalloc: makedumpfile is wrong about them."""
        ordered = sorted(pages)
        listing = self.work / "pages"
        listing.write_text("".join(f"{pfn - 1}\n" for pfn in ordered))
        types = [int(line) >> 24 for line in self.drgn(self.raw, DRGN_TYPES.format(listing))]
        return {pfn for pfn, kind in zip(ordered, types, strict=True) if kind in (PGTY_SLAB, PGTY_LARGE_KMALLOC)}

    def test_a_cpu_without_registers_is_named(self):
        """5.10 has no way to its symbol table in VMCOREINFO: the check is not made, and says so."""
        copy, out = self.work / "one-cpu.elf", self.work / "one-cpu.elf.gz"
        command("cp", "--sparse=always", self.raw, copy)
        core = Core(copy)
        at = next(header[2] for header in core.headers if header[0] == 4)
        statuses = []
        for name, kind, descriptor in core.notes():
            if (name, kind) == ("CORE", 1):
                statuses.append(at)
            at += 12 + (len(name) + 4) // 4 * 4 + (len(descriptor) + 3) // 4 * 4
        self.assertEqual(len(statuses), 2)
        with open(copy, "r+b") as file:
            file.seek(statuses[1] + 8)
            file.write(b"\x99")  # another type of note
        known = self.series != "5.10"
        said = mcore("save", "-q", copy, out, status=3 if known else 0).stderr.decode()
        check = next(c for c in json.loads(mcore("info", "--json", out).stdout)["checks"] if c["name"] == "processors")
        self.assertEqual((check["tried"], check["failed"]), (2, 1) if known else (0, 0))
        self.assertEqual("the registers of CPU 1 are missing" in said, known)
        copy.unlink()
        out.unlink()

    def test_every_check_was_made_and_none_failed(self):
        checks = {check["name"]: check for check in self.facts["checks"]}
        about_no_damage = {"offline-pages", "run-memory", "program-headers"}
        if self.series == "5.10":
            about_no_damage.add("processors")
        for name, check in checks.items():
            if name not in about_no_damage:
                self.assertGreater(check["tried"], 0, name)
                self.assertEqual((check["failed"], check["kept_pages"]), (0, 0), name)
        self.assertEqual(self.facts["status"], "complete")


def load_tests(loader, _, __):
    suite = unittest.TestSuite()
    for series in SERIES:
        made = type(f"Kernel_{series.replace('.', '_')}", (Judged, unittest.TestCase), {"series": series})
        suite.addTests(loader.loadTestsFromTestCase(made))
    return suite

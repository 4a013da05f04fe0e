"""Dumps, those of level kern above all, judged by the tools that engineers open them with: crash, drgn, makedumpfile.

Which kernels: MCORE_TEST_CRASH, a list of series. Each needs the kernel's debug symbols (280 MB), and a root of Debian sid.
"""

import json
import os


from .elf import Core
from .oracles import CLASSES, Oracles
from .series import for_each
from .test_dumps import command, mcore

SERIES = os.environ.get("MCORE_TEST_CRASH", "6.1").split()
COMMANDS = [
    "sys",
    "bt -a",
    "ps",
    "log",
    "kmem -i",
    "kmem -s",
    "mod",
    "files",
    "mount",
    "foreach bt",
    "dev",
    "net",
    "timer",
    "runq",
]
COMPLAINTS = ("read error", "seek error", "page excluded", "invalid")

DRGN_TASKS = """
from drgn.helpers.linux.pid import for_each_task
for task in sorted((task.pid.value_(), task.comm.string_().decode()) for task in for_each_task(prog)):
    print(*task)
"""


class Judged(Oracles):
    """The tests for one kernel; a class for each series is made below."""

    def test_crash_says_the_same_of_all_dumps(self):
        """Of a kern dump, and of one with everything that was compressed and unpacked again, what it says of the raw copy."""
        packed, unpacked = self.work / "all.elf.gz", self.work / "all.elf"
        mcore("save", "-q", "--level", "all", self.raw, packed)
        mcore("convert", "-q", "--format", "elf", packed, unpacked)
        full, kern = self.crash(self.raw, COMMANDS), self.crash(self.kern, COMMANDS)
        self.assertGreater(len(full[0].splitlines()), 700)
        for expected in ("PANIC:", "COMMAND", "TIMER", "RUNQUEUE", "SOCK" if "SOCK" in full[0] else "NET_DEVICE"):
            self.assertIn(expected, full[0])
        self.assertEqual(kern, full)
        self.assertEqual(self.crash(unpacked, COMMANDS), full)
        packed.unlink()
        unpacked.unlink()
        # What crash can't do with this kernel, it can't do with the full dump either.
        for complaint in COMPLAINTS:
            self.assertEqual(kern[1].count(complaint), full[1].count(complaint))

    def test_drgn_sees_the_same_tasks(self):
        full = self.drgn(self.raw, DRGN_TASKS)
        self.assertGreater(len(full), 50)
        self.assertIn("2 kthreadd", full)
        self.assertEqual(self.drgn(self.kern, DRGN_TASKS), full)

    def test_classes_are_makedumpfiles_page_by_page(self):
        """makedumpfile 1.7.8 leaves the same pages out. Where it leaves out more, those pages are the kernel's."""
        theirs, kept = self.makedumpfile()
        ours = {name: self.facts["pages"][name]["total"] for name in CLASSES}
        self.assertEqual({**ours, "user": 0}, {**theirs, "user": 0})

        left_out_by_us, left_out_by_them = self.left_out(kept)
        self.assertGreater(len(left_out_by_them), 100_000)
        self.assertEqual(left_out_by_us - left_out_by_them, set(), "we leave out nothing more")
        more = left_out_by_them - left_out_by_us
        wrong = self.tails_of_kernel_memory(more) if self.series.startswith("7.") else set()
        self.assertEqual(theirs["user"] - ours["user"], len(wrong))
        # The rest are pages that the log needs: pass 1 holds them whatever their class is.
        rest = more - wrong
        self.assertLessEqual(len(rest), 4, sorted(rest))
        self.assertLess(len(rest), len(left_out_by_them) / 1000)

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
    return for_each(loader, SERIES, Judged, "Kernel")

"""Machines with every kind of memory (guest/variety.py): what each page is, by the guest's own word, makedumpfile and crash.

Which kernels: MCORE_TEST_VARIETY, a list of series; each needs the kernel's debug symbols, and a root of Debian sid.
"""

import os
import re

from guest.variety import BALLOON, GIGANTIC_PAGES, HUGE_PAGES, Variety, variety

from .elf import Core
from .mcore_note import absent_pages
from .oracles import CLASSES, Oracles
from .series import for_each

SERIES = os.environ.get("MCORE_TEST_VARIETY", "6.12").split()
COMMANDS = ["sys", "bt -a", "ps", "log", "kmem -n", "kmem -i", "kmem -V", "foreach bt", "swap"]

# Kinds of guest/memory-kinds.c, and the classes that their pages may have.
KINDS = {
    "anonymous": {"user"},
    "thp": {"user"},
    "thp-torn": {"user"},
    "thp-poisoned": {"user"},
    "locked": {"user"},
    "lazyfree": {"user"},
    "swapped": {"user", "cache"},
    "ksm": {"user"},
    "hugetlb": {"user"},
    "gigantic": {"user"},
    "shared": {"cache"},
    "tmpfs": {"cache"},
    "tmpfs-huge": {"cache"},
    "secret": {"cache"},
    "file": {"cache", "cache-private"},
    "file-dirty": {"cache", "cache-private"},
}
POISONED = {"poison-anonymous", "poison-soft", "poison-thp", "poison-hugetlb", "poison-file", "poison-free"}
# What a kernel can't do. Debian's cloud kernels before 6.12 have no CONFIG_MEMORY_FAILURE, memfd_secret(2) is there from 5.14 on
# and refused before 6.5, and a hugetlb page is not poisoned where variety.MORE frees its page map.
OLD = POISONED | {"secret"}
MISSING = {"5.10": OLD, "6.1": OLD, "6.12": set(), "7.2": {"poison-hugetlb"}, "7.x": {"poison-hugetlb"}}

# Where the page map of a huge page is freed while the kernel boots, in a way that makedumpfile 1.7.8 does not know.
MISREAD = {"7.2", "7.x"}


class EveryKind(Oracles):
    """The tests for one kernel; a class for each series is made below."""

    guest: Variety

    @classmethod
    def raw_dump(cls):
        cls.guest = variety(cls.series)
        return cls.guest.dump

    @classmethod
    def setUpClass(cls):
        # Pages that are broken hardware are findings.
        cls.status = 0 if "poison-anonymous" in MISSING[cls.series] else 3
        super().setUpClass()
        cls.absent = absent_pages(cls.kern)

    def test_the_machine_is_what_it_should_be(self):
        """Else the other tests would judge less than they seem to."""
        self.assertEqual(self.guest.missing, MISSING[self.series])
        for kind in [*KINDS, *POISONED, "hot-added", "offlined"]:
            if kind not in self.guest.missing:
                self.assertGreater(len(self.guest.pages(kind)), 0, kind)
        self.assertGreaterEqual(len(self.guest.pages("thp")), 12 * 512)
        self.assertEqual(len(self.guest.pages("hot-added")), 3 << 15)
        self.assertEqual(self.guest.zoneinfo.count("Node 1, zone"), self.guest.zoneinfo.count("Node 0, zone"))
        info = Core(self.raw).vmcoreinfo()
        self.assertEqual(int(info["NUMBER(pgtable_l5_enabled)"]), 0 if self.series in ("5.10", "6.1") else 1)
        self.assertGreater(int(info["KERNELOFFSET"], 16), 0, "KASLR")
        # Hot-added memory is in the dump: the crash kernel did not take it for its own.
        held = {pfn for load in Core(self.raw).loads for pfn in range(load[0] >> 12, (load[0] + load[3]) >> 12)}
        self.assertLessEqual(self.guest.pages("hot-added"), held)

    def test_every_page_has_the_class_that_the_guest_knows(self):
        """From /proc/self/pagemap of the process that used it. Pages that the log needs are in the dump whatever they are."""
        for kind, classes in KINDS.items():
            pages = self.guest.pages(kind)
            left_out = set().union(*(self.absent[name] for name in classes))
            # A torn huge page can be given back between the process' look and the panic: then nobody holds its pages.
            held = self.in_use(pages - left_out) if kind == "thp-torn" else pages - left_out
            self.assertEqual(held, set(), f"{kind}: {sorted(held)[:20]} of {len(pages)}")

    def test_huge_pages_are_all_there(self):
        """Those of the pool that nobody uses too: they are of the class of the others."""
        meminfo = self.guest.meminfo
        # Of those reserved one is poisoned, and those in the block that goes offline are given up.
        self.assertGreaterEqual(meminfo["HugePages_Total"], HUGE_PAGES // 2)
        self.assertLessEqual(meminfo["HugePages_Total"], HUGE_PAGES)
        self.assertGreater(meminfo["HugePages_Free"], 0)
        huge = meminfo["HugePages_Total"] * 512 + GIGANTIC_PAGES
        self.assertEqual(meminfo["Hugetlb"], huge * 4)
        # More than AnonPages, which counts what is mapped: the torn halves of huge pages, 1024; pages out of KSM's; some
        # that only the swap cache has. Less than 2 % of all.
        user = self.facts["pages"]["user"]["total"]
        self.assertGreaterEqual(user, huge + meminfo["AnonPages"] // 4)
        self.assertLess(user - huge - meminfo["AnonPages"] // 4, 4096)

    def test_memory_that_was_taken_offline_is_not_left_out_as_in_use(self):
        """Its page map says nothing any more, and the block is the kernel's: kept, by makedumpfile too. Pages that are
        broken stay so (which are, the next test says)."""
        for name in ("free", "cache", "cache-private", "user", "offline"):
            self.assertEqual(self.absent[name] & self.guest.pages("offlined"), set(), name)

    def test_exactly_the_poisoned_pages_are_hwpoison(self):
        poisoned = set().union(*(self.guest.pages(kind) for kind in POISONED))
        self.assertEqual(self.absent["hwpoison"], poisoned)
        self.assertEqual(self.guest.meminfo.get("HardwareCorrupted", 0), 4 * len(poisoned))
        for line in re.findall(r"Memory failure: 0x([0-9a-f]+): recovery action", self.guest.console):
            self.assertIn(int(line, 16), poisoned)

    def test_no_check_failed_and_findings_name_the_poisoned_pages_only(self):
        for check in self.facts["checks"]:
            # A balloon has single pages too: that is no damage.
            if check["name"] != "offline-pages":
                self.assertEqual((check["failed"], check["kept_pages"]), (0, 0), check["name"])
        named = [re.search(r"(\d+) pages are marked as broken hardware", finding) for finding in self.facts["findings"]]
        self.assertNotIn(None, named, self.facts["findings"])
        self.assertEqual(sum(int(match[1]) for match in named), len(self.absent["hwpoison"]))

    def test_classes_are_makedumpfiles_page_by_page(self):
        """But for four things: pages that are poisoned and anonymous are hwpoison for us and user memory for makedumpfile;
        single pages of the balloon are kept; and on 7.x it leaves out tails of pages that it keeps, and keeps a page of
        1 GiB whose page map it misreads."""
        theirs, kept = self.makedumpfile()
        ours = {name: self.facts["pages"][name]["total"] for name in CLASSES}
        left_out_by_us, left_out_by_them = self.left_out(kept)
        # On 6.1 makedumpfile counts 512 pages of each later section of the page of 1 GiB twice: fewer are left out than it says.
        twice = sum(theirs.values()) - len(left_out_by_them)
        self.assertIn(twice, (0, 7 * 512))
        misread = self.in_misread_sections(left_out_by_us | left_out_by_them)
        self.assertEqual(len(misread), GIGANTIC_PAGES if self.series in MISREAD else 0)
        # The guest's word, /proc/self/pagemap: this is the page of 1 GiB, and its process has it.
        self.assertLessEqual(misread, self.guest.pages("gigantic") & left_out_by_us)
        noise = misread & left_out_by_them
        left_out_by_us -= misread
        left_out_by_them -= misread
        self.assertEqual(left_out_by_us - left_out_by_them, set(), "we leave out nothing more")
        more = left_out_by_them - left_out_by_us
        single = next(check["kept_pages"] for check in self.facts["checks"] if check["name"] == "offline-pages")
        tails = self.tails_without_heads(more, left_out_by_them) if self.series.startswith("7.") else set()
        self.assertLess(len(more - tails), len(left_out_by_them) / 1000)
        anonymous = ours["hwpoison"] - theirs["hwpoison"]
        # Poisoned, and still with the `mapping` of their process: on 6.12 the anonymous one, the one in a transparent huge
        # page, and the one that was taken softly.
        self.assertIn(anonymous, range(4) if self.absent["hwpoison"] else [0])
        expected = {
            **theirs,
            "user": theirs["user"] - twice - anonymous - len(tails) + len(misread),
            "hwpoison": theirs["hwpoison"] + anonymous,
            "offline": theirs["offline"] - single,
        }
        # What makedumpfile leaves out of what it misreads is in any of its classes.
        over = {name: expected[name] - ours[name] for name in CLASSES}
        self.assertEqual(sum(over.values()), len(noise), over)
        self.assertGreaterEqual(min(over.values()), 0, over)
        # The balloon has all that was asked for, and no other page is offline.
        self.assertEqual(ours["offline"] + single, BALLOON // 4096)
        # The rest are pages that the log needs: pass 1 holds them whatever their class is.
        self.assertLessEqual(len(more) - single - len(tails), 4)

    def test_crash_says_the_same_of_the_kern_dump(self):
        full, kern = self.crash(self.raw, COMMANDS), self.crash(self.kern, COMMANDS)
        self.assertGreater(len(full[0].splitlines()), 700)
        for expected in ("PANIC:", "NODE", "HUGE", "[OFFLINE", "SWAP"):
            self.assertIn(expected, full[0])
        self.assertEqual(kern, full)


def load_tests(loader, _, __):
    return for_each(loader, SERIES, EveryKind, "Variety")

"""The tools that engineers open dumps with, crash, drgn and makedumpfile, run on a dump and its raw copy."""

import json
import pathlib
import re
import subprocess
import tempfile

from guest import dumps
from guest.paths import fetch_kernel

from . import crash_tool
from .crash_tool import IN_SID
from .diskdump import kept_pages
from .elf import Core
from .test_dumps import command, mcore

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
# SECTION_IS_VMEMMAP_PREINIT, include/linux/mmzone.h: the sixth flag beside the address of a section's page map, since 6.15.
# makedumpfile 1.7.8 clears five, and reads that page map 32 bytes too far.
VMEMMAP_PREINIT = 1 << 5
PAGES_PER_SECTION = 1 << 15
DRGN_TYPES = """
from drgn.helpers.linux.mm import pfn_to_page
for pfn in open("{}"):
    print(pfn_to_page(prog, int(pfn)).page_type.value_() & 0xffffffff)
"""
# A root of mem_section is a page of entries (SPARSEMEM_EXTREME).
DRGN_SECTION_FLAGS = f"""
from drgn import sizeof
per_root = 4096 // sizeof(prog.type("struct mem_section"))
for pfn in open("{{}}"):
    section = int(pfn) // {PAGES_PER_SECTION}
    print(prog["mem_section"][section // per_root][section % per_root].section_mem_map.value_() & 0xfff)
"""
# The head of each tail, -1 for a page that is none: include/linux/page-flags.h, 7.1; the word is a mask for the address.
DRGN_HEADS = """
from drgn import sizeof
from drgn.helpers.linux.mm import pfn_to_page
size = sizeof(prog.type("struct page"))
for pfn in open("{}"):
    page = pfn_to_page(prog, int(pfn))
    word, address = page.compound_info.value_(), page.value_()
    print(int(pfn) - (address - (address & (word - 1))) // size if word & 1 else -1)
"""
DRGN_REFERENCES = """
from drgn.helpers.linux.mm import pfn_to_page
for pfn in open("{}"):
    print(pfn_to_page(prog, int(pfn))._refcount.counter.value_())
"""


class Oracles:
    """Files of one kernel: its vmlinux, a raw dump, and the kern dump that mcore makes of it."""

    series: str
    # What `mcore save` ends with: 3 where it has findings.
    status = 0

    @classmethod
    def raw_dump(cls) -> pathlib.Path:
        """A byte-for-byte copy of /proc/vmcore of a guest that panicked."""
        return dumps.raw_dump(cls.series)

    @classmethod
    def setUpClass(cls):
        cls.vmlinux = fetch_kernel(cls.series, debug=True) / "vmlinux"
        cls.raw = cls.raw_dump()
        cls.directory = tempfile.TemporaryDirectory(prefix="mcore-oracle-")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.work = pathlib.Path(cls.directory.name)
        cls.kern = cls.work / "kern.elf"
        mcore("save", "-q", "--format", "elf", cls.raw, cls.kern, status=cls.status)
        cls.facts = json.loads(mcore("info", "--json", cls.kern).stdout)

    def in_sid(self, *words, timeout=300):
        tool = [IN_SID, "--timeout", timeout, "--bind", self.work, "--bind", self.raw.parent]
        return command(*tool, *words, timeout=timeout + 60, stdin=subprocess.DEVNULL)

    # MARK: crash

    def crash(self, dump, commands) -> tuple:
        """What crash prints of a dump: (standard output, standard error)."""
        script = self.work / "commands"
        script.write_text("\n".join([*commands, "exit"]) + "\n")
        result = command(
            *crash_tool.words(self.series, script, dump, [self.work, self.raw.parent]), timeout=360, stdin=subprocess.DEVNULL
        )
        # The file's name is in what `sys` prints; addresses of crash's own code, which differ from run to run, in its complaints.
        texts = (text.decode(errors="replace").replace(str(dump), "DUMP") for text in (result.stdout, result.stderr))
        return tuple(re.sub(r"(error trace:).*", r"\1", text) for text in texts)

    # MARK: drgn

    def drgn(self, dump, program) -> list:
        script = self.work / "program.py"
        script.write_text(program)
        return self.in_sid("drgn", "-q", "-c", dump, "-s", self.vmlinux, script).stdout.decode().splitlines()

    # MARK: makedumpfile

    def makedumpfile(self) -> tuple:
        """What makedumpfile leaves out of the raw dump: (pages by class, what it kept: a byte for each page frame)."""
        out = self.work / "makedumpfile.kdump"
        # 30: all but zero pages, which are no class.
        report = self.in_sid("makedumpfile", "--message-level", "31", "-c", "-d", "30", self.raw, out).stdout.decode()
        counts = {name: int(re.search(rf"{text}\s*: 0x([0-9a-f]+)", report)[1], 16) for name, text in CLASSES.items()}
        kept = kept_pages(out)
        out.unlink()
        return counts, kept

    def left_out(self, kept) -> tuple:
        """The page frames of the raw dump that the kern dump lacks, and those that makedumpfile did not keep."""
        ours, theirs = set(), set()
        held = bytearray(len(kept))
        for paddr, _, _, size, _ in Core(self.kern).loads:
            held[paddr >> 12 : (paddr + size + 4095) >> 12] = b"\1" * (((paddr + size + 4095) >> 12) - (paddr >> 12))
        for paddr, _, _, size, _ in Core(self.raw).loads:
            for pfn in range(paddr >> 12, min((paddr + size) >> 12, len(kept))):
                if not held[pfn]:
                    ours.add(pfn)
                if not kept[pfn]:
                    theirs.add(pfn)
        return ours, theirs

    def of_pages(self, pages, program) -> dict:
        """What a drgn program prints of each page frame."""
        ordered = sorted(pages)
        listing = self.work / "pages"
        listing.write_text("".join(f"{pfn}\n" for pfn in ordered))
        return dict(zip(ordered, map(int, self.drgn(self.raw, program.format(listing))), strict=True))

    def page_types(self, pages) -> dict:
        """The type byte (page_type >> 24, from 6.12 on) of each page frame."""
        return {pfn: word >> 24 for pfn, word in self.of_pages(pages, DRGN_TYPES).items()}

    def in_use(self, pages) -> set:
        """Those of the pages that somebody holds."""
        return {pfn for pfn, count in self.of_pages(pages, DRGN_REFERENCES).items() if count != 0} if pages else set()

    def in_misread_sections(self, pages) -> set:
        """Those of the pages that are in sections whose page map makedumpfile reads at a wrong place: what it says is noise."""
        flags = self.of_pages({pfn - pfn % PAGES_PER_SECTION for pfn in pages}, DRGN_SECTION_FLAGS)
        return {pfn for pfn in pages if flags[pfn - pfn % PAGES_PER_SECTION] & VMEMMAP_PREINIT}

    def tails_without_heads(self, pages, left_out) -> set:
        """Those of the pages that are tails, and their head is not left out: who leaves out these took a tail for a page of
        its own. makedumpfile 1.7.8 does not know tails since 7.1, where `compound_head` became `compound_info`."""
        heads = self.of_pages(pages, DRGN_HEADS)
        return {pfn for pfn, head in heads.items() if head >= 0 and head not in left_out}

    def tails_of_kernel_memory(self, pages) -> set:
        """Those of the pages that follow the head of a slab or of a large kmalloc: makedumpfile is wrong about them."""
        types = self.page_types({pfn - 1 for pfn in pages})
        return {pfn for pfn in pages if types[pfn - 1] in (PGTY_SLAB, PGTY_LARGE_KMALLOC)}

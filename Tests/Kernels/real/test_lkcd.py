"""Dumps of LKCD: what libkdumpfile's own generator writes is read as libkdumpfile reads it, and of a real kernel's memory in
LKCD's format, which crash opens, mcore makes what crash says the same of.

Which kernel: MCORE_TEST_LKCD, a series whose dumps Debian 12's crash reads. Judges: libkdumpfile, crash.
"""

import json
import os
import pathlib
import random
import re
import struct
import subprocess
import tempfile
import unittest

from guest.paths import REPOSITORY

from . import lkcd
from .elf import Core, compare_memory
from .oracles import Oracles
from .test_dumps import command, mcore

SERIES = os.environ.get("MCORE_TEST_LKCD", "5.10")
# Where the stacks of tasks that run begin crash learns from the notes of an ELF file, and of LKCD's dumps it guesses.
COMMANDS = ["sys", "ps", "log", "mod", "foreach IN bt"]
# Prints each page that libkdumpfile gives as a line: its frame and its content.
READER = """
import sys
import kdumpfile
dump = kdumpfile.kdumpfile(sys.argv[1])
for frame in map(int, sys.stdin):
    try:
        print(frame, dump.read(kdumpfile.KDUMP_MACHPHYSADDR, frame * 4096, 4096).hex())
    except kdumpfile.exceptions.NoDataException:
        print(frame, "absent")
"""


def frames_of(core: Core) -> set:
    return {pfn for paddr, _, _, size, _ in core.loads for pfn in range(paddr >> 12, (paddr + size) >> 12)}


class GeneratedTests(unittest.TestCase):
    """Files of libkdumpfile's tests/mklkcd, page by page beside libkdumpfile."""

    @classmethod
    def setUpClass(cls):
        cls.tools = pathlib.Path(command(REPOSITORY / "scripts/lkcd-tools.sh").stdout.decode().strip())
        directory = tempfile.TemporaryDirectory(prefix="mcore-lkcd-")
        cls.addClassCleanup(directory.cleanup)
        cls.work = pathlib.Path(directory.name)
        numbers = random.Random(7)
        kinds = (
            lambda: bytes(4096),
            lambda: numbers.randbytes(4096),
            lambda: numbers.randbytes(700) + bytes(1000) + b"\x07" * 2396,
            lambda: bytes(numbers.choice((0, 0, 1, 2)) for _ in range(4096)),
        )
        # With gaps, and out of order.
        frames = [frame for frame in range(600) if frame % 37 and not 200 <= frame < 290] + [1 << 20, (1 << 20) + 1]
        order = frames[300:] + frames[:300]
        order[50], order[60] = order[60], order[50]
        cls.pages = {frame: kinds[frame % 4]() for frame in order}

    def made(self, compression: int, is_ended: bool) -> pathlib.Path:
        data, dump = self.work / "data", self.work / "dump"
        # Of pages that it does not pack it says nothing, unless it is told to.
        kind = "" if compression else " raw"
        lines = [f"@{frame * 4096:#x}{kind}\n{page.hex(' ')}" for frame, page in self.pages.items()]
        data.write_text("\n".join(lines + (["@0 end"] if is_ended else [])) + "\n")
        words = {
            "arch_name": "x86_64",
            "page_shift": 12,
            "page_offset": "0xffff880000000000",
            "NR_CPUS": 8,
            "num_cpus": 1,
            "compression": compression,
            "DATA": data,
            "uts.release": "2.6.16-mcore",
            "panic_string": "Test panic string",
        }
        text = "".join(f"{key} = {value}\n" for key, value in words.items())
        command(self.tools / "mklkcd", dump, input=text.encode())
        return dump

    def by_libkdumpfile(self, dump, frames) -> dict:
        root = self.tools / "kdumpfile/usr/lib"
        environment = {"LD_LIBRARY_PATH": str(root / "x86_64-linux-gnu"), "PYTHONPATH": str(root / "python3/dist-packages")}
        listing = "".join(f"{frame}\n" for frame in frames)
        lines = command("/usr/bin/python3", "-c", READER, dump, input=listing.encode(), env=environment).stdout.decode()
        return {int(frame): text for frame, text in (line.split() for line in lines.splitlines())}

    def test_every_page_is_what_libkdumpfile_reads(self):
        for compression, name in ((0, "plain"), (1, "rle"), (2, "zlib")):
            for is_ended in (True, False):
                with self.subTest(name, is_ended=is_ended):
                    dump, plain = self.made(compression, is_ended), self.work / "plain.elf"
                    facts = json.loads(mcore("info", "--json", dump).stdout)
                    self.assertEqual(facts["format"], f"lkcd-{name}")
                    self.assertEqual(facts["kernel"]["release"], "2.6.16-mcore")
                    self.assertEqual(facts["kernel"]["reason"], "Test panic string")
                    self.assertEqual(facts["status"], "findings" if is_ended else "cut")
                    self.assertEqual(facts["pages"]["unclassified"]["kept"], len(self.pages))
                    mcore("verify", "-q", dump, status=3)
                    mcore("convert", "-q", "--format", "elf", dump, plain, status=3)
                    core = Core(plain)
                    # Without the end libkdumpfile says of no page that it is absent.
                    asked = sorted(self.pages) + ([37, 200, 289, 5000] if is_ended else [])
                    theirs = self.by_libkdumpfile(dump, asked)
                    ours = {frame: "absent" for frame in asked}
                    for paddr, offset, size, _, _ in core.loads:
                        for start in range(0, size, 4096):
                            ours[(paddr + start) >> 12] = core.bytes_at(offset + start, 4096).hex()
                    self.assertEqual(ours, theirs)
                    self.assertEqual({frame: page.hex() for frame, page in self.pages.items()}, {f: ours[f] for f in self.pages})
                    plain.unlink()


class CrashTests(Oracles, unittest.TestCase):
    """A real kernel's dump of level kern, in LKCD's format by a writer of its own."""

    series = SERIES

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.core = Core(cls.kern)
        info = cls.core.vmcoreinfo()
        # crash knows no VMCOREINFO in this format: it is told where the kernel lies.
        cls.place = [f"--kaslr=0x{info['KERNELOFFSET']}", "-m", f"phys_base={info['NUMBER(phys_base)']}"]
        cls.registers = [
            struct.unpack_from("<21Q", text, 112) for name, kind, text in cls.core.notes() if (name, kind) == ("CORE", 1)
        ]
        cls.release = info["OSRELEASE"]
        cls.time = int(info["CRASHTIME"])

    def pages(self):
        """All whole pages in two passes, each in the order of addresses, as LKCD writes what matters most first."""
        places = {}
        for paddr, offset, size, _, _ in self.core.loads:
            for start in range(-paddr % 4096, size - 4095, 4096):
                places.setdefault((paddr + start) >> 12, offset + start)
        for is_second in (False, True):
            for frame in sorted(places):
                if (frame >> 8) % 2 == is_second:
                    yield frame, self.core.bytes_at(places[frame], 4096)

    def crash_says(self, dump, *words) -> str:
        script = self.work / "commands"
        script.write_text("\n".join([*COMMANDS, "exit"]) + "\n")
        result = command(
            *("timeout", "-k", "5", "300", "crash", "-s", *words, "-i", script, self.vmlinux, dump),
            timeout=360,
            stdin=subprocess.DEVNULL,
        )
        text = result.stdout.decode(errors="replace").replace(str(dump), "DUMP")
        # crash says where it was told to look, and what it finds no VMCOREINFO for.
        kept = [line for line in text.splitlines() if not re.match(r"NOTE: |.*vmcoreinfo|\s*(PANIC|DUMPFILE):", line)]
        return "\n".join(line for line in kept if line.strip())

    def test_crash_says_the_same_of_the_dump_and_of_what_mcore_makes_of_it(self):
        for compression, name in ((lkcd.GZIP, "zlib"), (lkcd.RLE, "rle")):
            with self.subTest(name):
                dump, plain = self.work / "dump.lkcd", self.work / "plain.elf"
                plain.unlink(missing_ok=True)
                lkcd.write(dump, self.pages(), self.release, "Kernel panic - mcore", compression, self.time, self.registers)
                theirs = self.crash_says(dump, *self.place)
                self.assertIn("sysrq triggered crash", theirs)
                self.assertIn("swapper", theirs)
                self.assertGreater(theirs.count("__schedule"), 10)
                facts = json.loads(mcore("info", "--json", dump).stdout)
                self.assertEqual((facts["format"], facts["kernel"]["release"]), (f"lkcd-{name}", self.release))
                self.assertEqual(facts["kernel"]["cpus"], len(self.registers))
                mcore("convert", "-q", "--format", "elf", dump, plain, status=3)
                core = Core(plain)
                self.assertEqual(compare_memory(core, self.core)[0], 0)
                self.assertEqual(frames_of(core), {frame for frame, _ in self.pages()})
                self.assertEqual(self.crash_says(plain, *self.place), theirs)
                self.assertEqual(mcore("dmesg", dump).stdout, mcore("dmesg", self.kern).stdout)
                # Cut in the middle: what is there is read, what is not is said.
                with open(dump, "r+b") as file:
                    file.truncate(dump.stat().st_size // 2)
                facts = json.loads(mcore("info", "--json", dump).stdout)
                self.assertEqual(facts["status"], "cut")
                self.assertTrue(any("pages are missing" in finding for finding in facts["findings"]), facts["findings"])
                plain.unlink()
                mcore("convert", "-q", "--format", "elf", dump, plain, status=3)
                half = Core(plain)
                self.assertEqual(compare_memory(half, self.core)[0], 0)
                self.assertGreater(len(frames_of(half)), len(frames_of(core)) // 4)
                dump.unlink()
                plain.unlink()


if __name__ == "__main__":
    unittest.main()

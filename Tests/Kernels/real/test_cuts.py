"""Every prefix of a dump is the best dump of its size: cut anywhere, on a full disk, by a limit.

What runs where:

|                                              | make test               | make test-full               |
|----------------------------------------------|-------------------------|------------------------------|
| info, dmesg, verify at each place            | level kern              | levels kern and all          |
| places: elf.gz, and elf.zst and elf          | 100, 40 each            | 100, 40 each                 |
| convert, memory compared byte for byte       | each half of the last   | each three quarters of it    |
| crash, level kern                            | at the end of pass 2    | there, and half way to the end |
| crash, level all                             | no                      | the same                     |
| makedumpfile's files, cut by 0.1 %           | no                      | 6.1                          |
| limits, full disks                           | yes                     | yes                          |

Places are every power of two, and random ones that are the same in every run. Which kernels: MCORE_TEST_KERNELS; those in
MCORE_TEST_CRASH are opened with the crash utility too. MCORE_TEST_FULL=yes is what make test-full sets.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from guest import dumps

from . import cuts
from .elf import Core, compare_memory
from .test_dumps import BIN, MCORE, SERIES, command, mcore

CRASH = os.environ.get("MCORE_TEST_CRASH", "6.1").split()
FULL = os.environ.get("MCORE_TEST_FULL") == "yes"
LEVELS = ("kern", "all") if FULL else ("kern",)
# Converting and comparing costs most: only prefixes of at most this part of the one before are converted.
CONVERT_STEP = 3 / 4 if FULL else 1 / 2
# Nearly all of the time goes to other programs.
THREADS = 2


def run(*words, timeout=120):
    """What a command says and its status. Tells a trap (a signal) from an exit."""
    result = subprocess.run([str(word) for word in words], capture_output=True, timeout=timeout, check=False)
    if result.returncode < 0 or result.returncode > 3:
        raise AssertionError(f"{words}: status {result.returncode}\n{result.stderr.decode(errors='replace')[-2000:]}")
    return result


class CutDump:
    """One dump, in elf.gz and elf.zst, cut at many places. A class for each kernel and level is made below."""

    series: str
    level: str

    @classmethod
    def setUpClass(cls):
        cls.raw = dumps.raw_dump(cls.series)
        cls.directory = tempfile.TemporaryDirectory(prefix="mcore-cut-")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.work = pathlib.Path(cls.directory.name)
        cls.whole = cls.work / "whole.elf"
        mcore("save", "-q", "--level", cls.level, "--format", "elf", cls.raw, cls.whole)
        cls.core = Core(cls.whole)
        cls.log = mcore("dmesg", cls.raw).stdout
        cls.ends = cuts.pass_ends(cls.core)
        cls.headers = cls.core.headers[0][2] + cls.core.headers[0][5]

    def packed(self, form: str) -> pathlib.Path:
        path = self.work / f"whole.{form}"
        if not path.exists():
            mcore("save", "-q", "--level", self.level, "--format", form, self.raw, path)
        return path

    def test_cut_anywhere_in_elf_gz(self):
        path = self.packed("elf.gz")
        members = cuts.members(path)
        content = {end: uncompressed for end, uncompressed in members}

        def present(size: int) -> int:
            return max((content[end] for end in content if end <= size), default=0)

        self.check_prefixes(path, cuts.places(path.stat().st_size), present)

    def test_cut_anywhere_in_elf_zst(self):
        self.check_prefixes(self.packed("elf.zst"), cuts.places(self.packed("elf.zst").stat().st_size, 40), None)

    def test_cut_anywhere_in_elf(self):
        self.check_prefixes(self.whole, cuts.places(self.whole.stat().st_size, 40), lambda size: size)

    def check_prefixes(self, path, places, present):
        """`present`: how many bytes of content a prefix holds, by a reader that is not mcore's; nil: not known."""
        converted, last = set(), path.stat().st_size * 2
        for place in sorted(places, reverse=True):
            if place <= last * CONVERT_STEP:
                converted.add(place)
                last = place

        def check_some(number):
            """The places of one thread, on a file of its own that gets shorter and shorter."""
            cut, found = self.work / f"cut{number}", []
            shutil.copyfile(path, cut)
            for place in sorted(places, reverse=True)[number::THREADS]:
                os.truncate(cut, place)
                try:
                    there = present(place) if present else None
                    found.append((place, self.check_prefix(cut, path.stat().st_size, place, there, place in converted)))
                except Exception as error:  # pylint: disable=broad-except
                    found.append((place, error))
            cut.unlink()
            return found

        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            results = [result for found in pool.map(check_some, range(THREADS)) for result in found]
        for place, result in sorted(results, key=lambda entry: entry[0]):
            with self.subTest(file=path.name, place=place):
                if isinstance(result, Exception):
                    raise result
        self.assertEqual(len(results), len(places))
        self.assertGreater(sum(result is True for _, result in results), len(places) // 3)

    def check_prefix(self, cut, size, place, there, convert) -> bool:
        """One prefix, of which `there` bytes of content are present. Whether it is a dump."""
        info = run(MCORE, "info", "--json", cut)
        log = run(MCORE, "dmesg", cut)
        verified = run(MCORE, "verify", "-q", cut)
        if info.returncode == 1:
            # Only a prefix without the whole header is no dump.
            self.assertTrue(there is None or there < self.headers, f"{there} of {self.headers} bytes of header")
            self.assertLess(place, size / 50)
            self.assertEqual((log.returncode, verified.returncode), (1, 1))
            return False
        facts = json.loads(info.stdout)
        # Without its notes, of which the first blocks hold the beginning, it says that they are missing.
        if "passes" not in facts and there is not None:
            self.assertLess(there, self.headers)
            return False
        self.assertEqual(info.returncode, 0)
        self.assertEqual(facts["status"], "cut")
        self.assertEqual(verified.returncode, 3, verified.stdout)
        self.assertIn(b"incomplete", verified.stdout)
        self.check_passes(facts, there)
        if place >= size / 50 or (there or 0) >= self.ends[0]:
            self.assertEqual((log.returncode, log.stdout), (0, self.log))
        if convert:
            self.check_converted(cut, facts)
        return True

    def check_passes(self, facts, there):
        """What it says of each pass adds up to what is there; all that is missing is named."""
        start = 0
        by_number = {entry["pass"]: entry for entry in facts["passes"]}
        for number, end in enumerate(self.ends, 1):
            if number in by_number:
                entry = by_number[number]
                if there is not None and number <= 2:
                    self.assertEqual(entry["present"], min(entry["bytes"], max(0, there - start)))
                self.assertEqual(entry["bytes"], end - start if number != 3 else entry["bytes"])
            start = end
        cut_off = sum(int(entry["end"], 16) - int(entry["start"], 16) for entry in facts["cut_off"])
        self.assertEqual(facts["memory_bytes"] + cut_off, sum(size for _, _, size in self.memory()))

    @classmethod
    def memory(cls) -> list:
        """(start, offset, size) of all memory of the whole dump, each byte once."""
        result, end = [], 0
        for paddr, offset, size, _, _ in sorted(cls.core.loads):
            start = max(end, paddr)
            if start < paddr + size:
                result.append((start, offset + start - paddr, paddr + size - start))
                end = paddr + size
        return result

    def check_converted(self, cut, facts):
        """A plain ELF whose every byte is right, and which has a gap where something is missing: nothing reads as zeros."""
        plain = cut.with_suffix(".elf")
        command(MCORE, "convert", "-q", "--format", "elf", cut, plain, status=3)
        converted = Core(plain)
        wrong, compared = compare_memory(converted, self.core)
        self.assertEqual(wrong, 0)
        for entry in facts["cut_off"]:
            start, end = int(entry["start"], 16), int(entry["end"], 16)
            for paddr, _, size, _, _ in converted.loads:
                self.assertFalse(paddr < end and start < paddr + size, f"{start:#x}-{end:#x} is in {paddr:#x}")
        self.assertGreaterEqual(compared, facts["memory_bytes"])
        plain.unlink()

    def test_from_the_end_of_pass_2_on_crash_works(self):
        if self.series not in CRASH:
            self.skipTest("MCORE_TEST_CRASH does not have this kernel")
        path = self.packed("elf.gz")
        size = path.stat().st_size
        end = cuts.compressed_size(path, self.ends[1])
        # Below it, crash does not start (docs/passes.md); above it, there is only more.
        places = [end, (end + size) // 2] if FULL else [end]
        opened = {None: self.whole}
        for place in places:
            cut, opened[place] = self.work / "crash.cut", self.work / f"crash{place}.elf"
            shutil.copyfile(path, cut)
            os.truncate(cut, place)
            command(MCORE, "convert", "-q", "--format", "elf", cut, opened[place], status=3 if place < size else 0)
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            found = dict(zip(opened, pool.map(lambda dump: cuts.crash(self.series, dump), opened.values())))
        self.assertTrue(all(found[None].values()), found[None])
        for place in places:
            for name in cuts.COMMANDS:
                self.assertEqual(found[place][name], found[None][name], f"{name} at {place} of {size} bytes")


@unittest.skipUnless(FULL, "make test-full compares with makedumpfile")
class BesideMakedumpfile(unittest.TestCase):
    """The same cut for makedumpfile's files: without the last 0.1 % neither the log nor crash works (docs/passes.md)."""

    series = "6.1"

    def test_what_is_left_of_each(self):
        raw = dumps.raw_dump(self.series)
        with tempfile.TemporaryDirectory(prefix="mcore-cuts-") as directory:
            work = pathlib.Path(directory)
            whole = cuts.crash(self.series, raw)
            self.assertTrue(all(whole.values()), whole)
            mine = work / "dump.elf.gz"
            mcore("save", "-q", "--level", "kern", raw, mine)
            self.assertEqual(self.row("mcore elf.gz", mine, whole), "mcore dmesg yes, crash: sys, bt -a, log, ps")
            for name, options in (("-c", ["-c"]), ("-E", ["-E"]), ("-c -F", ["-c", "-F"])):
                with self.subTest(makedumpfile=name):
                    theirs = cuts.makedumpfile(raw, work / f"kdump{name}", *options, "-d", "31")
                    self.assertEqual(self.row(name, theirs, whole), "--dump-dmesg no, crash: nothing")

    def row(self, name, path, whole) -> str:
        os.truncate(path, path.stat().st_size * 999 // 1000)
        return cuts.row(self.series, name, path, whole)


class Limits(unittest.TestCase):
    """A dump that has to end early ends after a whole block, and says what is missing."""

    def setUp(self):
        self.raw = dumps.raw_dump(SERIES[0])
        directory = tempfile.TemporaryDirectory(prefix="mcore-limit-")
        self.addCleanup(directory.cleanup)
        self.work = pathlib.Path(directory.name)

    def check_cut(self, directory, form, log=True):
        """A dump directory that was ended early, in all that it says."""
        dump = directory / f"vmcore.{form}"
        facts = json.loads(mcore("info", "--json", directory).stdout)
        self.assertEqual(facts["status"], "cut")
        self.assertGreater(len(facts["cut_off"]), 0)
        manifest = json.loads((directory / "dump.json").read_text())
        manifest.pop("files")
        manifest["findings"] = facts["findings"] = []
        # Made of the memory before the cut; what is left of a stack makes none.
        self.assertTrue(manifest.pop("signature")["hash"])
        self.assertIsNone(facts.pop("signature"))
        self.assertEqual(manifest.pop("types")["disagree"], facts.pop("types")["disagree"])
        self.assertEqual(manifest, facts)
        self.assertEqual(manifest["file_bytes"], dump.stat().st_size)
        self.assertEqual(run(MCORE, "verify", "-q", directory).returncode, 3)
        self.assertIn("pass 2 (core of the kernel)", (directory / "INCOMPLETE.txt").read_text())
        if form == "elf.gz":
            # It ends after a whole member, and has no end-of-file member that would say that it is whole.
            members = cuts.members(dump)
            self.assertEqual(members[-1][0], dump.stat().st_size)
            self.assertEqual(members[-1][1] % (16 * 61440), 0)
            command("gzip", "-t", dump)
        if log:
            self.assertEqual(mcore("dmesg", directory).stdout, mcore("dmesg", self.raw).stdout)

    def test_a_size_limit(self):
        for form in ("elf.gz", "elf.zst", "elf"):
            with self.subTest(format=form):
                target = self.work / form
                target.mkdir()
                result = mcore("save", "-q", "--level", "all", "--format", form, "--max-size", "20M", self.raw, target, status=3)
                self.assertIn(b"max-size", result.stderr)
                self.assertIn(b"cut short", result.stderr)
                (directory,) = target.iterdir()
                self.assertTrue(directory.name.endswith(".incomplete"))
                size = (directory / f"vmcore.{form}").stat().st_size
                self.assertLessEqual(size, 20 << 20)
                self.assertGreater(size, 18 << 20)
                self.check_cut(directory, form)

    def test_a_size_limit_that_is_large_enough_changes_nothing(self):
        limited, free = self.work / "limited", self.work / "free"
        mcore("save", "-q", "--max-size", "1T", "--max-time", "2h", self.raw, limited)
        mcore("save", "-q", self.raw, free)
        command("cmp", limited, free)
        exact = self.work / "exact"
        mcore("save", "-q", "--max-size", free.stat().st_size + 65536, self.raw, exact)
        command("cmp", exact, free)

    def test_a_size_limit_below_pass_1_is_a_failure(self):
        result = mcore("save", "-q", "--max-size", "1000", self.raw, self.work / "tiny", status=1)
        self.assertIn(b"max-size", result.stderr)

    def test_a_limit_is_not_a_reason_for_the_next_target(self):
        first, second = self.work / "first", self.work / "second"
        mcore("save", "-q", "--level", "all", "--max-size", "5M", self.raw, first, second, status=3)
        self.assertFalse(second.exists() or second.with_name("second.incomplete").exists())

    def test_a_time_limit(self):
        # Standard output is a pipe of 64 KiB that nobody empties before the time is over.
        words = [MCORE, "save", "-q", "--level", "all", "--max-time", "1s", self.raw, "-"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            start = process.stdout.read(1)
            with self.assertRaises(subprocess.TimeoutExpired):
                process.wait(timeout=1.5)
            (self.work / "out").write_bytes(start + process.stdout.read())
            text = process.stderr.read()
            self.assertEqual(process.wait(timeout=60), 3, text)
        self.assertIn(b"max-time", text)
        self.assertEqual(mcore("dmesg", self.work / "out").stdout, mcore("dmesg", self.raw).stdout)
        self.assertEqual(json.loads(mcore("info", "--json", self.work / "out").stdout)["status"], "cut")
        self.assertLess((self.work / "out").stat().st_size, 8 << 20)

    def ended_by_a_person(self, out, *words):
        """Runs `words`, which write `out`, and sends SIGINT when some of the file is there."""
        incomplete = out.with_name(out.name + ".incomplete")
        with subprocess.Popen([str(word) for word in words], stderr=subprocess.PIPE) as process:
            while process.poll() is None and not (incomplete.exists() and incomplete.stat().st_size > 8 << 20):
                time.sleep(0.002)
            process.send_signal(signal.SIGINT)
            # Standard error ends with the process: both within the time.
            _, text = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 128 + signal.SIGINT, text)
        self.assertIn(b"ended by SIGINT", text)
        self.assertIn(str(incomplete).encode(), text)
        self.assertEqual(json.loads(mcore("info", "--json", incomplete).stdout)["status"], "cut")
        self.assertEqual(mcore("dmesg", incomplete).stdout, mcore("dmesg", self.raw).stdout)
        self.assertIn(b"incomplete", mcore("verify", incomplete, status=3).stdout)
        return incomplete

    def test_whoever_ends_it_has_a_dump(self):
        out = self.work / "saved"
        self.ended_by_a_person(out, MCORE, "save", "--level", "all", "--threads", "1", self.raw, out)
        # As in a rescue shell.
        out = self.work / "by-hand"
        words = [f"source={self.raw}", f"target={out}", "level=all", "threads=1"]
        self.ended_by_a_person(out, BIN / "mcore-capture", *words)
        packed = self.work / "all.elf.gz"
        mcore("convert", "-q", "--format", "elf.gz", self.raw, packed)
        # Here every thread writes where its part belongs: none of what is there may be a hole that nobody filled.
        out = self.work / "converted"
        plain = self.ended_by_a_person(out, MCORE, "convert", "--threads", "3", "--format", "elf", packed, out)
        there = self.work / "there"
        mcore("convert", "-q", "--format", "elf", plain, there, status=3)
        wrong, compared = compare_memory(Core(there), Core(self.raw))
        self.assertEqual(wrong, 0)
        self.assertGreater(compared, 0)

    def test_wrong_limits_are_named(self):
        for option, value in (("--max-time", "5x"), ("--max-time", "0"), ("--max-size", "-1"), ("--max-size", "1.5G")):
            result = mcore("save", "-q", f"{option}={value}", self.raw, self.work / "none", status=2)
            self.assertIn(f"{option} {value}".encode(), result.stderr)
            self.assertIn(b"none, or a number", result.stderr)
        self.assertEqual(list(self.work.iterdir()), [])

    def test_a_full_disk(self):
        if os.geteuid() != 0:
            self.skipTest("mounting needs root")
        for kind in ("tmpfs", "ext4"):
            with self.subTest(kind=kind), mounted(kind, "24M", self.work) as target:
                result = mcore("save", "-q", "--level", "all", self.raw, target, status=3)
                self.assertIn(b"No space left", result.stderr)
                (directory,) = [path for path in target.iterdir() if path.name != "lost+found"]
                self.assertTrue(directory.name.endswith(".incomplete"))
                self.assertGreater((directory / "vmcore.elf.gz").stat().st_size, 16 << 20)
                self.check_cut(directory, "elf.gz")


@contextlib.contextmanager
def mounted(kind: str, size: str, work: pathlib.Path):
    """A small file system, and nothing left of it afterwards."""
    target = work / f"mnt-{kind}"
    target.mkdir()
    if kind == "tmpfs":
        command("mount", "-t", "tmpfs", "-o", f"size={size}", "none", target)
    else:
        image = work / "full.img"
        command("truncate", "-s", size, image)
        command("mkfs.ext4", "-q", image)
        command("mount", "-o", "loop", image, target)
    try:
        yield target
    finally:
        command("umount", target)


def load_tests(loader, _, __):
    suite = unittest.TestSuite(map(loader.loadTestsFromTestCase, (Limits, BesideMakedumpfile)))
    for series in SERIES:
        for level in LEVELS:
            name = f"Cut_{series.replace('.', '_')}_{level}"
            suite.addTests(
                loader.loadTestsFromTestCase(type(name, (CutDump, unittest.TestCase), {"series": series, "level": level}))
            )
    return suite

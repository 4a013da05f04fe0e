"""The formats of others, both ways, on dumps of real kernels: makedumpfile's files read by mcore, mcore's kdump-compressed files read
by makedumpfile, crash and drgn, and every page of each compared with the raw copy of /proc/vmcore.

Which kernels: MCORE_TEST_FORMATS, a list of series. Judges: Debian 12's makedumpfile (zlib, lzo), sid's (zstd), crash, drgn.
"""

import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import time
import unittest

from guest.paths import REPOSITORY

from .diskdump import Kdump, differing_pages, kept_pages
from .elf import Core, compare_memory
from .oracles import Oracles
from .series import for_each
from .test_dumps import MCORE, command, mcore

SERIES = os.environ.get("MCORE_TEST_FORMATS", "6.1").split()
COMMANDS = ["sys", "bt -a", "ps", "log", "kmem -i", "mod", "foreach bt"]
FORMATS = ("kdump-zlib", "kdump-zstd")
DRGN_TASKS = """
from drgn.helpers.linux.pid import for_each_task
for task in sorted((task.pid.value_(), task.comm.string_().decode()) for task in for_each_task(prog)):
    print(*task)
"""
# A sleeping task's stack is in memory alone; __schedule is its last frame but one.
DRGN_STACKS = """
for task in sorted(for_each_task(prog), key=lambda task: task.pid.value_()):
    if task.__state.value_() != 0:
        print(task.pid.value_(), len(prog.stack_trace(task)))
"""


class Formats(Oracles):
    """The tests for one kernel; a class for each series is made below."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.core = Core(cls.raw)
        cls.ours = {}
        for name in FORMATS:
            cls.ours[name] = cls.work / f"all.{name}"
            mcore("convert", "-q", "--format", name, cls.raw, cls.ours[name])

    def makedumpfile(self, name, *words) -> pathlib.Path:
        """A file that sid's makedumpfile wrote: it knows each of the kernels."""
        out = self.work / name
        out.unlink(missing_ok=True)
        self.in_sid("makedumpfile", *words, out)
        return out

    def assert_same_pages(self, kdump) -> int:
        """Every page is that of the raw copy; returns how many there are."""
        wrong, total = differing_pages(Kdump(kdump), self.core)
        self.assertEqual(wrong, 0, f"of {total} pages in {kdump}")
        return total

    def assert_reads_like_raw(self, dump, kept) -> None:
        """What mcore makes of a foreign file has exactly the pages in `kept` (frames), each as it is in the raw copy."""
        plain = self.work / "converted.elf"
        mcore("convert", "-q", "--format", "elf", dump, plain)
        core = Core(plain)
        wrong, compared = compare_memory(core, self.core)
        frames = {pfn for paddr, _, _, size, _ in core.loads for pfn in range(paddr >> 12, (paddr + size + 4095) >> 12)}
        plain.unlink()
        # Of a page that the raw copy has a part of, the rest is zeros in the file and nothing in the copy.
        partial = sum(4096 - (paddr + size) % 4096 for paddr, _, _, size, _ in self.core.loads if (paddr + size) % 4096)
        self.assertLessEqual(wrong, partial)
        self.assertEqual(frames, kept)
        self.assertGreater(compared, 10 << 20)

    # MARK: what others write

    def test_every_page_of_makedumpfiles_files(self):
        for name, words in {
            "zlib": ["-c", "-d", "31"],
            "lzo": ["-l", "-d", "17"],
            "zstd": ["-z", "-d", "31"],
            "plain": ["-d", "31"],
            "all": ["-c", "-d", "1"],
        }.items():
            with self.subTest(name):
                theirs = self.makedumpfile("theirs", *words, self.raw)
                kept = set(Kdump(theirs).kept)
                facts = json.loads(mcore("info", "--json", theirs).stdout)
                self.assertEqual(facts["format"], "kdump-zlib" if name == "all" else f"kdump-{name}")
                self.assertEqual(facts["pages"]["unclassified"]["kept"], len(kept))
                self.assertEqual(facts["pages"]["unclassified"]["left_out"], len(set(Kdump(theirs).existing) - kept))
                self.assertEqual(mcore("dmesg", theirs).stdout, mcore("dmesg", self.raw).stdout)
                self.assertIn(b"whole", mcore("verify", "-q", theirs).stdout)
                self.assert_reads_like_raw(theirs, kept)
                theirs.unlink()

    def test_what_an_elf_of_makedumpfile_left_out_stays_zero_or_left_out(self):
        """makedumpfile -E: its pages without data are zeros for every reader. What it was, nobody knows, whatever becomes of the file."""
        theirs = self.makedumpfile("theirs", "-E", "-d", "31", self.raw)
        facts = json.loads(mcore("info", "--json", theirs).stdout)
        bare = facts["zero_or_left_out_pages"]
        self.assertGreater(bare, 10_000)
        for name in ("elf", "elf.gz", "elf.zst", *FORMATS):
            with self.subTest(name):
                for verb in ("save", "convert"):
                    ours = self.work / "left-out"
                    words = [theirs, ours] if verb == "convert" else ["--level", "all", theirs, ours]
                    mcore(verb, "-q", "--format", name, *words, status=3)
                    found = json.loads(mcore("info", "--json", ours).stdout)
                    self.assertEqual(found["zero_or_left_out_pages"], bare)
                    kept = sum(entry["kept"] for entry in found["pages"].values())
                    self.assertEqual(kept, facts["pages"]["unclassified"]["kept"])
                    self.assertIn(b"zero, or left out by the tool", mcore("info", ours).stdout)
                    ours.unlink()
        # A dump of ours that was rewritten so is no dump of ours any more.
        plain, rewritten = self.work / "plain.elf", self.work / "rewritten"
        mcore("convert", "-q", "--format", "elf", self.raw, plain)
        self.makedumpfile("rewritten", "-E", "-d", "31", plain)
        told = mcore("info", rewritten).stdout
        self.assertIn(b"another tool has rewritten", told)
        self.assertNotIn(b"cut", told)
        # About as many as of the raw dump: makedumpfile writes short runs of what it leaves out as zeros (PFN_EXCLUDED, 256 pages),
        # and where a run begins depends on the segments.
        left = json.loads(mcore("info", "--json", rewritten).stdout)["zero_or_left_out_pages"]
        self.assertAlmostEqual(left, bare, delta=bare // 20)
        for path in (theirs, plain, rewritten):
            path.unlink()

    def test_flattened_files_from_a_file_and_through_a_pipe(self):
        """makedumpfile -F: as it is, and what -R makes of it."""
        flat, plain = self.work / "flat", self.work / "rearranged"
        with open(flat, "wb") as out:
            subprocess.run(
                ["makedumpfile", "-F", "-c", "-d", "1", self.raw], stdout=out, check=True, timeout=120, stderr=subprocess.DEVNULL
            )
        with open(flat, "rb") as file:
            command("makedumpfile", "-R", plain, stdin=file)
        self.assert_reads_like_raw(flat, set(Kdump(plain).kept))
        with open(flat, "rb") as file:
            piped = subprocess.run([MCORE, "dmesg", "-"], stdin=file, capture_output=True, check=True, timeout=120).stdout
        cat = subprocess.Popen(["cat", flat], stdout=subprocess.PIPE)
        through = subprocess.run([MCORE, "dmesg", "-"], stdin=cat.stdout, capture_output=True, check=True, timeout=120).stdout
        cat.wait(timeout=60)
        log = mcore("dmesg", self.raw).stdout
        self.assertEqual([piped, through], [log, log])
        flat.unlink()
        plain.unlink()

    def test_a_dump_that_comes_through_a_pipe_is_one(self):
        """Whatever a shell calls it: -, /dev/stdin, a FIFO."""
        packed = self.work / "piped.elf.gz"
        mcore("save", "-q", self.raw, packed, status=self.status)

        def piped(*words, status=0):
            with subprocess.Popen(["cat", packed], stdout=subprocess.PIPE) as cat:
                result = subprocess.run([MCORE, *words], stdin=cat.stdout, capture_output=True, timeout=120)
            self.assertEqual(result.returncode, status, result.stderr.decode())
            return result

        facts = json.loads(mcore("info", "--json", packed).stdout)
        log = mcore("dmesg", packed).stdout
        fifo = self.work / "fifo"
        for name in ("-", "/dev/stdin", "/dev/fd/0"):
            with self.subTest(name):
                self.assertEqual(json.loads(piped("info", "--json", name).stdout), facts)
                self.assertEqual(piped("dmesg", name).stdout, log)
                self.assertIn(b"whole", piped("verify", "-q", name, status=self.status).stdout)
                piped("repair", "-q", name, self.work / "repaired")
                self.assertEqual((self.work / "repaired").read_bytes(), packed.read_bytes())
                (self.work / "repaired").unlink()
                self.assertIn(b"name the index", piped("index", name, status=2).stderr)
                piped("index", "-o", self.work / "piped.gzi", name)
                (self.work / "piped.gzi").unlink()
        os.mkfifo(fifo)
        with subprocess.Popen(["cp", packed, fifo]) as copy:
            self.assertEqual(mcore("dmesg", fifo).stdout, log)
            copy.wait(timeout=60)
        for path in (packed, fifo):
            path.unlink()

    def test_a_part_of_a_split_set_names_itself(self):
        parts = [self.work / f"part{number}" for number in range(3)]
        command("makedumpfile", "--split", "-c", "-d", "0", self.raw, *parts)
        for part in parts:
            facts = json.loads(mcore("info", "--json", part).stdout)
            self.assertTrue(any("one of several" in finding for finding in facts["findings"]), facts["findings"])
        kept = sum(json.loads(mcore("info", "--json", part).stdout)["pages"]["unclassified"]["kept"] for part in parts)
        self.assertEqual(kept, len(Kdump(parts[0]).kept))
        # Blocks of 1 GiB: the first part has all pages, and the others' bitmaps are longer than this machine's memory.
        joined = json.loads(mcore("info", "--json", *parts[::-1]).stdout)
        self.assertEqual((joined["status"], joined["pages"]["unclassified"]["kept"]), ("complete", kept))
        for part in parts:
            part.unlink()

    def test_a_split_set_is_joined_and_a_missing_part_is_named(self):
        """Every page from the right file: what mcore joins is what makedumpfile --reassemble joins, page by page."""
        parts = [self.work / f"part{number}" for number in range(3)]
        command("makedumpfile", "--split", "--splitblock-size", "16", "-c", "-d", "31", self.raw, *parts)
        self.assertGreater(min(part.stat().st_size for part in parts), 2 << 20)
        whole, joined = self.work / "whole", self.work / "joined"
        command("makedumpfile", "--reassemble", *parts, whole)
        mcore("convert", "-q", "--format", "kdump-zlib", parts[2], parts[0], parts[1], joined)
        kept = set(Kdump(whole).kept)
        self.assertEqual(set(Kdump(joined).kept), kept)
        self.assert_same_pages(joined)
        joined.unlink()
        self.assertEqual(json.loads(mcore("info", "--json", *parts).stdout)["status"], "complete")
        self.assertEqual(mcore("dmesg", *parts).stdout, mcore("dmesg", self.raw).stdout)
        self.assertEqual(mcore("verify", "-q", *parts).returncode, 0)
        # Without the second one.
        result = mcore("convert", "-q", "--format", "elf", parts[0], parts[2], joined, status=3)
        start, end = (
            int(number, 16) for number in re.search(rb"from pfn (0x[0-9a-f]+) to (0x[0-9a-f]+)", result.stderr).groups()
        )
        core = Core(joined)
        frames = {pfn for paddr, _, _, size, _ in core.loads for pfn in range(paddr >> 12, (paddr + size + 4095) >> 12)}
        self.assertEqual(frames, {pfn for pfn in kept if not start <= pfn < end})
        self.assertGreater(len(kept) - len(frames), 1000)
        self.assertEqual(compare_memory(core, self.core)[0], 0)
        self.assertIn(b"are in two of the files", mcore("info", parts[0], parts[0], status=2).stderr)
        for path in (*parts, whole, joined):
            path.unlink()

    def test_what_gzip_and_zstd_compressed_as_a_whole_is_read(self):
        expected, plain = self.work / "expected.elf", self.work / "converted.elf"
        mcore("convert", "-q", "--format", "elf", self.kern, expected)
        for name, words in {"gz": ["gzip", "-1"], "zst": ["zstd", "-q", "-1"], "bgz": ["bgzip", "-@2"]}.items():
            packed = self.work / f"whole.{name}"
            with open(packed, "wb") as out:
                subprocess.run([*words, "-c", self.kern], stdout=out, check=True, timeout=120)
            mcore("convert", "-q", "--format", "elf", packed, plain)
            command("cmp", plain, expected)
            self.assertEqual(mcore("dmesg", packed).stdout, mcore("dmesg", self.kern).stdout)
            self.assertIn(b"whole", mcore("verify", "-q", packed).stdout)
            packed.unlink()
            plain.unlink()
        expected.unlink()
        flat = self.work / "flat.gz"
        command("sh", "-c", 'makedumpfile -F -c -d 31 "$0" 2>/dev/null | gzip -1 >"$1"', self.raw, flat)
        self.assertEqual(mcore("dmesg", flat).stdout, mcore("dmesg", self.raw).stdout)
        flat.unlink()

    def test_the_index_is_bgzips(self):
        packed = self.work / "indexed.elf.gz"
        mcore("convert", "-q", "--format", "elf.gz", self.kern, packed)
        mcore("index", packed)
        index = packed.with_name(packed.name + ".gzi")
        ours = index.read_bytes()
        size = os.path.getsize(self.kern)
        plain = subprocess.run(["gzip", "-dc", packed], capture_output=True, check=True, timeout=120).stdout
        for at in (0, 1, 61_439, 61_440, size // 2, len(plain) - 500):
            self.assertEqual(command("bgzip", "-b", at, "-s", 400, packed).stdout, plain[at : at + 400])
        index.unlink()
        command("bgzip", "-r", packed)
        self.assertEqual(ours, index.read_bytes())
        mcore("index", "-o", self.work / "elsewhere", packed)
        self.assertEqual((self.work / "elsewhere").read_bytes(), ours)
        # Nothing is written over, least of all the dump itself.
        for name in (packed, self.work / "elsewhere", "-"):
            mcore("index", "-o", name, packed, status=2)
        self.assertEqual(json.loads(mcore("info", "--json", packed).stdout)["status"], "complete")
        # Of a part there is none, and none is left.
        index.unlink()
        with open(packed, "r+b") as file:
            file.truncate(packed.stat().st_size - 28)
        mcore("index", packed, status=1)
        self.assertEqual([path.name for path in self.work.glob("indexed*")], ["indexed.elf.gz"])
        packed.unlink()

    # MARK: what mcore writes

    def test_every_page_of_ours_is_that_of_the_raw_copy(self):
        frames = {pfn for paddr, _, _, size, _ in self.core.loads for pfn in range(paddr >> 12, (paddr + size + 4095) >> 12)}
        for name, path in self.ours.items():
            with self.subTest(name):
                self.assertEqual(set(Kdump(path).kept), frames)
                self.assertEqual(self.assert_same_pages(path), len(frames))
                self.assertEqual(Kdump(path).status & 8, 0, "marked as incomplete")
                self.assertEqual(mcore("verify", "-q", path).returncode, 0)

    def test_there_and_back_through_every_format(self):
        """elf.gz, elf.zst and both kdump formats, one from the other: memory stays what it is."""
        last = self.raw
        for name in ("kdump-zlib", "elf.gz", "kdump-zstd", "elf.zst", "kdump-zlib", "elf"):
            out = self.work / f"chain.{name}"
            out.unlink(missing_ok=True)
            mcore("convert", "-q", "--format", name, last, out)
            if last != self.raw:
                last.unlink()
            last = out
        self.assertEqual(compare_memory(self.core, Core(last))[0], 0)
        last.unlink()

    def test_a_dump_is_filtered_again_and_says_what_it_has(self):
        """convert --level is save --level, from whatever format; of a smaller dump no more comes back, and it doesn't say so."""
        kern, again, out = self.work / "kern", self.work / "again", self.work / "out"
        mcore("save", "-q", "--no-report", self.raw, kern)
        facts = json.loads(mcore("info", "--json", kern).stdout)

        def said(dump):
            """What info says but for the file itself."""
            told = json.loads(mcore("info", "--json", dump).stdout)
            return {key: told[key] for key in ("level", "pages", "checks", "status", "findings")}

        wanted = said(kern)
        self.assertEqual((wanted["level"], wanted["status"]), ("kern", "complete"))
        self.assertGreater(facts["pages"]["free"]["left_out"], 10_000)
        for source, words in {
            self.raw: ["--level", "kern"],
            self.ours["kdump-zstd"]: ["-d", "31"],
            self.ours["kdump-zlib"]: ["--exclude", "free,offline,hwpoison,cache,cache-private,user"],
        }.items():
            with self.subTest(words=words):
                mcore("convert", "-q", "--format", "elf", *words, source, out)
                self.assertEqual(said(out), wanted)
                self.assertEqual(compare_memory(Core(out), self.core)[0], 0)
                out.unlink()
        # There and back with all that it says.
        mcore("convert", "-q", "--format", "kdump-zstd", kern, again)
        mcore("convert", "-q", "--format", "elf.gz", again, out)
        self.assertEqual(said(out), wanted)
        out.unlink()
        result = mcore("save", "--no-report", "--level", "used", kern, out)
        self.assertIn(b"has level kern: what that left out can't come back", result.stderr)
        self.assertEqual(said(out), wanted)
        for path in (again, out):
            path.unlink()
        mcore("convert", "-q", "--format", "elf", "--level", "header", kern, again)
        mcore("save", "-q", "--no-report", again, out)
        self.assertEqual(said(out)["level"], "header")
        self.assertEqual(said(out), said(again))
        self.assertLess(said(out)["pages"]["unclassified"]["kept"], 100)
        for path in (kern, again, out):
            path.unlink()

    def test_makedumpfile_filters_ours_like_the_raw_copy(self):
        """Its bitmaps are the same, page by page, and so is the log."""
        theirs = kept_pages(self.makedumpfile("theirs", "-c", "-d", "31", self.raw))
        ours = self.makedumpfile("ours", "-c", "-d", "31", self.ours["kdump-zlib"])
        self.assertEqual(kept_pages(ours), theirs)
        self.assert_same_pages(ours)
        logs = []
        for dump in (self.raw, *self.ours.values()):
            logs.append(self.makedumpfile("log", "--dump-dmesg", dump).read_bytes())
        self.assertGreater(len(logs[0]), 10_000)
        self.assertEqual(logs, [logs[0]] * 3)

    def test_crash_says_of_kdump_what_it_says_of_the_raw_copy(self):
        full = self.crash(self.raw, COMMANDS)
        self.assertGreater(len(full[0].splitlines()), 500)
        # Debian 12's crash has no zstd.
        readable = ["kdump-zlib"] if self.series in ("5.10", "6.1") else FORMATS
        for name in readable:
            kern = self.work / f"kern.{name}"
            mcore("save", "-q", "--format", name, self.raw, kern, status=self.status)
            for dump in (self.ours[name], kern):
                # Of a kdump-compressed file with a level crash says that it is partial.
                self.assertEqual(self.crash(dump, COMMANDS)[0].replace("  [PARTIAL DUMP]", ""), full[0], dump)
            kern.unlink()

    def test_drgn_sees_the_same_tasks_in_kdump(self):
        full = self.drgn(self.raw, DRGN_TASKS)
        self.assertGreater(len(full), 50)
        for path in self.ours.values():
            self.assertEqual(self.drgn(path, DRGN_TASKS), full)

    def test_drgn_opens_compressed_dumps_as_they_are(self):
        """By the package in python/: the tasks that drgn sees in the plain core, and the stacks of those that sleep."""
        environment = pathlib.Path(command(REPOSITORY / "scripts/drgn-venv.sh", timeout=600).stdout.decode().strip())
        script = self.work / "tasks.py"
        script.write_text(DRGN_TASKS + DRGN_STACKS)
        plain = command(environment / "bin/drgn", "-q", "-c", self.kern, "-s", self.vmlinux, script, timeout=300).stdout
        self.assertGreater(len(plain.splitlines()), 75)
        for name in ("elf.gz", "elf.zst", "elf"):
            dump = self.work / f"drgn.{name}"
            mcore("convert", "-q", "--format", name, self.kern, dump)
            found = command(environment / "bin/mcore-drgn", "-q", "-s", self.vmlinux, dump, script, timeout=300).stdout
            self.assertEqual(found, plain, name)
        # Of a dump that is cut the members are walked: the same log.
        cut = self.work / "drgn.cut"
        data = (self.work / "drgn.elf.gz").read_bytes()
        cut.write_bytes(data[: len(data) - 60])
        found = command(environment / "bin/mcore-drgn", "-q", "-s", self.vmlinux, cut, script, timeout=300).stdout
        self.assertEqual(found, plain)

    # MARK: the mount

    @unittest.skipUnless(pathlib.Path("/dev/fuse").exists(), "there is no /dev/fuse here")
    def test_a_strict_mount_makes_no_zeros_of_what_was_left_out(self):
        """makedumpfile -E leaves pages out by p_filesz < p_memsz, and crash makes zeros of them."""
        theirs, directory = self.makedumpfile("theirs.elf", "-E", "-d", "31", self.raw), self.work / "strict"
        directory.mkdir()
        paddr, offset, filesz, memsz = next(
            (paddr, offset, filesz, memsz)
            for paddr, offset, filesz, memsz in program_headers(theirs)
            if filesz < memsz and memsz - filesz >= 4096
        )
        page = (paddr + filesz + 4095) & ~4095
        read = [f"rd -p {page:#x} 4"]
        self.assertIn("0000000000000000 0000000000000000", self.crash(theirs, read)[0])
        mcore("mount", "--strict", theirs, directory)
        try:
            self.assertTrue(all(size == promised for _, _, size, promised in program_headers(directory / "vmcore")))
            out, complaints = self.crash(directory / "vmcore", read)
            self.assertNotIn("0000000000000000 0000000000000000", out)
            self.assertIn("read error", out + complaints)
        finally:
            command("fusermount3", "-u", directory)
        theirs.unlink()

    @unittest.skipUnless(pathlib.Path("/dev/fuse").exists(), "there is no /dev/fuse here")
    def test_a_mounted_dump_is_the_plain_core(self):
        packed, directory = self.work / "kern.elf.gz", self.work / "mnt"
        mcore("save", "-q", self.raw, packed, status=self.status)
        directory.mkdir()
        process = subprocess.Popen([MCORE, "mount", "--foreground", packed, directory])
        try:
            deadline = time.monotonic() + 60
            while not (directory / "vmcore").exists():
                self.assertIsNone(process.poll(), "mcore mount has ended")
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
            plain = subprocess.run(["gzip", "-dc", packed], capture_output=True, check=True, timeout=120).stdout
            self.assertEqual((directory / "vmcore").read_bytes(), plain)
            self.assertEqual((directory / "dmesg.txt").read_bytes(), mcore("dmesg", packed).stdout)
            facts = json.loads(mcore("info", "--json", packed).stdout)
            # These take names and types, which are made with the report.
            self.assertIsNotNone(facts.pop("signature"))
            self.assertEqual(facts.pop("types")["disagree"], [])
            self.assertEqual(json.loads((directory / "dump.json").read_text()), facts)
            # A reader that is killed while the report is made.
            reader = subprocess.Popen(["cat", directory / "report.txt"], stdout=subprocess.DEVNULL)
            reader.kill()
            reader.wait(timeout=60)
            self.assertEqual((directory / "report.txt").read_bytes(), mcore("report", packed).stdout)
            self.assertEqual(command("tail", "-c", "100", directory / "report.txt").stdout, mcore("report", packed).stdout[-100:])
            self.assertEqual(self.crash(directory / "vmcore", COMMANDS)[0], self.crash(self.kern, COMMANDS)[0])
            with self.assertRaises(OSError):
                (directory / "vmcore").write_bytes(b"")
            # A reader that is killed in the middle costs nothing.
            reader = subprocess.Popen(["cat", directory / "vmcore"], stdout=subprocess.PIPE)
            reader.stdout.read(1)
            reader.kill()
            reader.wait(timeout=60)
            reader.stdout.close()
            self.assertEqual((directory / "vmcore").read_bytes()[:4], b"\x7fELF")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(timeout=60), 0)
            self.assertFalse(os.path.ismount(directory))
            # In the background: the command returns, and fusermount3 ends it.
            mcore("mount", packed, directory)
            self.assertEqual((directory / "vmcore").read_bytes(), plain)
            self.assertIn(b"is mounted here already", mcore("mount", packed, directory, status=2).stderr)
            command("fusermount3", "-u", directory)
            self.assertFalse(os.path.ismount(directory))
            # What stands on standard input is there for the program in the background too.
            with open(packed, "rb") as file:
                mcore("mount", "-", directory, stdin=file)
            self.assertEqual((directory / "vmcore").read_bytes(), plain)
            # One whose program is killed, and what is said of it.
            for line in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                if line.read_bytes().endswith(b"mount\0-\0" + os.fsencode(directory) + b"\0"):
                    os.kill(int(line.parent.name), signal.SIGKILL)
            deadline = time.monotonic() + 60
            while is_served(directory):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
            self.assertIn(b"is gone", mcore("mount", packed, directory, status=2).stderr)
            command("fusermount3", "-u", directory)
        finally:
            subprocess.run(["umount", "-l", directory], capture_output=True)
            process.kill()
            process.wait(timeout=60)


def is_served(directory) -> bool:
    """Whether somebody answers for what is mounted there."""
    try:
        os.listdir(directory)
    except OSError:
        return False
    return True


def program_headers(path) -> list:
    """(p_paddr, p_offset, p_filesz, p_memsz) of each PT_LOAD."""
    with open(path, "rb") as file:
        header = file.read(64)
        (place,), (count,) = struct.unpack_from("<Q", header, 32), struct.unpack_from("<H", header, 56)
        file.seek(place)
        table = file.read(56 * count)
    entries = [struct.unpack_from("<IIQQQQQQ", table, 56 * index) for index in range(count)]
    return [(paddr, offset, size, promised) for kind, _, offset, _, paddr, size, promised, _ in entries if kind == 1]


def load_tests(loader, tests, pattern):
    return for_each(loader, SERIES, Formats, "Formats")

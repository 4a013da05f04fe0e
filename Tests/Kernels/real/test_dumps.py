"""mcore on dumps of real kernels, judged by tools that have nothing to do with it.

Which kernels: MCORE_TEST_KERNELS, a list of series; scripts/test.sh sets it.
"""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from guest import dumps
from guest.paths import REPOSITORY

from .elf import Core, compare_memory
from .series import for_each

SERIES = os.environ.get("MCORE_TEST_KERNELS", "6.1").split()
BIN = pathlib.Path(os.environ.get("MCORE_BIN", REPOSITORY / ".build/release"))
MCORE = BIN / "mcore"


def command(*words, timeout=300, status=0, **options):
    """Runs a command; fails unless it ends with `status`. Returns what it printed."""
    result = subprocess.run([str(word) for word in words], capture_output=True, timeout=timeout, **options)
    if result.returncode != status:
        text = (result.stdout + result.stderr).decode(errors="replace")[-3000:]
        raise AssertionError(f"{' '.join(map(str, words))}: status {result.returncode}, expected {status}\n{text}")
    return result


def mcore(*words, **options):
    return command(MCORE, *words, **options)


def makedumpfile_log(dump, log) -> None:
    """The log as Debian 12's makedumpfile (1.7.2) writes it. Newer ones add the caller of each line."""
    pathlib.Path(log).unlink(missing_ok=True)
    command("makedumpfile", "--dump-dmesg", dump, log, timeout=120)


class RealDump:
    """The tests for one kernel; a class for each series is made below. Files are written once, in setUpClass."""

    series: str
    # A crash kernel loaded by kexec_load sees the memory below 1 MiB too, where a segment ends within a page.
    options = {"kexec": "classic", "cpu": 1}

    @classmethod
    def setUpClass(cls):
        cls.raw = dumps.raw_dump(cls.series, **cls.options)
        cls.directory = tempfile.TemporaryDirectory(prefix="mcore-real-")
        cls.work = pathlib.Path(cls.directory.name)
        cls.gz = cls.work / "dump.elf.gz"
        cls.elf = cls.work / "dump.elf"
        mcore("save", "-q", "--level", "all", cls.raw, cls.gz)
        with open(cls.elf, "wb") as out:
            subprocess.run(["gzip", "-dc", cls.gz], check=True, stdout=out, timeout=120)

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def test_gzip_and_bgzip_accept_the_file(self):
        command("gzip", "-t", self.gz)
        plain = self.work / "bgzip.elf"
        with open(plain, "wb") as out:
            subprocess.run(["bgzip", "-d", "-c", "-@", "2", self.gz], check=True, stdout=out, timeout=120)
        command("cmp", plain, self.elf)
        plain.unlink()

    def test_bgzip_reads_at_an_offset(self):
        copy = self.work / "indexed.elf.gz"
        command("cp", self.gz, copy)
        command("bgzip", "-r", copy)
        at = 100_000_000
        piece = command("bgzip", "-b", at, "-s", 50_000, copy).stdout
        with open(self.elf, "rb") as file:
            file.seek(at)
            self.assertEqual(piece, file.read(50_000))
        copy.unlink()

    def test_every_byte_of_memory_is_in_the_dump_and_right(self):
        """Page for page against the raw copy of /proc/vmcore of the same crash, partial pages included."""
        raw, ours = Core(self.raw), Core(self.elf)
        total = sum(load[2] for load in raw.loads)
        self.assertEqual(compare_memory(raw, ours), (0, total))
        # And nothing that the kernel did not give.
        wrong, _ = compare_memory(ours, raw)
        self.assertEqual(wrong, 0)

    def test_pages_with_the_content_of_others_stand_in_it_once(self):
        """As many as `info` says, by the program headers alone; none at level kern."""
        core = Core(self.elf)
        places = {}
        for address, offset, size, _, _ in core.loads:
            for start in range(-address % 4096, size - 4095, 4096):
                places.setdefault(offset + start, set()).add(address + start)
        shared = {place: sorted(addresses) for place, addresses in places.items() if len(addresses) > 1}
        shared = {place: addresses for place, addresses in shared.items() if any(core.bytes_at(place, 4096))}
        self.assertEqual(self.facts(self.gz)["shared_pages"], sum(len(addresses) - 1 for addresses in shared.values()))
        self.assertGreater(len(shared), 1000, "the kernel's image in the page cache, files that were read twice")
        kern = self.work / "kern.elf"
        mcore("save", "-q", "--format", "elf", self.raw, kern)
        self.assertEqual(self.facts(kern)["shared_pages"], 0)
        kern.unlink()

    def facts(self, dump):
        return json.loads(mcore("info", "--json", dump).stdout)

    def test_notes_are_copied_verbatim(self):
        raw, ours = Core(self.raw).notes(), Core(self.elf).notes()
        self.assertEqual(ours[:-1], raw)
        self.assertEqual(ours[-1][0], "MCORE")

    def test_program_headers_are_as_readers_need_them(self):
        core = Core(self.elf)
        self.assertEqual([header[0] for header in core.headers], [4] + [1] * (len(core.headers) - 1))
        self.assertEqual({header[7] for header in core.headers}, {0}, "p_align")
        addresses = [load[0] for load in core.loads]
        self.assertEqual(addresses, sorted(addresses))
        notes_end = core.headers[0][2] + core.headers[0][5]
        self.assertLessEqual(notes_end, min(load[1] for load in core.loads))
        # The mapping of every piece is that of the source.
        raw = {load[4] - load[0] for load in Core(self.raw).loads}
        self.assertLessEqual({load[4] - load[0] for load in core.loads}, raw)

    def test_the_bytes_do_not_depend_on_the_threads(self):
        for threads in (1, 2, 5):
            other = self.work / "other.elf.gz"
            mcore("save", "-q", "--level", "all", "--threads", threads, self.raw, other)
            command("cmp", other, self.gz)
            other.unlink()

    def test_saving_as_elf_gives_the_same_memory(self):
        plain = self.work / "plain.elf"
        mcore("save", "-q", "--level", "all", "--format", "elf", self.raw, plain)
        total = sum(load[2] for load in Core(self.raw).loads)
        self.assertEqual(compare_memory(Core(self.raw), Core(plain)), (0, total))
        self.assertLess(plain.stat().st_blocks * 512, plain.stat().st_size, "zeros are holes")
        # Converting there and back gives the very file.
        back = self.work / "back.elf.gz"
        mcore("convert", "-q", "--format", "elf.gz", plain, back)
        command("cmp", back, self.gz)
        back.unlink()
        mcore("convert", "-q", "--format", "elf", self.gz, back)
        command("cmp", back, plain)
        plain.unlink()
        back.unlink()

    def test_zstd_accepts_elf_zst_and_it_holds_the_same_memory(self):
        packed, plain = self.work / "dump.elf.zst", self.work / "zst.elf"
        mcore("save", "-q", "--level", "all", "--format", "elf.zst", self.raw, packed)
        command("zstd", "-q", "-t", packed)
        command("zstd", "-q", "-d", packed, "-o", plain)
        self.assertEqual(compare_memory(Core(self.raw), Core(plain)), (0, sum(load[2] for load in Core(self.raw).loads)))
        plain.unlink()
        mcore("verify", "-q", packed)
        self.assertEqual(mcore("dmesg", packed).stdout, mcore("dmesg", self.gz).stdout)
        mcore("convert", "-q", "--format", "elf.gz", packed, plain)
        command("cmp", plain, self.gz)
        packed.unlink()
        plain.unlink()

    def test_the_log_is_the_one_that_makedumpfile_prints(self):
        expected = self.work / "makedumpfile.log"
        makedumpfile_log(self.raw, expected)
        log = mcore("dmesg", self.gz).stdout
        self.assertGreater(len(log.splitlines()), 200)
        self.assertEqual(log, expected.read_bytes())
        self.assertEqual(mcore("dmesg", self.raw).stdout, log)

    def test_the_log_is_shown_as_dmesg_shows_one(self):
        text = mcore("dmesg", self.gz).stdout.decode()
        records = json.loads(mcore("dmesg", "--json", self.gz).stdout)["dmesg"]
        self.assertGreater(len(records), 200)
        lines = []
        for record in records:
            prefix = f"[{record['time']:12.6f}] "
            lines.append(prefix + record["msg"].replace("\n", "\n" + " " * len(prefix)) + "\n")
        self.assertEqual("".join(lines), text)
        # Each record has one level, and is shown by it.
        by_level = {}
        for number, name in enumerate("emerg alert crit err warn notice info debug".split()):
            by_level[name] = json.loads(mcore("dmesg", "--json", "--level", name, self.gz).stdout)["dmesg"]
            self.assertEqual({record["pri"] & 7 for record in by_level[name]} - {number}, set())
        self.assertEqual(sum(map(len, by_level.values())), len(records))
        worse = json.loads(mcore("dmesg", "--json", "--level", "err+", self.gz).stdout)["dmesg"]
        less = json.loads(mcore("dmesg", "--json", "--level", "+warn", self.gz).stdout)["dmesg"]
        self.assertEqual(len(worse) + len(less), len(records))
        self.assertTrue(any("Kernel panic - not syncing" in record["msg"] for record in worse))
        # The clock on the wall: the last record is of the crash.
        crashed = json.loads(mcore("info", "--json", self.gz).stdout)["kernel"]["crash_time"]
        self.assertEqual(records[-1]["date"], crashed)
        self.assertIn(f"[{crashed}] ", mcore("dmesg", "--time", self.gz).stdout.decode().splitlines()[-1])
        callers = [record["caller"] for record in records if record["caller"]]
        shown = mcore("dmesg", "--caller", self.gz).stdout.decode()
        self.assertEqual(len([line for line in shown.splitlines() if "] [T" in line or "] [C" in line]), len(callers))
        self.assertEqual(mcore("dmesg", "--level", "loud", self.gz, status=2).stdout, b"")

    def test_level_header_is_small_and_has_the_log(self):
        header = self.work / "header.elf.gz"
        mcore("save", "-q", "--level", "header", self.raw, header)
        self.assertLess(header.stat().st_size, 1 << 20)
        self.assertEqual(mcore("dmesg", header).stdout, mcore("dmesg", self.gz).stdout)
        mcore("verify", "-q", header)
        self.assertEqual(json.loads(mcore("info", "--json", header).stdout)["level"], "header")
        header.unlink()

    def test_levels_kern_and_used_hold_what_they_say_and_nothing_wrong(self):
        sizes = []
        for level in ("kern", "used"):
            saved, plain = self.work / f"{level}.elf.gz", self.work / f"{level}.elf"
            mcore("save", "-q", "--level", level, self.raw, saved)
            mcore("verify", "-q", saved)
            facts = json.loads(mcore("info", "--json", saved).stdout)
            kept = {name for name, entry in facts["pages"].items() if entry["kept"]}
            self.assertEqual(kept, {"kern": {"kernel"}, "used": {"kernel", "user", "cache", "cache-private"}}[level])
            mcore("convert", "-q", "--format", "elf", saved, plain)
            raw, ours = Core(self.raw), Core(plain)
            self.assertEqual(compare_memory(ours, raw)[0], 0)
            absent = compare_memory(raw, ours)[0]
            self.assertGreater(absent, 0)
            self.assertEqual(mcore("dmesg", saved).stdout, mcore("dmesg", self.gz).stdout)
            sizes.append(saved.stat().st_size)
            saved.unlink()
            plain.unlink()
        self.assertEqual(sorted(sizes), sizes)

    def test_kern_is_the_default_and_the_numbers_are_makedumpfiles(self):
        outs = [self.work / name for name in ("default", "level", "number", "names")]
        names = "free,cache,cache-private,user,offline,hwpoison"
        for out, options in zip(outs, ([], ["--level", "kern"], ["-d", 31], ["--exclude", names])):
            mcore("save", "-q", *options, self.raw, out)
        for out in outs[1:]:
            command("cmp", outs[0], out)
            out.unlink()
        mcore("save", "-q", "-d", 31, "--level", "all", self.raw, outs[1], status=2)
        outs[0].unlink()

    def test_excluded_classes_are_left_out_and_no_others(self):
        saved = self.work / "exclude.elf.gz"
        mcore("save", "-q", "--exclude", "user,cache", self.raw, saved)
        facts = json.loads(mcore("info", "--json", saved).stdout)
        self.assertEqual(facts["level"], "exclude:cache,user")
        self.assertEqual({n for n, entry in facts["pages"].items() if entry["left_out"]}, {"cache", "user"})
        for name in ("cache", "user"):
            self.assertLess(facts["pages"][name]["kept"], 10, f"{name}: only pages that the log needs")
        saved.unlink()

    def test_trust_decides_what_is_believed(self):
        """Undamaged metadata: unchecked, the same pages go; not looked at, none does."""
        saved = self.work / "trust.elf.gz"
        left_out = {}
        for trust in ("checked", "metadata", "nothing"):
            mcore("save", "-q", "--trust", trust, self.raw, saved)
            facts = json.loads(mcore("info", "--json", saved).stdout)
            left_out[trust] = sum(entry["left_out"] for entry in facts["pages"].values())
            tried = {check["name"]: check["tried"] for check in facts["checks"]}
            self.assertEqual(tried["free-lists"] > 0, trust == "checked")
            saved.unlink()
        self.assertGreaterEqual(left_out["metadata"], left_out["checked"])
        self.assertLess(left_out["metadata"] - left_out["checked"], left_out["checked"] / 1000)
        self.assertEqual(left_out["nothing"], 0)

    def test_info_says_what_the_dump_is(self):
        facts = json.loads(mcore("info", "--json", self.gz).stdout)
        raw = Core(self.raw)
        self.assertEqual(facts["status"], "complete")
        self.assertEqual(facts["kernel"]["release"], raw.vmcoreinfo()["OSRELEASE"])
        self.assertEqual(facts["kernel"]["crash_time_seconds"], int(raw.vmcoreinfo()["CRASHTIME"]))
        self.assertEqual(facts["kernel"]["cpus"], 2)
        self.assertIn("sysrq", facts["kernel"]["reason"])
        self.assertEqual(facts["unreadable_pages"], 0)
        frames = set()
        for paddr, _, size, _, _ in raw.loads:
            frames.update(range(paddr >> 12, (paddr + size + 4095) >> 12))
        self.assertEqual(sum(entry["kept"] for entry in facts["pages"].values()), len(frames))

    def test_info_does_not_read_the_whole_file(self):
        trace = command("strace", "-f", "-e", "trace=pread64", MCORE, "info", self.gz).stderr.decode()
        read = sum(int(line.rsplit("= ", 1)[1]) for line in trace.splitlines() if "pread64(" in line and "= " in line)
        # Names, types and the stack of the panic, which the signature needs, take what they take in any dump of this kernel.
        self.assertLess(read, 32 << 20)
        self.assertLess(read, self.gz.stat().st_size / 2)

    def test_verify_accepts_it_and_finds_a_flipped_bit(self):
        mcore("verify", "-q", self.gz)
        data = bytearray(self.gz.read_bytes())
        for place in (len(data) // 3, len(data) // 2, len(data) - 200):
            data[place] ^= 16
            damaged = self.work / "damaged.elf.gz"
            damaged.write_bytes(data)
            result = subprocess.run([MCORE, "verify", "-q", damaged], capture_output=True, timeout=120)
            self.assertEqual(result.returncode, 1, result.stdout)
            data[place] ^= 16
        damaged.unlink()

    def test_a_file_that_exists_is_not_overwritten(self):
        before = self.gz.stat()
        result = mcore("save", "-q", "--level", "all", self.raw, self.gz, status=2)
        self.assertIn(b"exists already", result.stderr)
        self.assertEqual(self.gz.stat(), before)

    def test_standard_output_takes_a_dump(self):
        piped = self.work / "piped.elf.gz"
        with open(piped, "wb") as out:
            subprocess.run([MCORE, "save", "-q", "--level", "all", self.raw, "-"], stdout=out, check=True, timeout=120)
        command("cmp", piped, self.gz)
        piped.unlink()

    def test_a_cut_source_is_saved_as_far_as_it_goes_with_exit_3(self):
        cut = self.work / "cut.elf"
        size = self.raw.stat().st_size * 2 // 3
        with open(self.raw, "rb") as source, open(cut, "wb") as out:
            out.write(source.read(size))
        saved = self.work / "cut.elf.gz"
        result = mcore("save", "-q", "--level", "all", cut, saved, status=3)
        self.assertIn(b"cut", result.stderr)
        facts = json.loads(mcore("info", "--json", saved).stdout)
        self.assertEqual(facts["status"], "findings")
        self.assertGreater(sum(entry["left_out"] for entry in facts["pages"].values()), 0)
        wrong, _ = compare_memory_of(saved, self.raw, self.work)
        self.assertEqual(wrong, 0)

    def test_gdb_reads_memory_by_virtual_address(self):
        info = Core(self.raw).vmcoreinfo()
        address = int(info["SYMBOL(init_uts_ns)"], 16)
        script = f"x/2000xb {address:#x}"
        out = command("gdb", "-batch", "-nx", "-ex", script, "-c", self.elf, timeout=60).stdout.decode()
        values = bytes(int(word, 16) for line in out.splitlines() if line.startswith("0x") for word in line.split(":")[1].split())
        self.assertEqual(len(values), 2000)
        self.assertIn(info["OSRELEASE"].encode(), values)


def compare_memory_of(ours, raw, work):
    plain = work / "compare.elf"
    mcore("convert", "-q", "--format", "elf", ours, plain, status=3)
    result = compare_memory(Core(plain), Core(raw))
    plain.unlink()
    return result


class LiveCore(unittest.TestCase):
    """A core that QEMU wrote of a running machine (dump-guest-memory): one segment, no NT_PRSTATUS of the kernel's own."""

    def test_it_is_saved_byte_for_byte(self):
        raw = dumps.qemu_core(SERIES[0])
        with tempfile.TemporaryDirectory(prefix="mcore-live-") as directory:
            saved, plain = pathlib.Path(directory) / "saved.elf.gz", pathlib.Path(directory) / "plain.elf"
            mcore("save", "-q", "--level", "all", raw, saved)
            mcore("verify", "-q", saved)
            mcore("convert", "-q", "--format", "elf", saved, plain)
            source, ours = Core(raw), Core(plain)
            self.assertEqual(compare_memory(source, ours), (0, sum(load[2] for load in source.loads)))
            self.assertEqual(ours.notes()[:-1], source.notes())
            self.assertIn(b"Linux version", mcore("dmesg", saved).stdout)

    def test_firmware_that_the_kernel_never_had_is_no_damage(self):
        """QEMU's dump has the firmware below 4 GiB, of which the kernel has no page map, and does not list it as its RAM."""
        raw = dumps.qemu_core(SERIES[0])
        self.assertTrue(any(0xFF00_0000 <= load[0] < 1 << 32 for load in Core(raw).loads))
        with tempfile.TemporaryDirectory(prefix="mcore-live-") as directory:
            saved = pathlib.Path(directory) / "saved.elf.gz"
            self.assertEqual(mcore("save", "-q", raw, saved).stderr, b"")
            facts = json.loads(mcore("info", "--json", saved).stdout)
            self.assertEqual((facts["status"], facts["findings"]), ("complete", []))
            self.assertEqual([check["name"] for check in facts["checks"] if check["failed"]], [])
            self.assertGreater(facts["pages"]["free"]["left_out"], 10_000)


class Documents(unittest.TestCase):
    """What the programs can do is what their documents say."""

    def test_every_setting_stands_in_manual_and_docs(self):
        text = command(BIN / "mcore-capture", "--help").stdout.decode()
        keys = re.findall(r"^  ([a-z-]+) +\S", text.partition("settings:")[2].partition("The same words")[0], re.MULTILINE)
        self.assertGreater(len(keys), 8)
        manual = (REPOSITORY / "man/mcore-capture.8").read_text()
        docs = (REPOSITORY / "docs/capture.md").read_text()
        for key in keys:
            self.assertIn(f"{key}=", manual)
            self.assertIn(f"| `{key}` |", docs)

    def test_every_command_stands_in_manual_and_readme(self):
        text = mcore("--help").stdout.decode().partition("SUBCOMMANDS:")[2]
        names = re.findall(r"^  ([a-z]+) +\S", text, re.MULTILINE)
        self.assertGreater(len(names), 4)
        for name in names:
            self.assertIn(f".B {name}\n", (REPOSITORY / "man/mcore.1").read_text())
            self.assertIn(f"mcore {name} ", (REPOSITORY / "README.md").read_text())


def load_tests(loader, _, __):
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in (LiveCore, Documents))
    suite.addTests(for_each(loader, SERIES, RealDump, "Kernel"))
    return suite

"""What readers of a dump wait for: a session of crash on a mounted elf.gz beside the plain core, and what unpacks and checks.

    cd Tests/Kernels && python3 -m bench.readers [ROUNDS]            tables for docs/measurements/converting.md

The dump is the bench's own, at level kern and at level all; all files are in tmpfs but for the cold runs, in which they are on the
disk of the cache and the kernel's cache is dropped before each. Each round runs all commands in turn; figures are medians, and
ratios are medians of the rounds' ratios. Needs root for the cold runs.
"""

import os
import pathlib
import statistics
import sys
import tempfile
import time

from guest.paths import CACHE, fetch_kernel

from .commands import MCORE, prepare_memory, timed
from .dump import SERIES, bench_dump

COMMANDS = "bt -a\nps\nlog\nkmem -i\nforeach bt\nexit\n"


def drop_caches() -> None:
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")


class Table:
    """Rows of a name and its seconds, a column for each round; ratios against one of them."""

    def __init__(self, title: str, rounds: int):
        self.title, self.rounds, self.rows = title, rounds, {}

    def fill(self, ways: dict, before=lambda: None) -> None:
        for _ in range(self.rounds):
            for name, way in ways.items():
                before()
                self.rows.setdefault(name, []).append(way())

    def show(self, base: str) -> None:
        print(f"\n{self.title}\n\n| | s | times {base} |\n|---|---:|---:|")
        for name, seconds in self.rows.items():
            ratio = statistics.median(one / other for one, other in zip(seconds, self.rows[base]))
            print(f"| {name} | {statistics.median(seconds):.2f} | {ratio:.2f} |", flush=True)


class Readers:
    def __init__(self, work: pathlib.Path, place: pathlib.Path, level: str):
        """`place` is where the files lie."""
        self.work, self.level = work, level
        self.packed, self.plain, self.kdump = (place / f"{level}.{name}" for name in ("elf.gz", "elf", "kdump"))
        raw = bench_dump()
        if not self.packed.exists():
            timed(MCORE, "save", "-q", "--level", level, raw, self.packed)
            timed(MCORE, "convert", "-q", "--format", "elf", self.packed, self.plain)
            timed("makedumpfile", "--message-level", "0", "-c", "-d", "31" if level == "kern" else "0", raw, self.kdump)
        self.vmlinux = fetch_kernel(SERIES, debug=True) / "vmlinux"
        self.script = work / "commands"
        self.script.write_text(COMMANDS)

    def crash(self, core) -> float:
        return timed("crash", "-s", "-i", self.script, self.vmlinux, core)

    def mounted(self) -> float:
        """With the mounting and unmounting."""
        point = self.work / "mount"
        point.mkdir(exist_ok=True)
        start = time.monotonic()
        timed(MCORE, "mount", self.packed, point)
        try:
            self.crash(point / "vmcore")
        finally:
            timed("fusermount3", "-u", point)
        return time.monotonic() - start

    def sessions(self) -> dict:
        return {
            "crash on the plain core": lambda: self.crash(self.plain),
            "crash on the mounted elf.gz": self.mounted,
            "crash on makedumpfile's kdump-zlib": lambda: self.crash(self.kdump),
        }

    def unpackers(self) -> dict:
        out, threads = self.work / "out", str(os.cpu_count())

        def into_file(*command) -> float:
            with open(out, "wb") as file:
                seconds = timed(*command, out=file)
            out.unlink()
            return seconds

        def convert() -> float:
            seconds = timed(MCORE, "convert", "-q", "--format", "elf", self.packed, out)
            out.unlink()
            return seconds

        return {
            "bgzip -d": lambda: into_file("bgzip", "-d", "-c", f"-@{threads}", self.packed),
            "mcore convert --format elf": convert,
            "bgzip -d, thrown away": lambda: timed("bgzip", "-d", "-c", f"-@{threads}", self.packed),
            "mcore verify": lambda: timed(MCORE, "verify", "-q", self.packed),
        }


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="mcore-readers-", dir="/dev/shm") as directory:
        work = pathlib.Path(directory)
        for level in ("kern", "all"):
            readers = Readers(work, work, level)
            table = Table(f"A session of crash, level {level}, warm", rounds)
            table.fill(readers.sessions())
            table.show("crash on the plain core")
            table = Table(f"Unpacking and checking, level {level}, tmpfs", rounds)
            table.fill(readers.unpackers(), lambda size=readers.plain.stat().st_size: prepare_memory(work, size))
            table.show("bgzip -d")
        with tempfile.TemporaryDirectory(prefix="mcore-readers-", dir=CACHE) as place:
            readers = Readers(work, pathlib.Path(place), "kern")
            table = Table("A session of crash, level kern, cold", rounds)
            table.fill(readers.sessions(), drop_caches)
            table.show("crash on the plain core")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)

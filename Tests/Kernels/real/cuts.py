"""Dumps that are cut off: what of a prefix still works, for mcore's files and for those of makedumpfile.

    PYTHONPATH=Tests/Kernels python3 -m real.cuts 6.1 kern      prints a table (docs/measurements/cut-dumps.md has it)
"""

import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

from guest import dumps
from guest.paths import REPOSITORY

from . import crash_tool
from .crash_tool import IN_SID

BIN = pathlib.Path(os.environ.get("MCORE_BIN", REPOSITORY / ".build/release"))
MCORE = BIN / "mcore"
COMMANDS = ("sys", "bt -a", "log", "ps")


def places(size: int, count: int = 100) -> list:
    """Where a file of `size` bytes is cut: at every power of two, and at random places, the same in every run."""
    found = {1 << bit for bit in range(size.bit_length()) if 1 << bit < size}
    numbers = random.Random(size)
    while len(found) < count:
        found.add(numbers.randrange(1, size))
    return sorted(found)


def note(plain) -> dict:
    """The MCORE note of a plain ELF: record type → payload."""
    descriptor = next(descriptor for name, _, descriptor in plain.notes() if name == "MCORE")
    records, offset = {}, 32
    for _ in range(struct.unpack_from("<I", descriptor, 16)[0]):
        kind, _, length = struct.unpack_from("<IIQ", descriptor, offset)
        records[kind] = descriptor[offset + 16 : offset + 16 + length]
        offset += 16 + (length + 7) // 8 * 8
    return records


def pass_ends(plain) -> tuple:
    """The offsets of the uncompressed file at which the six passes end."""
    return struct.unpack("<6Q", note(plain)[4])


def members(path) -> list:
    """(compressed end, uncompressed end) of every BGZF member."""
    ends, compressed, content = [], 0, 0
    data = pathlib.Path(path).read_bytes()
    while compressed + 18 <= len(data):
        compressed += struct.unpack_from("<H", data, compressed + 16)[0] + 1
        content += struct.unpack_from("<I", data, compressed - 4)[0]
        ends.append((compressed, content))
    return ends


def compressed_size(path, content: int) -> int:
    """How long a prefix of an elf.gz has to be to hold the first `content` bytes of what it decompresses to."""
    return next(end for end, uncompressed in members(path) if uncompressed >= content)


def crash(series: str, dump: pathlib.Path, commands=COMMANDS, timeout: int = 600) -> dict:
    """What the crash utility prints for each command; None where it did not get there."""
    with tempfile.TemporaryDirectory(prefix="mcore-crash-") as directory:
        work = pathlib.Path(directory)
        outputs = [work / f"out{index}" for index in range(len(commands))]
        lines = [f"{name} > {output}" for name, output in zip(commands, outputs)]
        (work / "commands").write_text("\n".join([*lines, "exit"]) + "\n")
        words = crash_tool.words(series, work / "commands", dump, [work, dump.parent], timeout)
        subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        found = {}
        for name, output in zip(commands, outputs):
            text = output.read_text(errors="replace") if output.exists() else ""
            found[name] = text.replace(str(dump), "DUMP") or None
        return found


def makedumpfile(raw, out, *options) -> pathlib.Path:
    out = pathlib.Path(out)
    words = ["makedumpfile", *options, raw]
    if "-F" in options:
        with open(out, "wb") as file:
            subprocess.run([str(word) for word in words], stdout=file, stderr=subprocess.PIPE, check=True, timeout=300)
    else:
        subprocess.run([str(word) for word in [*words, out]], capture_output=True, check=True, timeout=300)
    return out


def study(series: str, level: str, percentages) -> None:
    raw = dumps.raw_dump(series)
    options = {"kern": "31", "all": "0"}[level]
    with tempfile.TemporaryDirectory(prefix="mcore-cuts-") as directory:
        work = pathlib.Path(directory)
        whole = crash(series, raw)
        files = {"mcore elf.gz": work / "dump.elf.gz"}
        subprocess.run([MCORE, "save", "-q", "--level", level, raw, files["mcore elf.gz"]], check=True, timeout=300)
        if crash_tool.is_old(series):
            files["makedumpfile -c"] = makedumpfile(raw, work / "kdump", "-c", "-d", options)
            files["makedumpfile -E"] = makedumpfile(raw, work / "kdump.elf", "-E", "-d", options)
            files["makedumpfile -c -F"] = makedumpfile(raw, work / "flat", "-c", "-F", "-d", options)
        else:
            bind = [IN_SID, "--bind", work]
            for name, option in (("-c", "-c"), ("-z", "-z")):
                target = work / f"kdump{name}"
                words = [*bind, "makedumpfile", option, "-d", options, raw, target]
                made = subprocess.run([str(word) for word in words], capture_output=True, check=False, timeout=300)
                if made.returncode == 0:
                    files[f"makedumpfile {name}"] = target
        for name, path in files.items():
            size = path.stat().st_size
            print(f"{name}: {size} bytes")
            for percent in percentages:
                cut = work / "cut"
                shutil.copyfile(path, cut)
                os.truncate(cut, int(size * percent / 100))
                print(f"  {percent:5} %  " + row(series, name, cut, whole), flush=True)


def row(series: str, name: str, cut: pathlib.Path, whole: dict) -> str:
    """Which commands give for a cut file what they give for the whole dump."""
    dump = cut
    if name.startswith("mcore"):
        dump = cut.with_name("cut.elf")
        dump.unlink(missing_ok=True)
        log = subprocess.run([MCORE, "dmesg", cut], capture_output=True, check=False, timeout=60)
        converted = subprocess.run(
            [MCORE, "convert", "-q", "--format", "elf", cut, dump], capture_output=True, check=False, timeout=120
        )
        first = f"mcore dmesg {'yes' if log.returncode == 0 else 'no'}, "
        if converted.returncode not in (0, 3):
            return first + "convert no"
    else:
        out = cut.with_name("log")
        out.unlink(missing_ok=True)
        words = ["makedumpfile", "--dump-dmesg", cut, out]
        if not crash_tool.is_old(series):
            words = [IN_SID, "--timeout", "60", "--bind", cut.parent, *words]
        log = subprocess.run([str(word) for word in words], capture_output=True, check=False, timeout=90)
        first = f"--dump-dmesg {'yes' if log.returncode == 0 else 'no'}, "
    found = crash(series, dump)
    same = [command for command in COMMANDS if found[command] == whole[command]]
    other = [command for command in COMMANDS if found[command] and found[command] != whole[command]]
    return first + f"crash: {', '.join(same) or 'nothing'}" + (f"; different: {', '.join(other)}" if other else "")


if __name__ == "__main__":
    study(sys.argv[1], sys.argv[2], [float(word) for word in sys.argv[3:]] or [1, 2, 5, 10, 25, 50, 75, 90, 99])

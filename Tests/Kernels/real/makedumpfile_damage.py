"""makedumpfile on damaged dumps, for docs/measurements/makedumpfile-damage.md: what does it lose, and does it say so?

    PYTHONPATH=Tests/Kernels python3 -m real.makedumpfile_damage --program .build/release/mcore-mutations [--count 50] [DUMP]

Each mutation of the campaign is written into a copy of the dump (in /dev/shm), makedumpfile runs on it with a time limit,
and the bytes are put back. Judged by its own result on the undamaged dump: a page that it keeps there and leaves out here
is lost. Levels: -d 31 without zero pages (30), since damage does not change what is zero, and -E, whose program headers say
page by page what is there. mcore's figures on the same mutations stand beside.
"""

import argparse
import collections
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

from guest import dumps

LIMIT = 60
LEVEL = "30"


def kept_pages(path: pathlib.Path) -> set:
    """Page frames of the PT_LOADs of an ELF64 file that have data in it."""
    with open(path, "rb") as file:
        head = file.read(64)
        offset = struct.unpack_from("<Q", head, 32)[0]
        size, count = struct.unpack_from("<HH", head, 54)
        if count == 0xFFFF:  # PN_XNUM: the number is in sh_info of the first section
            file.seek(struct.unpack_from("<Q", head, 40)[0] + 44)
            count = struct.unpack("<I", file.read(4))[0]
        file.seek(offset)
        table = file.read(size * count)
    pages = set()
    for index in range(count):
        kind, _, _, _, physical, in_file, _, _ = struct.unpack_from("<IIQQQQQQ", table, index * size)
        if kind == 1 and in_file:
            pages.update(range(physical >> 12, (physical + in_file + 4095) >> 12))
    return pages


def run(dump: pathlib.Path, out: pathlib.Path) -> tuple:
    """How it ended (ok, failed, hangs), the pages that are kept, and the end of what it said."""
    out.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            ["makedumpfile", "--message-level", "4", "-E", "-d", LEVEL, dump, out],
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "hangs", set(), f"stopped after {LIMIT} s"
    said = (done.stdout + done.stderr).decode(errors="replace").strip()
    if done.returncode != 0:
        return "failed", set(), f"status {done.returncode}: {said[-160:]!r}"
    return "ok", kept_pages(out), said


def drawn(program: pathlib.Path, count: int, source: pathlib.Path, *options) -> list:
    """Mutations of the campaign: for each what to write where."""
    command = [program, *options, "--patches", "--count", str(count), source]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def apply(file, writes: list) -> list:
    """Writes; returns what undoes it, in the order to do that."""
    undo = []
    for offset, digits in writes:
        new = bytes.fromhex(digits)
        file.seek(int(offset))
        undo.append((offset, file.read(len(new)).hex()))
        file.seek(int(offset))
        file.write(new)
    file.flush()
    return undo[::-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, required=True, help="mcore-mutations")
    parser.add_argument("--count", type=int, default=50, help="mutations")
    parser.add_argument("dump", nargs="?", type=pathlib.Path, help="default: the raw dump of 6.1")
    arguments = parser.parse_args()
    source = arguments.dump or dumps.raw_dump("6.1")
    mutations = drawn(arguments.program, arguments.count, source)
    counts = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory(prefix="mcore-damage-", dir="/dev/shm") as directory:
        copy, out = pathlib.Path(directory, "vmcore"), pathlib.Path(directory, "out")
        shutil.copyfile(source, copy)
        how, whole, said = run(copy, out)
        if how != "ok" or not whole:
            sys.exit(f"makedumpfile {how} on the undamaged dump: {said}")
        print(f"undamaged: {len(whole)} pages kept")
        for mutation in mutations:
            with open(copy, "r+b") as file:
                undo = apply(file, mutation["writes"])
                how, pages, said = run(copy, out)
                apply(file, undo)
            lost = len(whole - pages) if how == "ok" else 0
            row = counts[mutation["kind"]]
            row["mutations"] += 1
            row[how] += 1
            row["lossy"] += how == "ok" and lost > 0
            row["lost"] += lost
            row["our_violations"] += mutation["violations"] > 0
            row["our_lost"] += mutation["lost"]
            row["our_silent"] += mutation["silent"] > 0
            print(f"{mutation['text'][:110]}: {how}, {lost} pages lost" + (f"; {said[-120:]!r}" if how != "ok" else ""))
        with open(copy, "rb") as file, open(source, "rb") as other:
            while block := file.read(1 << 24):
                if block != other.read(1 << 24):
                    sys.exit("the damage was not undone")
    print(
        "\n| damage | mutations | makedumpfile writes no dump | hangs | success, pages lost | pages lost | mcore: no selection | pages lost | lost in silence |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for kind, row in counts.items():
        print(
            f"| {kind} | {row['mutations']} | {row['failed']} | {row['hangs']} | {row['lossy']} | {row['lost']} "
            f"| {row['our_violations']} | {row['our_lost']} | {row['our_silent']} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

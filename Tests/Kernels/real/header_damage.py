"""mcore, makedumpfile, crash and drgn on damaged files, for docs/measurements/damaged-files.md: who still opens what?

    PYTHONPATH=Tests/Kernels python3 -m real.header_damage --program .build/release/mcore-mutations [--count 72] [DUMP]

Each mutation of the file campaign (a bit or a word of a program header, the ELF header, the notes, a torn sector, a missing
end) is put into a copy of the raw dump in /dev/shm, every tool opens the copy with a time limit, and the damage is taken
back. A tool opens the file when its answer is the one that it gives on the undamaged file.
"""

import argparse
import collections
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from guest import dumps
from guest.paths import REPOSITORY, fetch_kernel

from . import crash_tool
from .makedumpfile_damage import apply, drawn

LIMIT = 180
SERIES = "6.1"
MCORE = REPOSITORY / ".build/release/mcore"
DRGN = 'print(prog["init_task"].comm.string_().decode(), prog["linux_banner"].string_()[:20])'


def answer(command, limit: int = LIMIT) -> str:
    """What a command prints, or how it failed."""
    try:
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, timeout=limit, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return "(hangs)"
    if done.returncode < 0:
        return f"(killed by signal {-done.returncode})"
    return done.stdout.decode(errors="replace") if done.returncode in (0, 3) else f"(status {done.returncode})"


class Tools:
    """Each takes the damaged file and says something that depends on memory, the log or the kernel's names."""

    def __init__(self, work: pathlib.Path, drgn: pathlib.Path):
        self.work = work
        self.drgn = drgn
        self.vmlinux = fetch_kernel(SERIES, debug=True) / "vmlinux"
        self.script = work / "crash.txt"
        self.script.write_text("sys\nbt\nquit\n")

    def mcore_dmesg(self, file):
        return answer([MCORE, "dmesg", file])

    def mcore_save(self, file):
        """The log of the dump that mcore makes of it."""
        out = self.work / "saved.elf"
        out.unlink(missing_ok=True)
        said = answer([MCORE, "save", "-q", "--format", "elf", file, out])
        return said if said.startswith("(") else answer([MCORE, "dmesg", out])

    def makedumpfile_dmesg(self, file):
        out = self.work / "log"
        out.unlink(missing_ok=True)
        said = answer(["makedumpfile", "--dump-dmesg", file, out])
        return said if said.startswith("(") else out.read_text(errors="replace")

    def makedumpfile_save(self, file):
        out = self.work / "filtered"
        out.unlink(missing_ok=True)
        said = answer(["makedumpfile", "--message-level", "0", "-l", "-d", "31", file, out])
        return said if said.startswith("(") else "written"

    def crash(self, file):
        return answer(crash_tool.words(SERIES, self.script, file, [], LIMIT), LIMIT + 10).replace(str(file), "FILE")

    def drgn_opens(self, file):
        return answer([self.drgn, "-q", "-c", file, "-s", self.vmlinux, "-e", DRGN])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, required=True, help="mcore-mutations")
    parser.add_argument("--count", type=int, default=72, help="mutations, of all kinds in turn")
    parser.add_argument("--drgn", type=pathlib.Path, default="drgn", help="drgn's program")
    parser.add_argument("dump", nargs="?", type=pathlib.Path, help="default: the raw dump of 6.1")
    arguments = parser.parse_args()
    source = arguments.dump or dumps.raw_dump(SERIES)
    mutations = drawn(arguments.program, arguments.count, source, "--files")
    counts = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory(prefix="mcore-headers-", dir="/dev/shm") as directory:
        work = pathlib.Path(directory)
        copy = work / "vmcore"
        shutil.copyfile(source, copy)
        tools = Tools(work, arguments.drgn)
        asked = [tools.mcore_dmesg, tools.mcore_save, tools.makedumpfile_dmesg, tools.makedumpfile_save, tools.crash]
        asked.append(tools.drgn_opens)
        sound = [tool(copy) for tool in asked]
        for tool, said in zip(asked, sound, strict=True):
            if said.startswith("(") or not said:
                sys.exit(f"{tool.__name__} on the undamaged dump: {said!r}")
        for mutation in mutations:
            with open(copy, "r+b") as file:
                undo = apply(file, mutation["writes"])
                if "length" in mutation:
                    file.truncate(mutation["length"])
            results = []
            row = counts[mutation["kind"]]
            row["mutations"] += 1
            for tool, right in zip(asked, sound, strict=True):
                said = tool(copy)
                same = said == right
                row[tool.__name__] += same
                results.append("same" if same else said if said.startswith("(") else "otherwise")
            print(f"{mutation['text'][:100]}: {', '.join(results)}", flush=True)
            if "length" in mutation:
                shutil.copyfile(source, copy)
            else:
                with open(copy, "r+b") as file:
                    apply(file, undo)
        os.sync()
    print("\n| damage | mutations | " + " | ".join(tool.__name__ for tool in asked) + " |")
    print("|---|" + "---:|" * (len(asked) + 1))
    for kind, row in counts.items():
        print(f"| {kind} | {row['mutations']} | " + " | ".join(str(row[tool.__name__]) for tool in asked) + " |")
    total = sum(counts.values(), collections.Counter())
    print(f"| all | {total['mutations']} | " + " | ".join(str(total[tool.__name__]) for tool in asked) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

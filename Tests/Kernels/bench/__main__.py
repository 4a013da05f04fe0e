"""Runs the bench and prints its table: mcore beside makedumpfile, and beside the bare codec, on one real dump.

Everything is warm: the dump is read once before, and its pages stay in the page cache. Every output goes to a file in
/dev/shm (tmpfs), which is removed after the run; the bare codec's is thrown away, and so is mcore's in the runs that are
compared with it. Runs are interleaved, figures are medians. What is slower than --patience runs once.

Before each run as much memory as its output may take is used and given back: a virtual machine may have to get memory
from its host first, which costs more than to fill it.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from guest.paths import REPOSITORY

from . import report
from .commands import prepare_memory
from .dump import bench_dump

IN_SID = REPOSITORY / "scripts/in-sid.sh"


@dataclasses.dataclass
class Contender:
    name: str
    command: list  # OUT stands for the file to write
    level: str
    threads: int
    runs: list = dataclasses.field(default_factory=list)
    failure: str = ""
    failed: int = 0

    def median(self, key: str) -> float:
        return statistics.median(run[key] for run in self.runs)


def descendants(pid: int) -> list:
    found = [pid]
    for parent in found:
        try:
            found += map(int, pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
        except OSError:
            pass
    return found


def peak_memory(pid: int) -> int:
    """Bytes: the largest peak of a process and its children. (ru_maxrss would count this Python, which they begin as.)"""
    peak = 0
    for process in descendants(pid):
        try:
            found = re.search(r"VmHWM:\s*(\d+) kB", pathlib.Path(f"/proc/{process}/status").read_text())
            peak = max(peak, int(found.group(1)) << 10 if found else 0)
        except OSError:
            pass
    return peak


def measured(command: list, limit: float) -> dict:
    """Runs a command to its end: wall and CPU seconds, peak memory, what it printed. Children count with it."""
    memory = 0
    looked = 0.0
    with tempfile.TemporaryFile() as said:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        status = usage = None
        while status is None:
            pid, code, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                status = os.waitstatus_to_exitcode(code)
            elif time.monotonic() - started > limit:
                os.killpg(process.pid, signal.SIGKILL)
                os.wait4(process.pid, 0)
                return {"failure": f"stopped after {limit:.0f} s"}
            else:
                time.sleep(0.005)
                # Not in the first moments, in which it is still what started it.
                if time.monotonic() - max(looked, started) > 0.1:
                    memory, looked = max(memory, peak_memory(process.pid)), time.monotonic()
        wall = time.monotonic() - started
        said.seek(0)
        text = said.read().decode(errors="replace")
    if status != 0:
        return {"failure": f"status {status}: {text.strip()[-200:]}"}
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": memory, "said": text}


def contenders(mcore, dump, threads: list) -> list:
    made = []
    levels = [("0", "all")]
    if "kern" in subprocess.run([mcore, "save", "--help"], capture_output=True, text=True, check=True).stdout:
        levels.append(("31", "kern"))
    for number, level in levels:
        for flag, place in [("-c", "Debian 12"), ("-l", "Debian 12"), ("-z", "sid")]:
            prefix = [IN_SID, "--timeout", "590"] if place == "sid" else []
            for count in [0, *(n for n in threads if n > 1)]:
                more = ["--num-threads", count] if count else []
                words = [*prefix, "makedumpfile", "--message-level", 0, flag, "-d", number, *more, dump, "OUT"]
                made.append(Contender(f"makedumpfile {flag}", words, number, count or 1))
        for name, more in [("elf.gz", []), ("elf.gz", ["--speed", "fast"]), ("elf.zst", []), ("elf.zst", ["--speed", "fast"])]:
            for count in threads:
                words = [mcore, "save", "-q", "--format", name, *more, "--level", level, "--threads", count, dump, "OUT"]
                made.append(Contender(" ".join(["mcore", name, *more[1:]]), words, number, count))
    return made


def run(contender: Contender, out: pathlib.Path, limit: float) -> None:
    out.unlink(missing_ok=True)
    prepare_memory(out.parent, (1600 if contender.level == "0" else 128) << 20)
    words = [str(out if word == "OUT" else word) for word in contender.command]
    result = measured(words, limit)
    if "failure" in result:
        contender.failure = result["failure"]
        contender.failed += 1
        out.unlink(missing_ok=True)
        return
    result["bytes"] = out.stat().st_size
    result["load"] = os.getloadavg()[0]
    contender.runs.append(result)
    out.unlink()
    print(f"  {contender.name} -d {contender.level}, {contender.threads} thr.: {result['wall']:.2f} s", file=sys.stderr)


def bare_codec(bench, dump, name: str, threads: int, rounds: int, limit: float) -> dict:
    """The codec alone on all of the dump but groups that are zeros: median wall and CPU seconds of encoding, as mcore-bench says them."""
    seconds = []
    for _ in range(rounds):
        result = measured([str(bench), name, str(threads), str(dump)], limit)
        if "failure" in result:
            return result
        found = re.search(r"bytes=(\d+) encoded=(\d+) wall=([\d.]+) cpu=([\d.]+)", result["said"])
        seconds.append([float(word) for word in found.groups()])
    return dict(zip(["content", "bytes", "wall", "cpu"], map(statistics.median, zip(*seconds))))


def thrown_away(mcore, dump, name: str, threads: int, rounds: int, limit: float) -> dict:
    """The whole pipeline, as the codec alone is measured: its output goes to /dev/null."""
    words = [mcore, "save", "-q", "--format", name, "--level", "all", "--threads", threads, dump, "-"]
    results = []
    for _ in range(rounds):
        result = measured(["sh", "-c", shlex.join(map(str, words)) + " >/dev/null"], limit)
        if "failure" in result:
            return result
        results.append(result)
    return {key: statistics.median(result[key] for result in results) for key in ["wall", "cpu"]}


def digest(bench, size: float, rounds: int, limit: float) -> float:
    """CPU seconds of SHA-256 over so many bytes."""
    results = [measured([str(bench), "digest", str(int(size))], limit) for _ in range(rounds)]
    return statistics.median(float(re.search(r"cpu=([\d.]+)", result["said"]).group(1)) for result in results)


def classification(bench, dump, work: pathlib.Path, threads: list, rounds: int, limit: float) -> list:
    """Nanoseconds for each page of the page map: mcore with all checks, a bare scan of the same map, makedumpfile's step."""
    pages, scans = 0, []
    for count in threads:
        said = measured([str(bench), "classify", str(count), str(dump)], limit)["said"]
        values = {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", said)}
        pages = values["pages"]
        scans.append((count, values["checked"], values["bare"]))
    steps = {}
    for place, prefix in [("Debian 12", []), ("sid", [str(IN_SID), "--timeout", "590"])]:
        found = []
        for _ in range(rounds):
            words = [*prefix, "makedumpfile", "--message-level", "16", "-l", "-d", "31", str(dump), str(work / "classes")]
            said = measured(words, limit).get("said", "")
            (work / "classes").unlink(missing_ok=True)
            found.append(sum(map(float, re.findall(r"STEP \[Excluding unnecessary pages\] : ([\d.]+)", said))))
        if all(found):
            steps[place] = statistics.median(found) * 1e9 / pages
    return report.class_rows(steps, scans)


def machine() -> list:
    cpu = re.search(r"Model name: *(.*)", subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout)
    versions = []
    for place, prefix in [("Debian 12", []), ("sid", [str(IN_SID)])]:
        said = subprocess.run([*prefix, "makedumpfile", "-v"], capture_output=True, text=True, timeout=900).stdout
        versions.append(f"makedumpfile of {place}: {said.splitlines()[0] if said else 'none'}")
    return [
        f"{os.cpu_count()} CPUs, {cpu.group(1) if cpu else 'unknown'}; load before the run {os.getloadavg()[0]:.1f}",
        *versions,
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m bench", description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, default=REPOSITORY / ".build/release", help="where mcore and mcore-bench are")
    parser.add_argument("--dump", type=pathlib.Path, help="another dump than the bench's own")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=float, default=60, help="seconds above which a contender runs once")
    parser.add_argument("--limit", type=float, default=400, help="seconds after which a run is stopped")
    parser.add_argument("--only", default="", help="regular expression: only contenders with such a name")
    parser.add_argument(
        "--json", type=pathlib.Path, metavar="FILE", help="write all rows of the tables to FILE too, for scripts/plot-bench.py"
    )
    arguments = parser.parse_args()
    mcore, bench = arguments.bin.resolve() / "mcore", arguments.bin.resolve() / "mcore-bench"
    dump = (arguments.dump or bench_dump()).resolve()
    threads = sorted({1, os.cpu_count() or 1})

    with tempfile.TemporaryDirectory(prefix="mcore-bench-", dir="/dev/shm") as directory:
        work = pathlib.Path(directory)
        conditions = [f"{dump.name}: {dump.stat().st_size} bytes, {dump.stat().st_blocks * 512} of them on disk", *machine()]
        with open(dump, "rb") as file:
            while file.read(16 << 20):
                pass
        done = [c for c in contenders(mcore, dump, threads) if re.search(arguments.only, c.name)]
        for number in range(arguments.rounds):
            print(f"round {number + 1}", file=sys.stderr)
            for contender in done:
                slow = contender.runs and contender.runs[0]["wall"] > arguments.patience
                # What never ended is not tried again; what ends now and then is.
                if not slow and (contender.runs or not contender.failure):
                    run(contender, work / "out", arguments.limit)

        codec, classes = {}, []
        if bench.exists():
            for name in ["elf.gz", "elf.zst"]:
                for count in threads:
                    bare = bare_codec(bench, dump, name, count, arguments.rounds, arguments.limit)
                    bare["whole"] = thrown_away(mcore, dump, name, count, arguments.rounds, arguments.limit)
                    bare["digest"] = digest(bench, bare.get("bytes", 0), arguments.rounds, arguments.limit)
                    codec[name, count] = bare
            classes = classification(bench, dump, work, threads, arguments.rounds, arguments.limit)
    rows, efficiency = report.contender_rows(done), report.efficiency_rows(codec)
    lines = [*conditions, "", *report.contender_table(rows)]
    if codec:
        lines += ["", *report.efficiency_table(efficiency), "", *report.class_table(classes)]
    print("\n".join(lines))
    if arguments.json:
        found = {"day": time.strftime("%Y-%m-%d", time.gmtime()), "conditions": conditions, "rows": rows}
        arguments.json.write_text(json.dumps({**found, "efficiency": efficiency, "classes": classes}, indent=1) + "\n")
    record = REPOSITORY / ".build/bench.json"
    if record.parent.exists():
        record.write_text(json.dumps([{**dataclasses.asdict(c), "command": [str(w) for w in c.command]} for c in done], indent=1))
    return 1 if any(c.failure for c in done) else 0


if __name__ == "__main__":
    if shutil.which("makedumpfile") is None:
        sys.exit("bench: makedumpfile is missing: run scripts/deps.sh test")
    sys.exit(main())

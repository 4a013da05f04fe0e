"""Time to service: from the panic to the reset, mcore's initramfs beside the one of Debian's kdump-tools with makedumpfile.

    cd Tests/Kernels && python3 -m bench.service            a table for docs/measurements/time-to-service.md
    cd Tests/Kernels && python3 -m bench.service memory     the smallest crashkernel= of each, in steps of 16 MiB

The same machine (1 GiB, 2 CPUs, one in the crash kernel), kernel (Debian's 6.1), disk and reservation; both keep what makedumpfile's
-d 31 keeps. The disk holds a root of Debian 12 (scripts/kdump-root.sh), since kdump-tools boots it to save: its initramfs mounts it,
systemd starts kdump-tools-dump.service from it, and that runs makedumpfile and restarts the machine. Needs root, once.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

from guest import disk, system
from guest.paths import CACHE, REPOSITORY, build_initramfs, fetch_kernel, kernel_release, run
from guest.qemu import GuestError

CAPTURE = pathlib.Path(os.environ.get("MCORE_BIN", REPOSITORY / ".build/release")) / "mcore-capture"
SERIES = "6.1"
CRASHKERNEL = 256  # MiB
STEP = 16
ROUNDS = 3
# /etc/default/kdump-tools of 1.8.1: KDUMP_CMDLINE_APPEND, behind the normal kernel's own words.
KDUMP_WORDS = "root=/dev/vda rw reset_devices systemd.unit=kdump-tools-dump.service nr_cpus=1 irqpoll nousb console=ttyS0 panic=5 loglevel=6"

# Its default (1.8.1) is -F -c -d 31; LZO is what Fedora and RHEL use.
KDUMP_SETTINGS = 'MAKEDUMP_ARGS="-F -l -d 31"\n'
# A crash kernel that ends without a dump.
FAILED = r"\] Kernel panic|Out of memory|[Ff]ailed to save vmcore|Initramfs unpacking failed|error: .*\n"

# What is on the console, in this order; each stage ends there.
STAGES = {
    "mcore": [
        ("crash kernel", r"Linux version .*\n"),
        ("kernel boots", r"mcore: mcore .*PID 1.*\n"),
        ("modules", r"mcore: crashed kernel .*\n"),
        ("log, classes, zero test", r"mcore: writing .*\n"),
        ("dump", r"mcore: dump saved: .*\n"),
        ("reset", r"reboot: Restarting system|reboot: machine restart"),
    ],
    "kdump-tools": [
        ("crash kernel", r"Linux version .*\n"),
        ("kernel boots", r"Loading, please wait.*\n"),
        ("initramfs", r"Welcome to .*\n|systemd\[1\]: .*\n"),
        ("systemd", r"running makedumpfile .*-d 31.*\n"),
        ("dump", r"saved vmcore in .*\n"),
        ("reset", r"reboot: Restarting system|reboot: machine restart"),
    ],
}


@dataclasses.dataclass
class Way:
    stages: str
    initramfs: pathlib.Path
    cmdline: str
    settings: str = ""  # more of /etc/default/kdump-tools


def make_disk(image, kernel, way: Way, root) -> pathlib.Path:
    """The guest's disk as for all tests, with a root of Debian around it."""
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        tree = pathlib.Path(directory) / "root"
        run("cp", "-a", "--reflink=auto", root, tree)
        boot = tree / "boot"
        shutil.rmtree(boot)
        boot.mkdir()
        shutil.copy2(kernel / "vmlinuz", boot / "vmlinuz")
        shutil.copy2(way.initramfs, boot / "capture.img")
        (boot / "crash-cmdline").write_text(way.cmdline)
        with open(tree / "etc/default/kdump-tools", "a") as file:
            file.write(way.settings)
        shutil.rmtree(tree / "var/crash", ignore_errors=True)
        system.write_data(tree / "data", kernel)
        return disk.make_ext4(image, "4G", tree)


def once(name: str, way: Way, kernel, root, work, crashkernel=CRASHKERNEL) -> tuple:
    """Seconds at the end of each stage, from the panic on; and the size of the dump. Throws where there is none."""
    image = make_disk(work / "disk.img", kernel, way, root)
    log = CACHE / "logs" / f"bench-service-{name.replace(' ', '')}.log"
    times = []
    with system.start(kernel, [image], log, crashkernel=f"{crashkernel}M", reboot=False) as guest:
        guest.expect("Kernel panic - not syncing: sysrq triggered crash", 300, or_fail=system.FAILED)
        start = time.monotonic()
        for stage, pattern in STAGES[way.stages]:
            guest.expect(pattern, 400, or_fail=FAILED)
            times.append((stage, time.monotonic() - start))
        guest.wait_exit(60)
        times.append(("QEMU has ended", time.monotonic() - start))
    (directory,) = [entry for entry in disk.list_directory(image, "/var/crash") if re.match(r"\d{4}", entry)]
    files = disk.debugfs(image, f"ls -p /var/crash/{directory}")
    sizes = {
        entry.split("/")[5]: int(entry.split("/")[6])
        for entry in files.splitlines()
        if entry.count("/") == 7 and entry.split("/")[6]
    }
    image.unlink()
    return times, max(sizes.values())


class Comparison:
    """The ways that are compared, on one kernel."""

    def __init__(self, work: pathlib.Path):
        self.work = work
        self.kernel = fetch_kernel(SERIES)
        self.root = pathlib.Path(run(REPOSITORY / "scripts/kdump-root.sh", kernel_release(self.kernel), timeout=1800).strip())
        theirs = next((self.root / "var/lib/kdump").glob("initrd.img-*"))
        mine = build_initramfs(self.kernel, CAPTURE, work / "capture.img")
        self.ways = {
            "mcore": Way("mcore", mine, system.CRASH_CMDLINE + " mcore.target=/dev/vda:/var/crash"),
            "kdump-tools": Way("kdump-tools", theirs, KDUMP_WORDS),
            "kdump-tools -l": Way("kdump-tools", theirs, KDUMP_WORDS, KDUMP_SETTINGS),
        }

    def times(self, rounds: int) -> None:
        for name, way in self.ways.items():
            print(f"{name}: initramfs {way.initramfs.stat().st_size} bytes")
        for number in range(rounds):
            for name, way in self.ways.items():
                times, size = once(name, way, self.kernel, self.root, self.work)
                row = ", ".join(f"{stage} {at:.1f}" for stage, at in times)
                print(f"{name} {number + 1}: {row} s; dump {size} bytes", flush=True)

    def memory(self) -> None:
        """By halves: what takes a dump with some memory does so with more."""
        for name in ["mcore", "kdump-tools"]:
            fails, works = 0, CRASHKERNEL
            while works - fails > STEP:
                tried = (fails + works) // 2 // STEP * STEP
                try:
                    once(name, self.ways[name], self.kernel, self.root, self.work, tried)
                    works = tried
                    print(f"{name}: {tried}M is enough", flush=True)
                except (GuestError, ValueError) as problem:
                    fails = tried
                    print(f"{name}: {tried}M is not: {str(problem).splitlines()[0][:200]}", flush=True)
            print(f"{name}: crashkernel={works}M", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="mcore-service-", dir=CACHE) as directory:
        comparison = Comparison(pathlib.Path(directory))
        if sys.argv[1:] == ["memory"]:
            comparison.memory()
        else:
            comparison.times(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)

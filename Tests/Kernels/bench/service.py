"""Time to service: from the panic to the reset, mcore's initramfs beside the one of Debian's kdump-tools with makedumpfile.

    cd Tests/Kernels && python3 -m bench.service            a table for docs/measurements/time-to-service.md

The same machine (1 GiB, 2 CPUs, one in the crash kernel), kernel (Debian's 6.1), disk and reservation; both keep what makedumpfile's
-d 31 keeps. The disk holds a root of Debian 12 (scripts/kdump-root.sh), since kdump-tools boots it to save: its initramfs mounts it,
systemd starts kdump-tools-dump.service from it, and that runs makedumpfile and restarts the machine. Needs root, once.
"""

import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

from guest import disk, system
from guest.paths import CACHE, REPOSITORY, build_initramfs, fetch_kernel, kernel_release, run

CAPTURE = pathlib.Path(os.environ.get("MCORE_BIN", REPOSITORY / ".build/release")) / "mcore-capture"
SERIES = "6.1"
CRASHKERNEL = "256M"
ROUNDS = 3
# /etc/default/kdump-tools of 1.8.1: KDUMP_CMDLINE_APPEND, behind the normal kernel's own words.
KDUMP_WORDS = "root=/dev/vda rw reset_devices systemd.unit=kdump-tools-dump.service nr_cpus=1 irqpoll nousb console=ttyS0 panic=5 loglevel=6"

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


def make_disk(image, kernel, capture, cmdline, root) -> pathlib.Path:
    """The guest's disk as for all tests, with a root of Debian around it."""
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        tree = pathlib.Path(directory) / "root"
        run("cp", "-a", "--reflink=auto", root, tree)
        boot = tree / "boot"
        shutil.rmtree(boot)
        boot.mkdir()
        shutil.copy2(kernel / "vmlinuz", boot / "vmlinuz")
        shutil.copy2(capture, boot / "capture.img")
        (boot / "crash-cmdline").write_text(cmdline)
        shutil.rmtree(tree / "var/crash", ignore_errors=True)
        system.write_data(tree / "data", kernel)
        return disk.make_ext4(image, "4G", tree)


def once(name: str, kernel, capture, cmdline, root, work) -> list:
    """Seconds at the end of each stage, from the panic on; and the size of the dump."""
    image = make_disk(work / "disk.img", kernel, capture, cmdline, root)
    log = CACHE / "logs" / f"bench-service-{name}.log"
    times = []
    with system.start(kernel, [image], log, crashkernel=CRASHKERNEL, reboot=False) as guest:
        guest.expect("Kernel panic - not syncing: sysrq triggered crash", 300, or_fail=system.FAILED)
        start = time.monotonic()
        for stage, pattern in STAGES[name]:
            guest.expect(pattern, 400)
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


def compare(rounds: int = ROUNDS) -> None:
    kernel = fetch_kernel(SERIES)
    root = pathlib.Path(run(REPOSITORY / "scripts/kdump-root.sh", kernel_release(kernel), timeout=1800).strip())
    theirs = next((root / "var/lib/kdump").glob("initrd.img-*"))
    with tempfile.TemporaryDirectory(prefix="mcore-service-") as directory:
        work = pathlib.Path(directory)
        mine = build_initramfs(kernel, CAPTURE, work / "capture.img")
        ways = {
            "mcore": (mine, system.CRASH_CMDLINE + " mcore.target=/dev/vda:/var/crash"),
            "kdump-tools": (theirs, KDUMP_WORDS),
        }
        for name, (image, _) in ways.items():
            print(f"{name}: initramfs {image.stat().st_size} bytes")
        for number in range(rounds):
            for name, (image, cmdline) in ways.items():
                times, size = once(name, kernel, image, cmdline, root, work)
                row = ", ".join(f"{stage} {at:.1f}" for stage, at in times)
                print(f"{name} {number + 1}: {row} s; dump {size} bytes", flush=True)


if __name__ == "__main__":
    compare(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)

"""What a crash kernel has, and what reading /proc/vmcore costs in it, by read(2) and by mmap(2): docs/measurements/vmcore-mapping.md.

    cd Tests/Kernels && python3 -m bench.crash_kernel 6.1 96M
"""

import os
import pathlib
import sys
import tempfile

from guest import disk, system
from guest.paths import CACHE, REPOSITORY, build_initramfs, fetch_kernel, kernel_release, run

CAPTURE = pathlib.Path(os.environ.get("MCORE_BIN", REPOSITORY / ".build/release")) / "mcore-capture"
# FileWindows maps 4 MiB; the zero test and the encoder read 128 and 60 KiB.
WAYS = [("read", 61440), ("read", 131072), ("read", 4194304), ("map", 4194304)]
ROUNDS = 3


def measure(series: str, crashkernel: str) -> None:
    kernel = fetch_kernel(series)
    with tempfile.TemporaryDirectory(prefix="mcore-bench-") as directory:
        work = pathlib.Path(directory)
        extra = work / "extra/bin"
        extra.mkdir(parents=True)
        run("gcc", "-O2", "-static", "-o", extra / "vmread", pathlib.Path(__file__).with_name("vmread.c"))
        capture = build_initramfs(kernel, CAPTURE, work / "capture.img", "--shell", "--extra", work / "extra")
        print(f"{kernel_release(kernel)}, crashkernel={crashkernel}, initramfs {capture.stat().st_size} bytes", flush=True)
        image = system.make_disk(work / "disk.img", kernel, capture)
        target = disk.make_ext4(work / "target.img", "2G")
        log = CACHE / "logs" / f"bench-crash-kernel-{series}-{crashkernel}.log"
        with system.start(kernel, [image, target], log, crashkernel=crashkernel, reboot=False) as guest:
            guest.expect("mcore-rescue# ", 300, or_fail=system.FAILED)

            def shell(command: str, timeout: float = 300) -> None:
                guest.send(f"{command}; echo the-end=$?\n")
                match = guest.expect(r"(?P<text>[\s\S]*?)the-end=(?P<status>\d+)\n", timeout)
                print(match["text"].split("\n", 1)[-1], end="", flush=True)

            shell("grep -E '^(MemTotal|MemFree|MemAvailable|Slab|SUnreclaim|Unevictable|Percpu):' /proc/meminfo; free -m")
            shell("dmesg | grep -E 'Memory: |Freeing initrd|Unpacking'")
            shell("mcore-capture target=/dev/vdb:/var/crash", 600)
            for _ in range(ROUNDS):
                for way, piece in WAYS:
                    shell(f"vmread {way} /proc/vmcore {piece}")


if __name__ == "__main__":
    measure(*sys.argv[1:3])

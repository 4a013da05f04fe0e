"""The smallest crashkernel= with which a soft boot comes through, found by trying: docs/soft-boot.md, "Memory for the crash kernel".

    cd Tests && python3 -m bench.crash_memory 6.1 15 60:320:368        a row for each size of the normal initramfs, in MiB;
                                                                       with what is thought to fail and to work

A guest of 2 GiB (MCORE_GUEST_MEMORY) panics; its crash kernel has the normal kernel and its initramfs, which noise brings to that size, in its own. It works
when the normal kernel has saved the dump. Sizes are tried in steps of 8 MiB, by halving.
"""

import os
import pathlib
import random
import re
import shutil
import sys
import tempfile

from guest import soft_boot, system
from guest.paths import CACHE, REPOSITORY, fetch_kernel, kernel_release, run
from guest.qemu import GuestError

CAPTURE = pathlib.Path(os.environ.get("MCORE_BIN", REPOSITORY / ".build/release")) / "mcore-capture"
STEP = 8
MEMORY = os.environ.get("MCORE_GUEST_MEMORY", "2G")
# What says why it did not work; the last line of them counts.
REASONS = r"mcore: (?:error|warning): .*|Kernel panic - not syncing: (?!sysrq).*|.*[Oo]ut of memory.*|.*Initramfs unpacking failed.*|MCORE-GUEST: failed.*"


def padded(image: pathlib.Path, size: int) -> None:
    """Behind the initramfs an archive of noise, uncompressed, up to `size` bytes."""
    missing = size - image.stat().st_size
    if missing < 4096:
        return
    with tempfile.TemporaryDirectory() as directory:
        noise = pathlib.Path(directory) / "noise"
        noise.write_bytes(random.Random(1).randbytes(missing - 1024))
        archive = pathlib.Path(directory) / "archive"
        run("sh", "-c", f"echo noise | cpio --quiet -o -H newc >{archive}", cwd=directory)
        with open(image, "ab") as file:
            file.write(bytes(-file.tell() % 4) + archive.read_bytes())


class Trial:
    def __init__(self, series: str, mebibytes: int, work: pathlib.Path):
        self.kernel, self.work = fetch_kernel(series), work
        self.name = f"{series}-{mebibytes}"
        self.normal = soft_boot.normal_initramfs(self.kernel, CAPTURE, work / "normal.img")
        padded(self.normal, mebibytes << 20)
        crash = soft_boot.crash_initramfs(self.kernel, CAPTURE, self.normal, work / "crash.img")
        self.pristine = system.make_disk(work / "pristine.img", self.kernel, crash, soft_boot.CRASH_CMDLINE)
        self.sizes = [path.stat().st_size for path in (self.kernel / "vmlinuz", self.normal, crash)]

    def works(self, mebibytes: int) -> tuple:
        """Whether it does; if not, what was said."""
        disk = self.work / "disk.img"
        shutil.copyfile(self.pristine, disk)
        log = CACHE / "logs" / f"bench-crash-memory-{self.name}-{mebibytes}M.log"
        with system.start(
            self.kernel, [disk], log, initramfs=self.normal, crashkernel=f"{mebibytes}M", append=soft_boot.NORMAL_APPEND,
            memory=MEMORY, reboot=False,
        ) as guest:
            try:
                guest.expect("Kernel panic - not syncing: sysrq triggered crash", 180, or_fail=system.FAILED)
                guest.expect("handing off: kexec", 150, or_fail=system.FAILED)
                guest.expect(r"dump saved: /dev/vda:/var/crash/\S+, .*, complete\n", 180, or_fail=system.FAILED)
                return True, ""
            except GuestError:
                said = re.findall(REASONS, guest.console.text.partition("sysrq triggered crash")[2] or guest.console.text)
                return False, said[0].strip() if said else "nothing on the console"


def smallest(series: str, mebibytes: int, low=0, high=0) -> None:
    """Halves what lies between a size that fails and one that works, which are tried as well."""
    with tempfile.TemporaryDirectory(prefix="mcore-memory-", dir=CACHE) as directory:
        trial = Trial(series, mebibytes, pathlib.Path(directory))
        files = (trial.sizes[0] + trial.sizes[1]) / (1 << 20)
        print(f"{kernel_release(trial.kernel)}: kernel, initramfs, crash initramfs: {trial.sizes} bytes", flush=True)
        low, high, reason = low or 64, high or int(4 * files + 256) // STEP * STEP, None
        has_worked = False
        while high - low > STEP or reason is None or not has_worked:
            if high - low > STEP:
                size = (low + high) // 2 // STEP * STEP
            else:
                size = low if reason is None else high
            works, said = trial.works(size)
            print(f"  {size}M {'works' if works else 'fails: ' + said}", flush=True)
            if works:
                has_worked, high = True, size
                low = low if size > low else low - STEP
            else:
                reason, low = said, size
                high = high if size < high else high + STEP
        print(f"| {kernel_release(trial.kernel)} | {files:.1f} | {high}M | {reason} |", flush=True)


if __name__ == "__main__":
    for word in sys.argv[2:]:
        smallest(sys.argv[1], *map(int, word.split(":")))

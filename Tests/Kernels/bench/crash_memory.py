"""The smallest crashkernel= with which a soft boot, or on arm64 a dump to a disk, comes through, found by trying:
docs/measurements/crash-kernel-memory.md, docs/measurements/arm64.md.

    cd Tests/Kernels && python3 -m bench.crash_memory 6.1 15 60:320:368        a row for each size of the normal initramfs, in MiB;
                                                                       with what is thought to fail and to work
    cd Tests/Kernels && python3 -m bench.crash_memory 6.1 reset                the way of `mcore arm --window --reset`, which starts no kernel
    cd Tests/Kernels && python3 -m bench.crash_memory 6.12 arm64               a guest of arm64 that `mcore arm` arms for its disk (make build-arm64)

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

from guest import arm64, armed, soft_boot, system
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
        stages = ("handing off: kexec", 150), (r"dump saved: /dev/vda:/var/crash/\S+, .*, complete\n", 180)
        return came_through(self, mebibytes, soft_boot.NORMAL_APPEND, stages)


class ResetTrial:
    """Armed by mcore, for memory that is set aside and a restart through the firmware: the crash kernel has nothing else in its initramfs."""

    def __init__(self, series: str, work: pathlib.Path):
        self.kernel, self.work, self.name = fetch_kernel(series), work, f"{series}-reset"
        arm = f"{armed.ARM} --window {armed.WINDOW} --reset --force\n"
        files = {"/boot/arm": arm, "/boot/panic": ""}
        self.pristine = work / "pristine.img"
        self.normal = armed.make_disk(self.pristine, self.kernel, CAPTURE.parent / "mcore", CAPTURE, work, files)
        self.sizes = [path.stat().st_size for path in (self.kernel / "vmlinuz", work / "base.img")]

    def works(self, mebibytes: int) -> tuple:
        append = f"{armed.APPEND} {armed.RESERVED}"
        stages = ("mcore: handing off: reboot", 150), (r"dump saved: /disk/var/crash/\S+, .*, complete\n", 180)
        return came_through(self, mebibytes, append, stages, reboot=True)


class ARM64Trial:
    """What `mcore arm` loads on arm64, whatever it thinks of the memory. It prints its estimate on the console first."""

    def __init__(self, series: str, work: pathlib.Path):
        self.kernel, self.work, self.name = arm64.fetch_kernel(series), work, f"arm64-{series}"
        programs = REPOSITORY / ".build/arm64-release"
        target = "--target /disk/var/crash --append mcore.final=poweroff"
        arm = f"{target} --kernel /disk/boot/vmlinuz --base /disk/boot/base.img --force\n"
        self.pristine = work / "pristine.img"
        files = {
            "/boot/arm": arm,
            "/boot/panic": "",
            "/boot/prepare": "ln -s /disk/boot/vmlinuz /lib/modules/*/\nmcore estimate\n",
        }
        self.normal = arm64.armed_disk(self.pristine, self.kernel, programs, work, files)
        self.sizes = [path.stat().st_size for path in (self.kernel / "vmlinuz", work / "base.img")]

    def works(self, mebibytes: int) -> tuple:
        stages = [(r"dump saved: /dev/vda:/var/crash/\S+, .*, complete\n", 240)]
        append = f"rdinit=/armed-init mcore.target={armed.TARGET}"
        return came_through(self, mebibytes, append, stages, start=arm64.start, role="none")


def came_through(trial, mebibytes: int, append: str, stages, start=system.start, reboot=False, **options) -> tuple:
    """Whether a guest with so much memory for its crash kernel says all of `stages` after its panic; if not, what was said."""
    disk = trial.work / "disk.img"
    shutil.copyfile(trial.pristine, disk)
    log = CACHE / "logs" / f"bench-crash-memory-{trial.name}-{mebibytes}M.log"
    with start(
        trial.kernel,
        [disk],
        log,
        initramfs=trial.normal,
        crashkernel=f"{mebibytes}M",
        append=append,
        memory=MEMORY,
        reboot=reboot,
        **options,
    ) as guest:
        try:
            guest.expect("Kernel panic - not syncing: sysrq triggered crash", 180, or_fail=system.FAILED)
            for said, seconds in stages:
                # A second panic means that nothing came of the first one.
                guest.expect(said, seconds, or_fail=system.FAILED + "|\\] sysrq: Trigger a crash")
            return True, ""
        except GuestError:
            said = re.findall(REASONS, guest.console.text.partition("sysrq triggered crash")[2] or guest.console.text)
            return False, said[0].strip() if said else "nothing on the console"


def smallest(series: str, mebibytes, low=0, high=0) -> None:
    """Halves what lies between a size that fails and one that works, which are tried as well."""
    with tempfile.TemporaryDirectory(prefix="mcore-memory-", dir=CACHE) as directory:
        work = pathlib.Path(directory)
        kinds = {"reset": ResetTrial, "arm64": ARM64Trial}
        trial = kinds[mebibytes](series, work) if mebibytes in kinds else Trial(series, int(mebibytes), work)
        files = sum(trial.sizes[:2]) / (1 << 20)
        print(f"{kernel_release(trial.kernel)}: kernel, initramfs: {trial.sizes} bytes", flush=True)
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
        size, *bounds = word.split(":")
        smallest(sys.argv[1], size, *map(int, bounds))

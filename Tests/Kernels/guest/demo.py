"""The demonstration behind `make demo`: a real kernel crashes in QEMU, mcore saves it, and the machine boots again."""

import pathlib
import shutil
import time

from . import disk, system
from .paths import REPOSITORY, build_initramfs, fetch_kernel, kernel_release, run

TARGET_DIRECTORY = "/var/crash"
CRASH_CMDLINE = f"{system.CRASH_CMDLINE} mcore.target=/dev/vda:{TARGET_DIRECTORY}"

# What the console has to show, in this order: what that means, the pattern, and the seconds that it may take.
STAGES = [
    ("booted, working", r"MCORE-GUEST: workload is up", 120),
    ("crash kernel with mcore-capture loaded", r"MCORE-GUEST: crash kernel loaded", 60),
    ("panic", r"Kernel panic - not syncing: sysrq triggered crash", 30),
    ("crash kernel runs, mcore-capture saves the dump", r"Linux version .*\n", 60),
    ("machine resets and boots normally again", r"Linux version .*\n", 300),
    ("boot complete, dump found on the disk", r"MCORE-GUEST: dump found after boot 2", 120),
]


class DemoError(Exception):
    """The demonstration showed something else than it should."""


class Steps:
    """One line for each step, with the time since the start."""

    def __init__(self):
        self.started = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self.started:4.0f} s] {text}", flush=True)


def crash_and_come_back(step, kernel, image, log) -> None:
    with system.start(kernel, [image], log) as guest:
        for meaning, pattern, limit in STAGES:
            guest.expect(pattern, limit, or_fail=system.FAILED)
            step(f"guest: {meaning}")
        guest.wait_exit(30)
    step("guest: powered off")


def fetch_dump(image, work) -> pathlib.Path:
    """Copies the dump out of the disk image and makes sure that it is one, and a whole one."""
    disk.check(image)
    names = disk.list_directory(image, TARGET_DIRECTORY)
    if len(names) != 1 or names[0].endswith(".incomplete"):
        raise DemoError(f"one whole dump was expected in {TARGET_DIRECTORY} of the disk, found: {names or 'nothing'}")
    dump = disk.extract_tree(image, f"{TARGET_DIRECTORY}/{names[0]}", work)
    for name in ("vmcore.elf.gz", "dmesg.txt", "dump.json"):
        if not (dump / name).is_file() or (dump / name).stat().st_size == 0:
            raise DemoError(f"{name} is missing or empty in {dump}")
    return dump


def shown(path: pathlib.Path) -> pathlib.Path:
    """The path as one would type it in the repository, where `make demo` is run."""
    return path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path


def show_dump(step, mcore, dump, series) -> None:
    step(f"$ mcore verify {dump.name}")
    print(run(mcore, "verify", dump), end="")
    step(f"$ mcore info {dump.name}")
    print(run(mcore, "info", dump), end="")
    step(f"$ mcore dmesg {dump.name} | tail -n 15")
    print(*run(mcore, "dmesg", dump).splitlines()[-15:], sep="\n")
    step(f"$ mcore report {dump.name} | head -n 25")
    print(*run(mcore, "report", dump).splitlines()[:25], sep="\n")
    print(f"\nThe dump: {shown(dump)}\n{next_steps(shown(mcore), shown(dump), series)}")


def next_steps(mcore, dump, series) -> str:
    """What to type next, on this machine as it is."""
    lines = [f"    {mcore} report {dump}", f"    {mcore} bt -a {dump}"]
    missing = [tool for tool in ("crash", "gdb") if shutil.which(tool) is None]
    if missing:
        lines.append(f"    apt-get install {' '.join(missing)}")
    lines += [
        f"    {mcore} convert --format elf {dump} /tmp/vmcore",
        f"    vmlinux=$({shown(REPOSITORY / 'scripts/kernel.sh')} --debug {series})/vmlinux    # a download of 300 MB",
        "    crash $vmlinux /tmp/vmcore",
    ]
    return "Next, the whole report and every stack; then crash or gdb, with the kernel's debug information:\n\n" + "\n".join(
        lines
    )


def demonstrate(mcore: pathlib.Path, capture: pathlib.Path, series: str, work: pathlib.Path) -> None:
    """Runs the whole demonstration in the directory `work`, which is made anew, and fails with an exception."""
    step = Steps()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    log = work / "console.log"

    kernel = fetch_kernel(series)
    step(f"kernel {kernel_release(kernel)}")
    initramfs = build_initramfs(kernel, capture, work / "capture.img")
    step(f"initramfs with mcore-capture: {initramfs.stat().st_size / 1e6:.1f} MB")
    image = system.make_disk(work / "disk.img", kernel, initramfs, CRASH_CMDLINE)
    step(f"guest starts (1 GiB, 2 CPUs); its console: {shown(log)}")
    crash_and_come_back(step, kernel, image, log)
    dump = fetch_dump(image, work)
    image.unlink()
    size = (dump / "vmcore.elf.gz").stat().st_size
    step(f"dump copied from the guest's disk: {size / 1e6:.1f} MB")
    show_dump(step, mcore, dump, series)
    step("done: the dump is whole")

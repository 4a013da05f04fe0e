"""Dumps of real kernels, made once by a guest and kept in the cache: what mcore's results are compared with."""

import contextlib
import fcntl
import os
import pathlib
import sys
import tempfile
import time

from . import system
from .paths import CACHE, GUEST, REPOSITORY, build_initramfs, fetch_kernel, fingerprint, kernel_release, run
from .qemu import new_log

# Everything that decides what a dump holds: a change makes new dumps.
SOURCES = [
    GUEST / "guest-init",
    GUEST / "raw-dump-init",
    GUEST / "system.py",
    GUEST / "dumps.py",
    REPOSITORY / "initramfs/build.sh",
    REPOSITORY / "initramfs/modules.py",
]


@contextlib.contextmanager
def once(path: pathlib.Path):
    """Yields a temporary name to write to, which becomes `path` at the end; None when `path` is there already.
    Of several processes only one does the work."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            yield None
            return
        temporary = pathlib.Path(f"{path}.tmp")
        temporary.unlink(missing_ok=True)
        try:
            yield temporary
            os.rename(temporary, path)
            remove_older(path)
        finally:
            temporary.unlink(missing_ok=True)


def cached_path(kind: str, release: str, options: dict) -> pathlib.Path:
    """Where a dump lies: kind, kernel, then fingerprints of the options and of the sources."""
    options_part, sources_part = fingerprint(sorted(options.items()))[:8], fingerprint(*SOURCES)[:8]
    return CACHE / "dumps" / f"{kind}-{release}-{options_part}-{sources_part}.elf"


def remove_older(path: pathlib.Path) -> None:
    """Removes the dumps that older versions of the sources made under the same options."""
    same = path.name.rpartition("-")[0]
    for old in path.parent.glob(f"{same}-????????.elf*"):
        if not old.name.startswith(path.name):
            old.unlink(missing_ok=True)


def report(path: pathlib.Path, started: float) -> None:
    size, used = path.stat().st_size >> 20, path.stat().st_blocks >> 11
    print(f"made {path.stem}: {size} MiB, {used} MiB on disk, {time.monotonic() - started:.0f} s", file=sys.stderr)


def raw_dump(series: str, **options) -> pathlib.Path:
    """A byte-for-byte copy of the /proc/vmcore of a panic. Options are those of `system.start`."""
    kernel = fetch_kernel(series)
    path = cached_path("raw", kernel_release(kernel), options)
    started = time.monotonic()
    with once(path) as temporary:
        if temporary:
            capture_raw(kernel, temporary, options)
            report(temporary, started)
    return path


def capture_raw(
    kernel: pathlib.Path,
    out: pathlib.Path,
    options: dict,
    *,
    start=system.start,
    initramfs=build_initramfs,
    crash_cmdline: str = system.CRASH_CMDLINE,
    limit: int = 120,
) -> None:
    """How a guest starts and what its crash kernel boots may be another machine's; `limit`: seconds for each of its boots."""
    log = new_log(f"raw-{kernel_release(kernel)}")
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        capture = initramfs(kernel, GUEST / "raw-dump-init", work / "capture.img")
        image = system.make_disk(work / "disk.img", kernel, capture, crash_cmdline)
        # More than any memory that a test gives a guest; holes cost nothing.
        run("truncate", "-s", "64G", out)
        with start(kernel, [image, out], log, reboot=False, **options) as guest:
            guest.expect("MCORE-GUEST: panic now", limit, or_fail=system.FAILED)
            size = int(guest.expect(r"MCORE-GUEST: vmcore has (?P<size>\d+) bytes", limit)["size"])
            guest.expect("MCORE-GUEST: copied", 600, or_fail=system.FAILED)
            guest.wait_exit(30)
    if size == 0:
        raise guest.failure("the crash kernel had an empty /proc/vmcore")
    os.truncate(out, size)


def qemu_core(series: str, **options) -> pathlib.Path:
    """An ELF core of a running machine, written by QEMU itself (dump-guest-memory), with VMCOREINFO."""
    kernel = fetch_kernel(series)
    path = cached_path("qemu", kernel_release(kernel), options)
    started = time.monotonic()
    with once(path) as temporary:
        if temporary:
            log = new_log(f"qemu-{kernel_release(kernel)}")
            with tempfile.TemporaryDirectory() as directory:
                image = system.make_disk(pathlib.Path(directory) / "disk.img", kernel, None)
                devices = ["-device", "vmcoreinfo"]
                with system.start(kernel, [image], log, role="idle", devices=devices, **options) as guest:
                    guest.expect("MCORE-GUEST: idle", 120, or_fail=system.FAILED)
                    guest.dump_memory(temporary)
            os.chmod(temporary, 0o644)
            run("fallocate", "--dig-holes", temporary)
            report(temporary, started)
    return path

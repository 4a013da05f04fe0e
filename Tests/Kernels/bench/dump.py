"""The dump that the bench works on: a real kernel's, of 4 GiB, with real files in its page cache, the anonymous memory of processes that
work on real text, and slab.

Made once by a guest and kept in the cache. The files are those of this machine's /usr, so the dump is not the same
everywhere; every figure of the bench is a ratio within one run on one dump.
"""

import os
import pathlib
import shutil
import tempfile
import time

from guest import dumps, system
from guest.disk import make_ext4
from guest.paths import CACHE, GUEST, build_initramfs, fetch_kernel, fingerprint, kernel_release, run
from guest.qemu import new_log

SERIES = "6.1"
MEMORY = "4G"
FILES_BYTES = 2200 << 20
PYTHON = pathlib.Path("/usr/bin/python3.11")
LIBRARY = pathlib.Path("/usr/lib/python3.11")
# memory_in_use.py, in the guest's disk as its root.
IN_USE = pathlib.Path(__file__).with_name("memory_in_use.py")
MORE = """#!/bin/sh
mkdir -p /disk/tmp /disk/proc
mount -t tmpfs tmpfs /disk/tmp && mount -t proc proc /disk/proc && chroot /disk {python} -S /memory_in_use.py
"""
# Below, a file is mostly the rest of its page; a huge one would be all the bench sees.
SMALLEST = 16 << 10
LARGEST = 48 << 20
# `cat *` in the guest: its arguments have to fit.
MOST_FILES = 16_000


def python(tree: pathlib.Path) -> None:
    """Debian's Python with the sources of its library, and what it does in the guest."""
    for path in (PYTHON, *system.libraries(PYTHON), *LIBRARY.rglob("*.py")):
        target = tree / str(path).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    shutil.copy2(IN_USE, tree / IN_USE.name)
    (tree / "more").write_text(MORE.format(python=PYTHON))
    (tree / "more").chmod(0o755)


def real_files(target: pathlib.Path) -> None:
    """Copies programs, libraries, texts and images of this machine into one flat directory, the same choice every time:
    every directory gives files in turn, so that no kind of file outweighs the others."""
    roots = [pathlib.Path(root) for root in ("/usr/bin", "/usr/lib", "/usr/share", "/usr/include", "/usr/sbin")]
    queues = [sorted(files_below(root), key=lambda path: fingerprint(str(path)), reverse=True) for root in roots]
    total = count = 0
    while any(queues) and total < FILES_BYTES and count < MOST_FILES:
        for queue in queues:
            # A share for each root in turn, in bytes and in files: small files alone would never fill the memory.
            share, last = 0, count + 60
            while queue and share < 4 << 20 and total < FILES_BYTES and count < last:
                path = queue.pop()
                size = path.stat().st_size
                shutil.copyfile(path, target / f"f{count:05d}")
                share += size
                total += size
                count += 1


def files_below(root: pathlib.Path) -> list:
    found = []
    for directory, _, names in os.walk(root):
        for name in names:
            path = pathlib.Path(directory, name)
            if path.is_file() and not path.is_symlink() and SMALLEST <= path.stat().st_size <= LARGEST:
                found.append(path)
    return found


def bench_dump() -> pathlib.Path:
    """A byte-for-byte copy of the /proc/vmcore of a panic."""
    kernel = fetch_kernel(SERIES)
    version = fingerprint(pathlib.Path(__file__), IN_USE, *dumps.SOURCES)[:8]
    path = CACHE / "dumps" / f"bench-{kernel_release(kernel)}-{version}.elf"
    started = time.monotonic()
    with dumps.once(path) as temporary:
        if temporary:
            capture(kernel, temporary)
            dumps.report(path if path.exists() else temporary, started)
    return path


def capture(kernel: pathlib.Path, out: pathlib.Path) -> None:
    log = new_log(f"bench-{kernel_release(kernel)}")
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        image = make_disk(work, kernel)
        run("truncate", "-s", "64G", out)
        with system.start(kernel, [image, out], log, reboot=False, memory=MEMORY) as guest:
            guest.expect("MCORE-GUEST: panic now", 1200, or_fail=system.FAILED)
            size = int(guest.expect(r"MCORE-GUEST: vmcore has (?P<size>\d+) bytes", 120)["size"])
            guest.expect("MCORE-GUEST: copied", 1200, or_fail=system.FAILED)
            guest.wait_exit(30)
    if size == 0:
        raise guest.failure("the crash kernel had an empty /proc/vmcore")
    os.truncate(out, size)


def make_disk(work: pathlib.Path, kernel: pathlib.Path) -> pathlib.Path:
    """The guest's disk of `system.make_disk`, with more to read in /data."""
    tree = work / "tree"
    boot = tree / "boot"
    boot.mkdir(parents=True)
    shutil.copy2(kernel / "vmlinuz", boot / "vmlinuz")
    shutil.copy2(build_initramfs(kernel, GUEST / "raw-dump-init", work / "capture.img"), boot / "capture.img")
    (boot / "crash-cmdline").write_text(system.CRASH_CMDLINE)
    (tree / "var").mkdir()
    system.write_data(tree / "data", kernel)
    real_files(tree / "data")
    python(tree)
    return make_ext4(work / "disk.img", "6G", tree)

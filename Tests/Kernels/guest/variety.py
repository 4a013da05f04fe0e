"""A machine with every kind of memory that a small guest can have, its panic, and the raw dump of it.

Two nodes, three CPUs of which one is taken offline, hot-added memory of which a block is taken offline, huge pages of 2 MiB
and 1 GiB, transparent ones, tmpfs, shared, locked, swapped and merged pages, a balloon, and pages that are poisoned.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import tempfile
import time

from . import disk, dumps, system
from .paths import GUEST, build_initramfs, fetch_kernel, fingerprint, kernel_release, run
from .qemu import new_log

MODULES = "virtio_pci virtio_blk ext4 virtio_balloon"
PARTS = [GUEST / "variety.py", GUEST / "variety-init", GUEST / "memory-kinds.c"]
BALLOON = 32 << 20
# Huge pages of 2 MiB that variety-init reserves, and base pages of the one of 1 GiB that the command line asks for.
HUGE_PAGES = 16
GIGANTIC_PAGES = 1 << 18
MACHINE = {
    # Node 1 has room for an aligned page of 1 GiB, and above it for the crash kernel.
    "memory": "2560M,slots=2,maxmem=8G",
    "cpus": "3,sockets=3",
    "devices": [
        *("-object", "memory-backend-ram,id=ram0,size=1024M", "-numa", "node,nodeid=0,memdev=ram0,cpus=0-1"),
        *("-object", "memory-backend-ram,id=ram1,size=1536M", "-numa", "node,nodeid=1,memdev=ram1,cpus=2"),
        *("-object", "memory-backend-ram,id=added,size=384M", "-device", "pc-dimm,id=dimm0,memdev=added,node=1"),
        *("-device", "virtio-balloon-pci"),
    ],
    "append": "memhp_default_state=offline hugepagesz=1G hugepages=1 hugepagesz=2M {more}",
}
# What differs between the kernels: each has one more feature.
MORE = {
    "6.1": "hugetlb_free_vmemmap=on no5lvl",
    "6.12": "memory_hotplug.memmap_on_memory=1",
    "7.2": "hugetlb_free_vmemmap=on memory_hotplug.memmap_on_memory=1",
    "7.x": "hugetlb_free_vmemmap=on",
}
# Without the last word the crash kernel finds the hot-added memory in ACPI's tables, takes it for its own and writes to it.
CRASH_CMDLINE = f"{system.CRASH_CMDLINE} acpi_no_memhotplug"


@dataclasses.dataclass
class Variety:
    """A raw dump, and what the guest said of itself before its panic."""

    dump: pathlib.Path
    # Kind -> runs of page frames, (first, count).
    frames: dict
    # What memory-kinds found this kernel unable to do.
    missing: set
    # /proc/meminfo: name -> number (of KiB, or of huge pages).
    meminfo: dict
    zoneinfo: str
    console: str

    def pages(self, kind: str) -> set:
        return {pfn for first, count in self.frames.get(kind, []) for pfn in range(first, first + count)}


def variety(series: str) -> Variety:
    """Made once and kept in the cache, like the other dumps."""
    kernel = fetch_kernel(series)
    more = MORE.get(series, "")
    path = dumps.cached_path("variety", kernel_release(kernel), {"parts": fingerprint(*PARTS), "more": more})
    said = pathlib.Path(f"{path}.json")
    started = time.monotonic()
    with dumps.once(path) as temporary:
        if temporary:
            said.write_text(json.dumps(crash(kernel, temporary, more)))
            dumps.report(temporary, started)
    return parse(path, json.loads(said.read_text()))


def parse(path, said: dict) -> Variety:
    frames, missing = {}, set()
    for line in (said["process"] + said["blocks"]).splitlines():
        kind, first, count = line.split()
        if kind == "missing":
            missing.add(first)
        else:
            frames.setdefault(kind, []).append((int(first), int(count)))
    meminfo = {name: int(rest.split()[0]) for name, rest in (line.split(":") for line in said["meminfo"].splitlines())}
    return Variety(path, frames, missing, meminfo, said["zoneinfo"], said["console"])


def initramfs(kernel, work) -> pathlib.Path:
    extra = work / "extra"
    system.copy_kexec(extra)
    compiler = shutil.which("clang") or shutil.which("cc")
    run(compiler, "-static", "-O1", "-o", extra / "bin/memory-kinds", GUEST / "memory-kinds.c")
    return build_initramfs(kernel, GUEST / "variety-init", work / "variety.img", "--modules", MODULES, "--extra", extra)


def crash(kernel, out, more: str) -> dict:
    """Runs the machine until its memory is in `out`. Returns the files in which the guest wrote what it knows."""
    log = new_log(f"variety-{kernel_release(kernel)}")
    options = {**MACHINE, "append": MACHINE["append"].format(more=more).strip()}
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        capture = build_initramfs(kernel, GUEST / "raw-dump-init", work / "capture.img")
        image = system.make_disk(work / "disk.img", kernel, capture, CRASH_CMDLINE)
        run("truncate", "-s", "64G", out)
        first = initramfs(kernel, work)
        with system.start(kernel, [image, out], log, reboot=False, initramfs=first, **options) as guest:
            guest.expect("MCORE-GUEST: balloon please", 180, or_fail=system.FAILED)
            guest.inflate_balloon(BALLOON)
            guest.send("\n")
            guest.expect("MCORE-GUEST: panic now", 120, or_fail=system.FAILED)
            size = int(guest.expect(r"MCORE-GUEST: vmcore has (?P<size>\d+) bytes", 120)["size"])
            guest.expect("MCORE-GUEST: copied", 600, or_fail=system.FAILED)
            guest.wait_exit(30)
            console = guest.console.text
        os.truncate(out, size)
        facts = disk.extract_tree(image, "/facts", work)
        return {"console": console, **{file.name: file.read_text() for file in facts.iterdir()}}

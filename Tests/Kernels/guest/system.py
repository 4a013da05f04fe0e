"""The system that runs in a guest before its crash, and after: an initramfs with kexec, and a disk with some data."""

import pathlib
import random
import re
import subprocess
import shutil
import tempfile

from . import disk
from .paths import CACHE, GUEST, REPOSITORY, build_initramfs, fingerprint, kernel_release
from .qemu import PANIC, Guest

# qemu_fw_cfg tells QEMU where VMCOREINFO lies.
MODULES = "virtio_pci virtio_blk ext4 qemu_fw_cfg"

# What a guest says when it cannot go on; see `Guest.expect`.
FAILED = r"MCORE-GUEST: failed.*\n|" + PANIC

# panic= in both kernels: a machine that is stuck resets itself, and the harness sees it.
NORMAL_CMDLINE = "console=ttyS0 panic=5 loglevel=6 crashkernel={crashkernel}"
# nr_cpus=1: bringing up more CPUs from another than the boot CPU can reset the machine (below 6.9).
CRASH_CMDLINE = "console=ttyS0 panic=5 loglevel=6 nr_cpus=1 reset_devices"


def libraries(program: pathlib.Path) -> list:
    """The shared libraries that a program needs, and its loader; none of one that is static."""
    told = subprocess.run(["ldd", str(program)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60).stdout
    if "not a dynamic executable" in told or "statically linked" in told:
        return []
    found = [pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", told)]
    if not found:
        raise OSError(f"ldd says nothing of {program}: {told}")
    return found


def copy_kexec(tree: pathlib.Path) -> None:
    """Puts the kexec program into a tree, with the shared libraries that it needs, where its loader looks for them."""
    kexec = pathlib.Path(shutil.which("kexec"))
    (tree / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy2(kexec, tree / "bin/kexec")
    for library in libraries(kexec):
        target = tree / str(library).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, target)


def normal_initramfs(kernel: pathlib.Path) -> pathlib.Path:
    """The initramfs of the guest's normal boot; built once for each kernel and version of its parts."""
    init = GUEST / "guest-init"
    sources = [init, *sorted((REPOSITORY / "initramfs").iterdir()), pathlib.Path(shutil.which("kexec"))]
    image = CACHE / "guest" / f"{kernel_release(kernel)}-{fingerprint(MODULES, *map(source_file, sources))}.img"
    if not image.exists():
        image.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as extra:
            copy_kexec(pathlib.Path(extra))
            build_initramfs(kernel, init, image, "--modules", MODULES, "--extra", extra)
    return image


def source_file(path: pathlib.Path):
    """Only files count for a fingerprint (Python leaves directories with its caches beside them)."""
    return path if path.is_file() else path.name


def write_data(directory: pathlib.Path, kernel: pathlib.Path) -> None:
    """What the guest reads into its page cache: text, noise and machine code, the same bytes every time."""
    directory.mkdir(parents=True)
    numbers = random.Random(1)
    (directory / "noise.bin").write_bytes(numbers.randbytes(8 << 20))
    words = "the of kernel page crash dump memory device driver time user process error started stopped".split()
    with open(directory / "log.txt", "w") as log:
        for second in range(160_000):
            log.write(f"{second:08d} {' '.join(numbers.choices(words, k=6))} {numbers.random():.6f}\n")
    shutil.copy2(kernel / "vmlinuz", directory / "code.bin")


def make_disk(image, kernel, capture, crash_cmdline=CRASH_CMDLINE, size="2G") -> pathlib.Path:
    """Makes the guest's disk: the crash kernel with its initramfs `capture`, and the data."""
    kernel = pathlib.Path(kernel)
    with tempfile.TemporaryDirectory() as directory:
        tree = pathlib.Path(directory)
        boot = tree / "boot"
        boot.mkdir()
        shutil.copy2(kernel / "vmlinuz", boot / "vmlinuz")
        if capture:
            shutil.copy2(capture, boot / "capture.img")
        (boot / "crash-cmdline").write_text(crash_cmdline)
        (tree / "var").mkdir()
        write_data(tree / "data", kernel)
        return disk.make_ext4(image, size, tree)


def start(
    kernel, disks, log, *, role="panic", kexec="file", cpu=0, crashkernel="256M", append="", initramfs=None, **options
) -> Guest:
    """Starts the guest with its disk first in `disks`. For role, kexec and cpu see guest-init; further options go to
    Guest. The guest panics by itself: expect its markers."""
    words = [
        NORMAL_CMDLINE.format(crashkernel=crashkernel),
        f"guest.role={role} guest.kexec={kexec} guest.cpu={cpu}",
        append,
    ]
    return Guest(
        kernel=kernel / "vmlinuz",
        initramfs=initramfs or normal_initramfs(kernel),
        append=" ".join(words).strip(),
        disks=disks,
        log=log,
        **options,
    )

"""Guests of arm64, and the raw dumps of their crashes. What an arm64 guest runs is what one of x86_64 runs (guest-init);
only its programs and its machine differ."""

import pathlib
import shutil
import tempfile
import time

from . import armed, dumps, system
from .paths import CACHE, GUEST, REPOSITORY, build_initramfs, fingerprint, kernel_release, run
from .qemu import Guest, Machine

NORMAL_CMDLINE = system.NORMAL_CMDLINE.replace("ttyS0", "ttyAMA0")
CRASH_CMDLINE = system.CRASH_CMDLINE.replace("ttyS0", "ttyAMA0")
KEXEC = GUEST / "arm64-kexec"
MODULES = "virtio_pci virtio_blk ext4"
# Everything that decides what a dump holds, beyond what decides it on x86_64.
SOURCES = [KEXEC, GUEST / "arm64.py", REPOSITORY / "scripts/arm64-root.sh"]


def fetch_kernel(series: str, debug: bool = False) -> pathlib.Path:
    """The directory of the newest arm64 kernel of the series; see scripts/kernel.sh. What says which machine it runs on (`WIDE`)
    is no part of its name."""
    series = series.removesuffix(WIDE)
    run(REPOSITORY / "scripts/deps.sh", "--arm64", timeout=1200)
    options = ["--debug"] if debug else []
    return pathlib.Path(run(REPOSITORY / "scripts/kernel.sh", "--arch", "arm64", *options, series, timeout=1800).strip())


def root() -> pathlib.Path:
    """The tree of arm64 programs; see scripts/arm64-root.sh."""
    return pathlib.Path(run(REPOSITORY / "scripts/arm64-root.sh", timeout=1800).strip())


# Behind a series: on a processor that has all that QEMU knows, addresses of 52 bits among it.
WIDE = "-max"


def machine(kernel: pathlib.Path, model=None) -> Machine:
    """The model of processor decides the size of addresses that the kernel uses. Those of named processors take a
    third of the time that `max` takes."""
    # A Cortex-A72 has no pages of 16 KiB.
    model = model or ("neoverse-n1" if kernel_release(kernel).endswith("-16k") else "cortex-a72")
    return Machine("qemu-system-aarch64", ["-M", "virt,gic-version=3", "-cpu", model])


def busybox(tree: pathlib.Path) -> None:
    """Puts busybox of arm64 into a tree that is laid over an initramfs (`build.sh --extra`)."""
    (tree / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy2(root() / "usr/bin/busybox", tree / "bin/busybox")


def kexec(tree: pathlib.Path) -> None:
    """Puts kexec and its libraries into a tree, behind a script that gives it the symbols that it needs."""
    (tree / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy2(KEXEC, tree / "bin/kexec")
    shutil.copy2(root() / "usr/sbin/kexec", tree / "bin/kexec-tools")
    libraries = root() / "usr/lib/aarch64-linux-gnu"
    (tree / "lib").mkdir()
    for library in [*libraries.glob("ld-linux*"), *libraries.glob("lib*.so.*")]:
        if library.name.split(".so")[0] in KEXEC_LIBRARIES:
            shutil.copy2(library, tree / "lib" / library.name)


KEXEC_LIBRARIES = {"ld-linux-aarch64", "libc", "libz", "liblzma", "libzstd"} | {
    f"libxen{part}" for part in ["call", "ctrl", "devicemodel", "evtchn", "foreignmemory", "gnttab", "toolcore", "toollog"]
}


def normal_initramfs(kernel: pathlib.Path) -> pathlib.Path:
    """The initramfs of the guest's normal boot; built once for each kernel and version of its parts."""
    init = GUEST / "guest-init"
    parts = [init, *SOURCES, *sorted((REPOSITORY / "initramfs").iterdir())]
    image = CACHE / "guest" / f"{kernel_release(kernel)}-{fingerprint(*map(system.source_file, parts))}.img"
    if not image.exists():
        image.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as extra:
            busybox(pathlib.Path(extra))
            kexec(pathlib.Path(extra))
            build_initramfs(kernel, init, image, "--modules", MODULES, "--extra", extra)
    return image


def capture_initramfs(kernel: pathlib.Path, init, out, *options) -> pathlib.Path:
    """An initramfs of the crash kernel with `init`; see `build_initramfs`."""
    with tempfile.TemporaryDirectory() as extra:
        busybox(pathlib.Path(extra))
        return build_initramfs(kernel, init, out, "--extra", extra, *options)


def armed_disk(image: pathlib.Path, kernel: pathlib.Path, programs: pathlib.Path, work, files: dict) -> pathlib.Path:
    """The disk of a guest that arms itself (armed-init), and the initramfs of its normal boot. `programs` has mcore and mcore-capture
    of arm64; what the crash initramfs starts with is what the package has. `files`: name on the disk -> text."""
    tree, base, initramfs = work / "tree", work / "base.img", work / "normal.img"
    busybox(tree)
    build_initramfs(no_kernel(work), programs / "mcore-capture", base, "--modules", "", "--extra", tree)
    kexec(tree)
    shutil.copy2(GUEST / "armed-init", tree)
    armed.module_tree(kernel, tree, MODULES.split())
    build_initramfs(kernel, programs / "mcore-capture", initramfs, "--modules", MODULES, "--extra", tree)
    armed.fill_disk(image, kernel, work, {"/boot/base.img": base, "/mcore/mcore": programs / "mcore"}, files)
    return initramfs


def no_kernel(work: pathlib.Path) -> pathlib.Path:
    """What build.sh takes for a kernel without modules."""
    tree = work / "none/modules/lib/modules/none"
    tree.mkdir(parents=True)
    for name in ("dep", "builtin", "softdep", "alias"):
        (tree / f"modules.{name}").touch()
    (work / "none/release").write_text("none\n")
    return work / "none"


def start(
    kernel: pathlib.Path,
    disks,
    log,
    *,
    cpu=0,
    model=None,
    memory="1G",
    crashkernel="256M",
    append="",
    role="panic",
    initramfs=None,
    **options,
) -> Guest:
    """Starts the guest with its disk first in `disks`; it panics by itself. Debian's kernels of arm64 have no
    kexec_file_load(2)."""
    words = NORMAL_CMDLINE.format(crashkernel=crashkernel) + f" guest.role={role} guest.kexec=classic guest.cpu={cpu} {append}"
    return Guest(
        kernel=kernel / "vmlinuz",
        initramfs=initramfs or normal_initramfs(kernel),
        append=words.strip(),
        disks=disks,
        log=log,
        memory=memory,
        machine=machine(kernel, model),
        **options,
    )


def raw_dump(series: str, **options) -> pathlib.Path:
    """A byte-for-byte copy of the /proc/vmcore of a panic. Options are those of `start`."""
    kernel = fetch_kernel(series)
    if series.endswith(WIDE):
        options["model"] = "max"
    named, made_of = fingerprint(sorted(options.items()))[:8], fingerprint(*SOURCES, *dumps.SOURCES)[:8]
    path = CACHE / "dumps" / f"raw-{kernel_release(kernel)}-{named}-{made_of}.elf"
    started = time.monotonic()
    with dumps.once(path) as temporary:
        if temporary:
            machine = {"start": start, "initramfs": capture_initramfs, "crash_cmdline": CRASH_CMDLINE}
            dumps.capture_raw(kernel, temporary, options, **machine, limit=480 if "model" in options else 240)
            dumps.report(temporary, started)
    return path

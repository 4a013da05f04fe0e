"""A guest that takes the soft boot: the crash kernel packs the dump into memory and starts the normal kernel again."""

import pathlib
import shutil
import subprocess
import tempfile

from . import system
from .paths import GUEST, build_initramfs, run

# What makes /dev/pmemN of memory that is set aside.
PERSISTENT_MEMORY = "nd_e820 nd_pmem"
TARGET = "/dev/vda:/var/crash"
NORMAL_APPEND = f"rdinit=/soft-init mcore.target={TARGET}"
CRASH_CMDLINE = f"{system.CRASH_CMDLINE} mcore.target=memory:"


def normal_initramfs(kernel: pathlib.Path, capture: pathlib.Path, out: pathlib.Path, modules=""):
    """The normal boot's: the guest's own, with mcore-capture before it."""
    with tempfile.TemporaryDirectory() as directory:
        extra = pathlib.Path(directory)
        system.copy_kexec(extra)
        shutil.copy2(GUEST / "guest-init", extra / "bin/guest-init")
        shutil.copy2(GUEST / "soft-init", extra / "soft-init")
        return build_initramfs(kernel, capture, out, "--modules", f"{system.MODULES} {modules}", "--extra", extra)


def crash_initramfs(kernel: pathlib.Path, capture: pathlib.Path, normal: pathlib.Path, out: pathlib.Path, modules=""):
    """The crash kernel's: mcore-capture, and the normal kernel with its initramfs. Without `modules` it has no disk."""
    with tempfile.TemporaryDirectory() as directory:
        extra = pathlib.Path(directory)
        (extra / "normal").mkdir()
        shutil.copy2(kernel / "vmlinuz", extra / "normal/vmlinuz")
        shutil.copy2(normal, extra / "normal/initrd")
        shutil.copy2(GUEST / "raw-copy-init", extra / "raw-copy-init")
        return build_initramfs(kernel, capture, out, "--modules", modules, "--extra", extra)


def add_to_disk(image: pathlib.Path, files: dict) -> None:
    """Copies files onto the guest's disk, without mounting it: name on the disk -> file. Directories are made."""
    directories = sorted({str(parent) for name in files for parent in pathlib.PurePath(name).parents if str(parent) != "/"})
    requests = [f"mkdir {directory}" for directory in directories]
    requests += [f"write {path} {name}\nsif {name} mode 0100755" for name, path in files.items()]
    run("debugfs", "-w", "-f", "/dev/stdin", image, input="\n".join(requests) + "\n", stderr=subprocess.DEVNULL)


def mcore_program(program: pathlib.Path) -> dict:
    """mcore and the shared libraries that it needs, for add_to_disk."""
    files = {"/mcore/mcore": program}
    files |= {f"/mcore/lib/{library.name}": library for library in system.libraries(program)}
    return files

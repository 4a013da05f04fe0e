"""A guest that takes the soft boot: the crash kernel packs the dump into memory and starts the normal kernel again."""

import pathlib
import shutil
import tempfile

from . import system
from .paths import GUEST, build_initramfs

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

"""A guest that mcore arms at every boot; see armed-init."""

import pathlib
import shutil
import subprocess
import tempfile

from . import soft_boot, system
from .paths import GUEST, build_initramfs, run

TARGET = "/disk/var/crash"
APPEND = f"rdinit=/armed-init mcore.target={TARGET}"
ARM = "--target memory: --kernel /disk/boot/vmlinuz --initrd /disk/boot/initrd.img --base /disk/boot/base.img"
# A window in the middle of a guest of 1 GiB: firmware and QEMU put the next kernel below it and its initramfs above.
WINDOW = "64M@512M"
RESERVED = "memmap=64M!512M"


def make_disk(
    image: pathlib.Path, kernel: pathlib.Path, mcore: pathlib.Path, capture: pathlib.Path, work, files=(), modules="", tree=None
):
    """The disk, and the initramfs of the normal boot. The crash kernel's start can copy /proc/vmcore to the second disk first
    (`--append rdinit=/raw-copy-init`). `files`: name on the disk -> text; `tree` is laid over the initramfs of the normal boot.
    """
    initramfs = work / "normal.img"
    with tempfile.TemporaryDirectory() as directory:
        extra = pathlib.Path(directory)
        if tree:
            shutil.copytree(tree, extra, dirs_exist_ok=True)
        shutil.copy2(GUEST / "armed-init", extra / "armed-init")
        system.copy_kexec(extra)  # mcore's loader and libc come with it
        build_initramfs(kernel, capture, initramfs, "--modules", f"{system.MODULES} {modules}", "--extra", extra)
    base = work / "base.img"
    with tempfile.TemporaryDirectory() as directory:
        extra = pathlib.Path(directory)
        shutil.copy2(GUEST / "raw-copy-init", extra / "raw-copy-init")
        build_initramfs(kernel, capture, base, "--modules", "virtio_pci virtio_blk", "--extra", extra)
    system.make_disk(image, kernel, None)
    run("debugfs", "-w", "-R", "mkdir /var/crash", image, stderr=subprocess.DEVNULL)
    on_disk = {"/boot/initrd.img": initramfs, "/boot/base.img": base, **soft_boot.mcore_program(mcore)}
    for name, text in dict(files).items():
        path = work / name.strip("/").replace("/", "-")
        path.write_text(text)
        on_disk[name] = path
    soft_boot.add_to_disk(image, on_disk)
    return initramfs

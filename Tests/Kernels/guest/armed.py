"""A guest that mcore arms at every boot; see armed-init."""

import importlib.util
import pathlib
import shutil
import subprocess
import tempfile

from . import soft_boot, system
from .paths import GUEST, REPOSITORY, build_initramfs, kernel_release, run

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
    fill_disk(
        image, kernel, work, {"/boot/initrd.img": initramfs, "/boot/base.img": base, **soft_boot.mcore_program(mcore)}, files
    )
    return initramfs


def fill_disk(image: pathlib.Path, kernel: pathlib.Path, work: pathlib.Path, on_disk: dict, texts) -> None:
    """The disk of such a guest: name on it -> file, and name -> text."""
    system.make_disk(image, kernel, None)
    run("debugfs", "-w", "-R", "mkdir /var/crash", image, stderr=subprocess.DEVNULL)
    for name, text in dict(texts).items():
        path = work / name.strip("/").replace("/", "-")
        path.write_text(text)
        on_disk[name] = path
    soft_boot.add_to_disk(image, on_disk)


def module_tree(kernel: pathlib.Path, tree: pathlib.Path, wanted: list) -> None:
    """/lib/modules with these modules and all that they need."""
    specification = importlib.util.spec_from_file_location("modules", REPOSITORY / "initramfs/modules.py")
    modules = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(modules)
    release = kernel_release(kernel)
    source = kernel / "modules/lib/modules" / release
    known = modules.ModuleTree(str(source))
    target = tree / "lib/modules" / release
    target.mkdir(parents=True)
    for name in ("modules.alias", "modules.softdep", "modules.builtin"):
        shutil.copy2(source / name, target / name)
    lines = [line for line in (source / "modules.dep").read_text().splitlines() if line]
    taken, left = {}, list(wanted)
    while left:
        name = left.pop()
        if name in known.paths and name not in taken:
            path = taken[name] = known.paths[name]
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / path, target / path)
            left += known.needs[name]
    (target / "modules.dep").write_text("".join(f"{line}\n" for line in lines if line.split(":")[0] in taken.values()))

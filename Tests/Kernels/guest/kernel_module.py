"""Modules of our own for a stock kernel, built against its headers."""

import os
import pathlib
import shutil

from .paths import GUEST, REPOSITORY, kernel_release, run


def build(kernel: pathlib.Path, name: str, work: pathlib.Path) -> pathlib.Path:
    """The module NAME.ko, of guest/NAME_module.c; `work` is a directory for what is made on the way. Of kernels of Debian 12, whose
    compiler is this machine's."""
    headers = run(REPOSITORY / "scripts/kernel-headers.sh", kernel_release(kernel), timeout=900).strip()
    work.mkdir()
    shutil.copy2(GUEST / f"{name}_module.c", work)
    (work / "Kbuild").write_text(f"obj-m := {name}.o\n{name}-y := {name}_module.o\n")
    run("make", "-s", "-C", headers, f"M={work}", "CC=gcc-12", "modules", env={**os.environ, "KBUILD_MODPOST_WARN": "1"})
    return work / f"{name}.ko"

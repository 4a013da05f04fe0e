"""The crash utility: which one reads a kernel's dumps, and how it is called."""

import pathlib

from guest.paths import REPOSITORY, fetch_kernel

IN_SID = REPOSITORY / "scripts/in-sid.sh"


def is_old(series: str) -> bool:
    """Whether Debian 12's tools read dumps of this kernel: crash 8.0.2 does up to 6.1."""
    return series in ("5.10", "6.1")


def words(series: str, script: pathlib.Path, dump: pathlib.Path, binds, timeout: int = 300) -> list:
    """The command that runs crash's commands in `script` on a dump, with a time limit of its own: crash now and then reads
    without end in what is missing. `binds`: directories that the newer crash, in a root of Debian sid, has to see."""
    tool = ["crash", "-s", "-i", script, fetch_kernel(series, debug=True) / "vmlinux", dump]
    if series.startswith("7."):
        # crash 9.0.2 does not know where kernels from 7.x on keep a module's symbols, and ends there.
        tool.insert(1, "--no_modules")
    if not is_old(series):
        bound = [word for directory in binds for word in ("--bind", directory)]
        tool = [IN_SID, "--timeout", timeout, *bound, *tool]
    return [str(word) for word in ("timeout", "-k", "5", timeout, *tool)]

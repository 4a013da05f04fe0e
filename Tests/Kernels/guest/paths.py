"""Where things lie, and how the project's scripts are called."""

import hashlib
import os
import pathlib
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
GUEST = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mcore"

# Debian keeps mkfs.ext4 and debugfs where the PATH of a plain user does not lead.
os.environ["PATH"] += ":/usr/sbin:/sbin"


def run(*command, timeout=300, **options) -> str:
    """Runs a command and returns its standard output. What it says on standard error is shown as it is."""
    result = subprocess.run(
        [str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True, timeout=timeout, **options
    )
    return result.stdout


def fetch_kernel(series: str, debug: bool = False) -> pathlib.Path:
    """The directory of the newest kernel of the series: 6.1 for clouds, 6.1-generic for any machine, 6.1-rt with PREEMPT_RT; see
    scripts/kernel.sh."""
    series, _, flavour = series.partition("-")
    options = ["--debug"] * debug + [f"--{flavour}"] * bool(flavour)
    return pathlib.Path(run(REPOSITORY / "scripts/kernel.sh", *options, series, timeout=1800).strip())


def kernel_release(kernel: pathlib.Path) -> str:
    return (kernel / "release").read_text().strip()


def build_initramfs(kernel, init, out, *options) -> pathlib.Path:
    """Builds an initramfs with `init` (mcore-capture, or a script that stands for it); see initramfs/build.sh."""
    build = REPOSITORY / "initramfs/build.sh"
    run(build, "--kernel-dir", kernel, "--capture", init, "--out", out, *options)
    return pathlib.Path(out)


def fingerprint(*parts) -> str:
    """A short name for a set of inputs: the contents of files, the text of everything else."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, pathlib.Path) else repr(part).encode()
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()[:16]

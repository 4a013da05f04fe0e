"""Commands that are timed, and what is done before them."""

import os
import pathlib
import subprocess
import time

from guest.paths import REPOSITORY

MCORE = pathlib.Path(os.environ.get("MCORE_BIN", REPOSITORY / ".build/release")) / "mcore"
LIMIT = 600


def timed(*command, expected=0, out=subprocess.DEVNULL) -> float:
    """Seconds until the command has ended as expected."""
    words = [str(word) for word in command]
    start = time.monotonic()
    ended = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
    seconds = time.monotonic() - start
    if ended.returncode != expected:
        raise AssertionError(f"{' '.join(words)} ended with {ended.returncode}: {ended.stderr}")
    return seconds


def prepare_memory(work: pathlib.Path, size: int) -> None:
    """Uses so much memory and gives it back: a virtual machine may have to get it from its host first, which takes longer than to
    write to it."""
    piece = bytes(16 << 20)
    with open(work / "fill", "wb", buffering=0) as file:
        for _ in range(0, size, len(piece)):
            file.write(piece)
    (work / "fill").unlink()

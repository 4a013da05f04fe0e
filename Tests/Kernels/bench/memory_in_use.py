"""Runs in the bench's guest, by Debian's Python: what a system in use has besides its page cache.

Anonymous memory of three processes (the syntax trees of Python's own library, an index of its words, a table of them), and the kernel's
objects for many small files. Everything is made of real text; nothing is random.
"""

import ast
import os
import pathlib
import signal

LIBRARY = sorted(pathlib.Path("/usr/lib/python3.11").rglob("*.py"))


def resident() -> int:
    """MiB of this process."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20


def trees() -> list:
    return [ast.parse(path.read_text(errors="replace")) for path in LIBRARY]


def words() -> dict:
    held: dict = {}
    for path in LIBRARY:
        for number, line in enumerate(path.read_text(errors="replace").splitlines()):
            for word in line.split():
                held.setdefault(word, []).append((path.name, number, line))
    return held


def tables() -> list:
    """A record for each word: what a program has that works on rows of a table."""
    held = []
    for path in LIBRARY:
        for number, line in enumerate(path.read_text(errors="replace").splitlines()):
            held += [
                {"file": path.name, "line": number, "column": column, "word": word} for column, word in enumerate(line.split())
            ]
            if len(held) > 1_000_000:
                return held
    return held


def files(count: int) -> None:
    """An inode and a name each, in the kernel's slab."""
    for number in range(count):
        if number % 500 == 0:
            os.makedirs(f"/tmp/files/{number}")
        os.close(os.open(f"/tmp/files/{number - number % 500}/{number}.txt", os.O_CREAT))


def hold(make) -> None:
    """In a process of its own, which stays; returns when it has its memory."""
    is_made, made = os.pipe()
    if os.fork() == 0:
        held = make()
        print(f"{make.__name__}: {len(held)}, {resident()} MiB", flush=True)
        os.close(made)
        signal.pause()
    os.close(made)
    os.read(is_made, 1)


for each in trees, words, tables:
    hold(each)
files(60_000)

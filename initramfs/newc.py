#!/usr/bin/env python3
"""Packs a directory tree into an initramfs image: a gzip-compressed cpio archive in the "newc" format.

The format is simple enough to write here (Documentation/driver-api/early-userspace/buffer-format.rst of Linux), and
doing so has two merits over cpio(1): the device nodes that a kernel needs before /dev is mounted can be put in
without being root, and the same tree gives the same bytes every time (sorted, owner 0, time 0).

usage: newc.py TREE IMAGE
"""

import gzip
import os
import stat
import sys

# Without /dev/console the kernel starts /init with no standard output at all.
DEVICE_NODES = [
    ("dev/console", 0o600, 5, 1),
    ("dev/null", 0o666, 1, 3),
]


def pad(data: bytes) -> bytes:
    """Fills up to a multiple of four bytes."""
    return data + bytes(-len(data) % 4)


class Archive:
    """Writes entries one after the other; the inode number just counts, so that nothing is a hard link."""

    def __init__(self, out):
        self.out = out
        self.inode = 0

    def add(self, name: str, mode: int, data: bytes = b"", device=(0, 0)) -> None:
        self.inode += 1
        links = 2 if stat.S_ISDIR(mode) else 1
        encoded = os.fsencode(name) + b"\0"
        fields = [self.inode, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(encoded), 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self.out.write(pad(header + encoded))
        self.out.write(pad(data))

    def finish(self) -> None:
        self.inode = -1
        self.add("TRAILER!!!", 0)


def add_tree(archive: Archive, tree: str) -> None:
    """Adds what is in the tree. Parents come before their children, which the kernel's unpacker relies on."""
    names = []
    for directory, subdirectories, files in os.walk(tree):
        below = os.path.relpath(directory, tree)
        names += [os.path.normpath(os.path.join(below, name)) for name in subdirectories + files]
    for name in sorted(names):
        path = os.path.join(tree, name)
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            archive.add(name, stat.S_IFLNK | 0o777, os.fsencode(os.readlink(path)))
        elif stat.S_ISDIR(status.st_mode):
            archive.add(name, stat.S_IFDIR | 0o755)
        elif stat.S_ISREG(status.st_mode):
            # What is its owner's alone stays so: ssh takes no other private key.
            private = status.st_mode & 0o077 == 0
            executable = status.st_mode & 0o111 != 0
            mode = 0o600 if private and not executable else 0o755 if executable else 0o644
            with open(path, "rb") as file:
                archive.add(name, stat.S_IFREG | mode, file.read())
        else:
            sys.exit(f"newc.py: error: {path} is neither a file, a directory nor a link")


def pack(tree: str, image: str) -> None:
    """Makes the image from the tree. The image appears under its name only when it is whole."""
    temporary = f"{image}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as out:
            archive = Archive(out)
            add_tree(archive, tree)
            for name, mode, major, minor in DEVICE_NODES:
                archive.add(name, stat.S_IFCHR | mode, device=(major, minor))
            archive.finish()
        os.replace(temporary, image)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    pack(sys.argv[1], sys.argv[2])

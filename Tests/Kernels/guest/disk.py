"""ext4 disk images, made and read without root and without mounting."""

import os
import pathlib
import re
import shutil
import subprocess

from .paths import run


def make_ext4(image, size: str, tree=None) -> pathlib.Path:
    """Makes a sparse raw image of the size (as truncate writes it: 2G) with what is in the tree."""
    image = pathlib.Path(image)
    image.unlink(missing_ok=True)
    run("truncate", "-s", size, image)
    content = ["-d", tree] if tree else []
    # root_owner: the files in a test belong to root even when the harness does not run as root.
    # lazy_itable_init=0 keeps a kernel thread from writing to the disk while it is examined.
    run("mkfs.ext4", "-q", "-F", "-E", "root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0", *content, image)
    return image


def check(image) -> None:
    """Fails when the file system is damaged. Nothing is repaired."""
    command = ["e2fsck", "-fn", str(image)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    if result.returncode != 0:
        raise OSError(f"the file system in {image} is damaged, says e2fsck -fn:\n{result.stdout}")


def debugfs(image, request: str) -> str:
    # Its greeting comes on standard error, and so do errors, which its exit status does not tell: callers look.
    return run("debugfs", "-R", request, image, stderr=subprocess.DEVNULL)


def list_directory(image, path: str) -> list:
    """Names in a directory of the image, sorted; an empty list when there is no such directory."""
    names = []
    for line in debugfs(image, f"ls -p {path}").splitlines():
        # /inode/mode/uid/gid/name/size/
        if match := re.fullmatch(r"/\d+/\d+/\d+/\d+/(.*)/\d*/", line):
            names.append(match[1])
    return sorted(set(names) - {".", ".."})


def extract_file(image, path: str, out) -> None:
    debugfs(image, f'dump "{path}" "{out}"')
    if not os.path.exists(out):
        raise FileNotFoundError(f"{path} is not in {image}")


def extract_tree(image, path: str, parent) -> pathlib.Path:
    """Copies a directory of the image into the directory `parent` and returns the copy."""
    copy = pathlib.Path(parent) / path.rstrip("/").rpartition("/")[2]
    if copy.exists():
        shutil.rmtree(copy)
    debugfs(image, f'rdump "{path}" "{parent}"')
    if not copy.is_dir():
        raise FileNotFoundError(f"{path} is not in {image}")
    return copy

#!/usr/bin/env python3
"""Copies kernel modules, with all that they depend on, into an initramfs tree.

Modules are decompressed on the way, so that finit_module(2) alone can load them. TREE/etc/mcore.modules lists their
paths in the order of loading, one per line. What is built into this kernel needs no module and is skipped.

usage: modules.py KERNEL_DIR TREE MODULE...

KERNEL_DIR holds `release` and modules/lib/modules/RELEASE (see scripts/kernel.sh).
"""

import gzip
import lzma
import os
import subprocess
import sys


def module_name(path: str) -> str:
    """kernel/fs/ext4/ext4.ko.xz is ext4; the kernel takes - and _ in names for the same."""
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


def decompressed(path: str) -> bytes:
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq", path], check=True, stdout=subprocess.PIPE).stdout
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(os.path.splitext(path)[1], open)
    with opener(path, "rb") as file:
        return file.read()


class ModuleTree:
    """What depmod knows about the modules of one kernel."""

    def __init__(self, directory: str):
        self.directory = directory
        self.paths = {}  # name -> path below the directory
        self.needs = {}  # name -> names that have to be loaded before
        for path, needed in self.lines("modules.dep"):
            self.paths[module_name(path)] = path
            self.needs[module_name(path)] = [module_name(other) for other in needed]
        self.builtin = {module_name(path) for path, _ in self.lines("modules.builtin")}
        self.aliases = self.read_aliases()
        self.read_soft_dependencies()

    def lines(self, name: str):
        """Yields the word before the colon and the words after it."""
        with open(os.path.join(self.directory, name)) as file:
            for line in file:
                first, _, rest = line.partition(":")
                yield first.strip(), rest.split()

    def read_aliases(self) -> dict:
        """`alias crypto-crc32c crc32c_generic`: other names of modules. Patterns for devices are not needed here."""
        aliases = {}
        with open(os.path.join(self.directory, "modules.alias")) as file:
            for line in file:
                words = line.split()
                if len(words) == 3 and words[0] == "alias" and not set(words[1]) & set("*:["):
                    aliases.setdefault(module_name(words[1]), []).append(words[2].replace("-", "_"))
        return aliases

    def named(self, name: str) -> list:
        """The modules that a soft dependency means. An algorithm whose plain form is built in needs none."""
        if name in self.paths:
            return [name]
        if name.removeprefix("crypto_") + "_generic" in self.builtin:
            return []
        return [module for module in self.aliases.get(name, []) if module in self.paths]

    def read_soft_dependencies(self) -> None:
        """`softdep ext4 pre: crypto-crc32c`: needed at run time though no symbol says so."""
        with open(os.path.join(self.directory, "modules.softdep")) as file:
            for line in file:
                words = line.split()
                if words[:1] != ["softdep"] or "pre:" not in words:
                    continue
                before = words[words.index("pre:") + 1 :]
                if "post:" in before:
                    before = before[: before.index("post:")]
                name = words[1].replace("-", "_")
                self.needs.setdefault(name, [])
                for other in map(module_name, before):
                    self.needs[name] += self.named(other)

    def load_order(self, wanted) -> list:
        """Paths of all modules needed, each after those that it needs."""
        order = []
        visited = set()

        def visit(name: str) -> None:
            if name in visited or name in self.builtin:
                return
            visited.add(name)
            if name not in self.paths:
                sys.exit(f"modules.py: error: {self.directory} has no module {name}, and it is not built in")
            for other in self.needs[name]:
                visit(other)
            order.append(self.paths[name])

        for name in wanted:
            visit(name.replace("-", "_"))
        return order


def copy_modules(kernel_directory: str, tree: str, wanted) -> None:
    with open(os.path.join(kernel_directory, "release")) as file:
        release = file.read().strip()
    below = os.path.join("lib/modules", release)
    source = os.path.join(kernel_directory, "modules", below)
    listed = []
    for path in ModuleTree(source).load_order(wanted):
        plain = os.path.join(below, path.split(".ko")[0] + ".ko")
        os.makedirs(os.path.dirname(os.path.join(tree, plain)), exist_ok=True)
        with open(os.path.join(tree, plain), "wb") as out:
            out.write(decompressed(os.path.join(source, path)))
        listed.append("/" + plain + "\n")
    os.makedirs(os.path.join(tree, "etc"), exist_ok=True)
    with open(os.path.join(tree, "etc/mcore.modules"), "w") as file:
        file.writelines(listed)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    copy_modules(sys.argv[1], sys.argv[2], sys.argv[3:])

"""A reader of the MCORE note (docs/format.md) that shares no code with mcore: which memory is not in a dump, and why."""

import struct

from .elf import Core

CLASSES = ["unknown", "free", "cache", "cache-private", "user", "offline", "hwpoison", "kernel"]
ABSENT_MEMORY = 5


def absent_pages(path) -> dict:
    """Class -> the page frames of that class that the dump lacks."""
    note = next(descriptor for name, kind, descriptor in Core(path).notes() if (name, kind) == ("MCORE", 1))
    assert note[:8] == b"MCORNOTE", path
    records = struct.unpack_from("<I", note, 16)[0]
    result = {name: set() for name in CLASSES}
    at = 32
    for _ in range(records):
        kind, _, size = struct.unpack_from("<IIQ", note, at)
        payload = note[at + 16 : at + 16 + size]
        at += 16 + (size + 7) // 8 * 8
        if kind == ABSENT_MEMORY:
            for first, end, _, number in struct.iter_unpack("<QQII", payload):
                result[CLASSES[number]].update(range(first >> 12, (end + 4095) >> 12))
    return result

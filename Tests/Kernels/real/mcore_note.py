"""A reader of the MCORE note (docs/format.md) that shares no code with mcore: which memory is not in a dump, and why."""

import struct

from .elf import Core

CLASSES = ["unknown", "free", "cache", "cache-private", "user", "offline", "hwpoison", "kernel"]
ABSENT_MEMORY = 9


def absent_ranges(payload):
    """(first byte, byte after the last, class) of each packed range."""
    at = end = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = payload[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(payload):
        tag = payload[at]
        at += 1
        unit = 0 if tag & 128 else 12
        first = end + (0 if tag & 64 else number() << unit)
        end = first + (number() << unit)
        yield first, end, tag & 7


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
            for first, end, number in absent_ranges(payload):
                result[CLASSES[number]].update(range(first >> 12, (end + 4095) >> 12))
    return result

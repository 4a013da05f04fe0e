"""A writer of LKCD's files that shares no code with mcore, by the facts in LKCD's include/linux/dump.h and drivers/dump/dump_rle.c."""

import re
import struct
import zlib

MAGIC = 0xA8190173618F23ED
PAGE = 4096
RAW, COMPRESSED, END = 1, 2, 4
NONE, RLE, GZIP = 0, 1, 2
START = 65536


RUNS = re.compile(rb"(.)\1{2,255}|\0\0?", re.DOTALL)


def runs(page: bytes) -> bytes:
    """0 N B for N + 1 times the byte B, 0 0 for a zero; any other byte stands for itself."""
    return RUNS.sub(lambda run: bytes((0, len(run[0]) - 1, run[0][0])) if len(run[0]) > 1 else b"\0\0", page)


def header(release: str, panic: str, compression: int, pages: int, crash_time: int, version: int = 9) -> bytes:
    names = [text.encode().ljust(65, b"\0") for text in ("Linux", "lkcd-test", release, "#1", "x86_64", "(none)")]
    size = 742 if version >= 9 else 734
    words = struct.pack("<QIIIIQQQI", MAGIC, version, size, 8, PAGE, 0, 0, MAGIC, pages)
    words += panic.encode().ljust(256, b"\0") + struct.pack("<QQ", crash_time, 0) + b"".join(names)
    words += struct.pack("<QIII", 0, compression, 0, 0)
    return words + (struct.pack("<Q", START) if version >= 9 else b"")


def registers(processors) -> bytes:
    """`processors`: of each CPU its 21 registers."""
    own = struct.pack("<21Q", *processors[0])
    count = 192 + 192 * len(processors)
    packed = b"".join(struct.pack("<21Q", *words) for words in processors)
    return (
        struct.pack("<QII", 0xDEADDEAD, 2, count)
        + own
        + struct.pack("<II", len(processors), 0)
        + packed
        + bytes(24 * len(processors))
    )


def write(path, pages, release, panic, compression, crash_time, processors, version=9) -> None:
    """`pages`: (frame, content) in the order of the file."""
    pages = list(pages)
    with open(path, "wb") as file:
        start = header(release, panic, compression, len(pages), crash_time, version) + registers(processors)
        file.write(start.ljust(START, b"\0"))
        for frame, page in pages:
            packed = {NONE: lambda page: page, RLE: runs, GZIP: lambda page: zlib.compress(page, 1)}[compression](page)
            flags = COMPRESSED
            if len(packed) >= len(page):
                flags, packed = RAW, page
            file.write(struct.pack("<QII", frame * PAGE, len(packed), flags) + packed)
        file.write(struct.pack("<QII", 0, 0, END))

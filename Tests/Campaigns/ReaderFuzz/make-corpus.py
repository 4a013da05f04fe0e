#!/usr/bin/env python3
"""Writes the corpus of small dumps, one of each format: make-corpus.py MCORE. Needs bgzip, gzip and zstd."""

import pathlib
import random
import struct
import subprocess
import sys
import zlib

mcore = pathlib.Path(sys.argv[1]).resolve()
out = pathlib.Path(__file__).parent / "corpus"
out.mkdir(exist_ok=True)
numbers = random.Random(1)
# Half a page of noise, a line over and over.
pages = [numbers.randbytes(1024) + (b"line %d of a page\n" % number * 300)[:3072] for number in range(6)]


def note(name: bytes, kind: int, text: bytes) -> bytes:
    name += b"\0"
    padded = [part + bytes(-len(part) % 4) for part in (name, text)]
    return struct.pack("<III", len(name), len(text), kind) + b"".join(padded)


def elf() -> bytes:
    notes = note(b"CORE", 1, bytes(336)) + note(b"VMCOREINFO", 0, b"OSRELEASE=6.1.0-fuzz\nPAGESIZE=4096\nCRASHTIME=1763866267\n")
    loads = [(0x1000, pages[:2]), (0x100000, pages[2:5]), (0x200000, pages[5:] + [bytes(4096)])]
    start = 64 + 56 * (1 + len(loads))
    place = (start + len(notes) + 4095) // 4096 * 4096
    headers, data = struct.pack("<IIQQQQQQ", 4, 0, start, 0, 0, len(notes), len(notes), 0), b""
    for address, content in loads:
        memory = b"".join(content)
        headers += struct.pack(
            "<IIQQQQQQ", 1, 7, place + len(data), 0xFFFF888000000000 + address, address, len(memory), len(memory), 0
        )
        data += memory
    ident = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1 + len(loads), 64, 0, 0)
    return (ident + headers + notes).ljust(place, b"\0") + data


def run(*words, data=None) -> bytes:
    return subprocess.run([str(word) for word in words], input=data, capture_output=True, check=True).stdout


def put(name: str, data: bytes) -> pathlib.Path:
    path = out / name
    path.write_bytes(data)
    return path


plain = put("elf-foreign", elf())
for name in ("elf", "elf.gz", "elf.zst", "kdump-zlib", "kdump-zstd"):
    target = out / f"{name}-ours"
    target.unlink(missing_ok=True)
    # It has findings, and its names of files are in them. 3: with findings.
    subprocess.run([mcore, "convert", "-q", "--format", name, plain.name, target.name], cwd=out, stderr=subprocess.DEVNULL)
put("elf.gz-bgzip", run("bgzip", "-c", plain))
put("gzip-one", run("gzip", "-nc", plain))
put("gzip-two", run("gzip", "-nc", data=elf()[:9000]) + run("gzip", "-1nc", data=elf()[9000:]))
put("zstd-unsized", run("zstd", "-qc", data=elf()))
kdump = bytearray((out / "kdump-zlib-ours").read_bytes())
flat = b"makedumpfile".ljust(4096, b"\0")
for place in range(0, len(kdump), 10000):
    piece = kdump[place : place + 10000]
    flat += struct.pack(">qq", place, len(piece)) + piece
put("flattened-kdump", flat + struct.pack(">qq", -1, -1))
put("gzip-flattened", run("gzip", "-nc", data=flat + struct.pack(">qq", -1, -1)))
# The first part of a set: the frames below 0x101. Descriptors are those of the whole file, and lead too far.
struct.pack_into("<IQQ", kdump, 4096 + 12, 1, 0, 0x101)
struct.pack_into("<QQ", kdump, 4096 + 80, 0, 0x101)
put("split-first", kdump)


def lkcd(compression: int, packed) -> bytes:
    """Two passes; the second page of the first stands there twice. From version 9 on pages begin where the header says."""
    names = b"".join(text.ljust(65, b"\0") for text in (b"Linux", b"fuzz", b"2.6.9-fuzz", b"#1", b"x86_64", b"(none)"))
    head = struct.pack("<QIIIIQQQI", 0xA8190173618F23ED, 9, 742, 8, 4096, 0, 0, 0, 8) + b"Oops".ljust(256, b"\0")
    head += struct.pack("<QQ", 1110000000, 0) + names + struct.pack("<QIIIQ", 0, compression, 0, 0, 2048)
    registers = struct.pack("<QII168sII", 0xDEADDEAD, 2, 192 + 192, b"\1" * 168, 1, 0) + b"\1" * 168 + bytes(24)
    data = (head + registers).ljust(2048, b"\0")
    for frame, page in [
        (1, pages[0]),
        (2, pages[1]),
        (64, pages[2]),
        (33, pages[3]),
        (2, pages[1]),
        (0, bytes(4096)),
        (34, pages[4]),
    ]:
        data += struct.pack("<QII", frame << 12, len(packed(page)), 2) + packed(page)
    data += struct.pack("<QII", 35 << 12, 4096, 1) + pages[5]
    return data + struct.pack("<QII", 0, 0, 4)


def runs(extra: int):
    """LKCD's RLE: 0 N B is N (libkdumpfile) or N + 1 (LKCD) times the byte B."""

    def pack(page: bytes) -> bytes:
        out, index = bytearray(), 0
        while index < len(page):
            end = index + 1
            while end < min(len(page), index + 255) and page[end] == page[index]:
                end += 1
            count = end - index
            if count > 3 or count > 1 and not page[index]:
                out += bytes((0, count - extra, page[index]))
            else:
                out += page[index:end] if page[index] else b"\0\0"
            index = end
        return bytes(out)

    return pack


put("lkcd-zlib", lkcd(2, zlib.compress))
put("lkcd-rle", lkcd(1, runs(1)))
put("lkcd-short-rle", lkcd(1, runs(0)))

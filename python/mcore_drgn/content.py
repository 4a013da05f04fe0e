"""The uncompressed bytes of a dump, at any offset: docs/format.md of mcore says where everything is."""

import bisect
import ctypes
import functools
import os
import struct
import zlib

BGZF_HEADER = 18
END_OF_FILE = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
# A footer of 64 bytes, as a stored member and as a frame of one raw block.
FOOTER, FOOTER_MEMBER, FOOTER_FRAME = 64, 95, 73
GROUP = 16 * 61440
SEEK_TABLE_MAGIC, SKIPPABLE_MAGIC = 0x8F92EAB1, 0x184D2A5E
LARGEST_FRAME = 16 << 20
# Blocks that are kept: up to 32 MiB of elf.gz, 64 MiB of elf.zst.
CACHED_MEMBERS, CACHED_FRAMES = 512, 64


class Damaged(ValueError):
    """The file is no dump of a kind that is known, or is damaged."""


class Plain:
    """A file that is not compressed."""

    def __init__(self, path):
        self.path = os.fspath(path)
        self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.file_size = self.size = os.fstat(self.file).st_size

    def raw(self, offset: int, count: int) -> bytes:
        """Bytes of the file, as many as are there."""
        return os.pread(self.file, count, offset) if 0 <= offset < self.file_size else b""

    def read(self, offset: int, count: int) -> bytes:
        """Uncompressed bytes: all of them, or an error."""
        parts = []
        while count > 0:
            part = self.part(offset, count)
            if not part:
                raise Damaged(f"{self.path}: the file ends before offset {offset:#x}")
            parts.append(part)
            offset += len(part)
            count -= len(part)
        return b"".join(parts)

    def part(self, offset: int, count: int) -> bytes:
        return self.raw(offset, min(count, 1 << 20))


class BGZF(Plain):
    """gzip members of at most 64 KiB, each with its size in its header. The dump's own index leads to every sixteenth one; in a file
    without it they are walked once."""

    def __init__(self, path):
        super().__init__(path)
        self.starts, self.places = self.index() or self.walk()
        self.member = functools.lru_cache(CACHED_MEMBERS)(self.inflated)
        self.group = functools.lru_cache(4096)(self.members)

    def index(self):
        """(uncompressed, compressed) offsets of groups, from the footer and the trailer of a whole dump; else None."""
        tail = self.raw(self.file_size - FOOTER_MEMBER - len(END_OF_FILE), FOOTER_MEMBER + len(END_OF_FILE))
        if not tail.endswith(END_OF_FILE):
            return None
        footer = tail[BGZF_HEADER + 5 : BGZF_HEADER + 5 + FOOTER]
        if (
            footer[:8] != b"MCOREEND"
            or zlib.crc32(footer[:12] + bytes(4) + footer[16:]) != struct.unpack_from("<I", footer, 12)[0]
        ):
            return None
        trailer_offset, self.size, trailer_size, place = struct.unpack_from("<QQQQ", footer, 16)
        trailer = b""
        position = place
        while len(trailer) < trailer_size:
            content, count = self.inflated(position)
            trailer += content
            position += count
        for kind, payload in records(trailer):
            if kind == 3:
                places = list(struct.unpack(f"<{len(payload) // 8}Q", payload))
                return [GROUP * index for index in range(len(places))] + [trailer_offset], [*places, place]
        return None

    def walk(self):
        starts, places = [], []
        start = place = 0
        while (size := self.member_size(place)) and len(tail := self.raw(place + size - 4, 4)) == 4:
            starts.append(start)
            places.append(place)
            start += struct.unpack("<I", tail)[0]
            place += size
        if not starts:
            raise Damaged(f"{self.path}: gzip, but not in blocks (BGZF): decompress it with gzip -d")
        self.size = start
        return starts, places

    def member_size(self, place: int) -> int:
        header = self.raw(place, BGZF_HEADER)
        if len(header) < BGZF_HEADER or header[:4] != b"\x1f\x8b\x08\x04" or header[12:14] != b"BC":
            return 0
        return struct.unpack_from("<H", header, 16)[0] + 1

    def inflated(self, place: int) -> tuple:
        """A member's content, and its compressed size."""
        size = self.member_size(place)
        data = self.raw(place, size)
        if size <= BGZF_HEADER + 8 or len(data) < size:
            raise Damaged(f"{self.path}, offset {place:#x}: no block here")
        content = zlib.decompress(data[BGZF_HEADER:-8], wbits=-15)
        if struct.unpack("<II", data[-8:]) != (zlib.crc32(content), len(content)):
            raise Damaged(f"{self.path}, offset {place:#x}: a damaged block")
        return content, size

    def members(self, index: int) -> list:
        """(uncompressed offset, compressed offset) of the members of a group, by their headers."""
        start, place = self.starts[index], self.places[index]
        end = self.places[index + 1] if index + 1 < len(self.places) else self.file_size
        found = []
        while place < end and (size := self.member_size(place)):
            found.append((start, place))
            start += struct.unpack("<I", self.raw(place + size - 4, 4))[0]
            place += size
        return found

    def part(self, offset: int, count: int) -> bytes:
        group = self.group(bisect.bisect_right(self.starts, offset) - 1)
        index = bisect.bisect_right(group, (offset, 1 << 64)) - 1
        if index < 0:
            return b""
        start, place = group[index]
        content, _ = self.member(place)
        return content[offset - start : offset - start + count]


class Zstd(Plain):
    """zstd frames that stand alone, with a seek table at the end."""

    def __init__(self, path):
        super().__init__(path)
        footer = self.raw(self.file_size - 9, 9)
        count, flags, magic = struct.unpack("<IBI", footer) if len(footer) == 9 else (0, 0, 0)
        size = 17 + count * (12 if flags & 0x80 else 8)
        table = self.raw(self.file_size - size, size) if magic == SEEK_TABLE_MAGIC and size <= self.file_size else b""
        if len(table) != size or struct.unpack_from("<I", table)[0] != SKIPPABLE_MAGIC:
            raise Damaged(f"{self.path}: zstd without a seek table: decompress it with zstd -d")
        self.frames, self.starts = [], []
        start = place = 0
        for index in range(count):
            compressed, content = struct.unpack_from("<II", table, 8 + index * (12 if flags & 0x80 else 8))
            if content:
                self.starts.append(start)
                self.frames.append((place, compressed, content))
            start += content
            place += compressed
        if place != self.file_size - size:
            raise Damaged(f"{self.path}: the seek table is of another file")
        self.size = start
        self.frame = functools.lru_cache(CACHED_FRAMES)(self.inflated)

    def inflated(self, index: int) -> bytes:
        place, compressed, size = self.frames[index]
        if size > LARGEST_FRAME:
            raise Damaged(f"{self.path}: a frame of {size} bytes")
        return zstd(self.raw(place, compressed), size, f"{self.path}, offset {place:#x}")

    def part(self, offset: int, count: int) -> bytes:
        index = bisect.bisect_right(self.starts, offset) - 1
        start = offset - self.starts[index]
        return self.frame(index)[start : start + count]


def zstd(data: bytes, size: int, place: str) -> bytes:
    try:
        from compression import zstd as module  # Python 3.14
    except ImportError:
        library = ctypes.CDLL("libzstd.so.1")
        library.ZSTD_decompress.restype = ctypes.c_size_t
        content = ctypes.create_string_buffer(size)
        if library.ZSTD_decompress(content, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data))) != size:
            raise Damaged(f"{place}: a damaged frame") from None
        return content.raw
    content = module.decompress(data)
    if len(content) != size:
        raise Damaged(f"{place}: a damaged frame")
    return content


def records(envelope: bytes):
    """(type, payload) of the records of a note or trailer of mcore."""
    offset = 32
    while offset + 16 <= len(envelope):
        kind, _, count = struct.unpack_from("<IIQ", envelope, offset)
        yield kind, envelope[offset + 16 : offset + 16 + count]
        offset += 16 + (count + 7) // 8 * 8


def open_content(path) -> Plain:
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic[:2] == b"\x1f\x8b":
        return BGZF(path)
    if magic == b"\x28\xb5\x2f\xfd":
        return Zstd(path)
    return Plain(path)

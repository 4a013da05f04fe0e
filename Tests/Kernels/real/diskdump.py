"""A reader of kdump-compressed files (diskdump, header version 6) that shares no code with mcore: which pages are in them."""

import bisect
import ctypes
import mmap
import pathlib
import struct
import zlib

# struct disk_dump_header (makedumpfile's IMPLEMENTATION, diskdump_mod.h): offsets in bytes.
BLOCK_SIZE = 428
BITMAP_BLOCKS, MAX_MAPNR = 436, 440


def kept_pages(path) -> bytearray:
    """One byte for each page frame: 1 where the file holds the page (the second of its bitmaps)."""
    data = pathlib.Path(path).read_bytes()
    assert data[:8] == b"KDUMP   ", f"{path} is no kdump-compressed file"
    block_size, sub_header_blocks = struct.unpack_from("<II", data, BLOCK_SIZE)
    bitmap_blocks, frames = struct.unpack_from("<II", data, BITMAP_BLOCKS)
    start = (1 + sub_header_blocks + bitmap_blocks // 2) * block_size
    return bytearray(data[start + (pfn >> 3)] >> (pfn & 7) & 1 for pfn in range(frames))


class Kdump:
    """The pages of a kdump-compressed file by frame number, inflated by libraries of Python and of the system."""

    ZLIB, LZO, SNAPPY, ZSTD = 1, 2, 4, 0x20

    def __init__(self, path):
        self.path = pathlib.Path(path)
        with open(path, "rb") as file:
            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        assert self.map[:8] == b"KDUMP   ", f"{path} is no kdump-compressed file"
        self.status, self.page_size, sub_header_blocks = struct.unpack_from("<III", self.map, 424)
        bitmap_blocks, _ = struct.unpack_from("<II", self.map, BITMAP_BLOCKS)
        sub_header = self.map[self.page_size : self.page_size + 104]
        self.dump_level = struct.unpack_from("<i", sub_header, 8)[0]
        self.vmcoreinfo_place = struct.unpack_from("<QQ", sub_header, 32)
        self.notes_place = struct.unpack_from("<QQ", sub_header, 48)
        self.frames = struct.unpack_from("<Q", sub_header, 96)[0]
        start = (1 + sub_header_blocks) * self.page_size
        half = bitmap_blocks // 2 * self.page_size
        self.existing = self.bits(start)
        self.kept = self.bits(start + half)
        self.descriptors = start + 2 * half

    def bits(self, offset: int) -> list:
        """The frames whose bit is set."""
        bitmap = self.map[offset : offset + (self.frames + 7) // 8]
        return [8 * index + bit for index, byte in enumerate(bitmap) if byte for bit in range(8) if byte >> bit & 1]

    def pages(self):
        """(frame, content) of each page; content is None where the page was lost."""
        for number, frame in enumerate(self.kept):
            offset, size, flags, _ = struct.unpack_from("<QIIQ", self.map, self.descriptors + 24 * number)
            yield frame, self.inflated(self.map[offset : offset + size], flags) if offset else None

    def inflated(self, data: bytes, flags: int) -> bytes:
        if flags & self.ZLIB:
            page = zlib.decompress(data)
        elif flags & self.ZSTD:
            page = zstd(data, self.page_size)
        elif flags & (self.LZO | self.SNAPPY):
            raise AssertionError("this reader knows zlib and zstd alone")
        else:
            page = data
        assert len(page) == self.page_size, f"a page of {len(page)} bytes"
        return page


def zstd(data: bytes, size: int) -> bytes:
    page = ctypes.create_string_buffer(size)
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_decompress.restype = ctypes.c_size_t
    count = library.ZSTD_decompress(page, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
    assert count == size, f"a zstd page of {count} bytes"
    return page.raw


def differing_pages(kdump: Kdump, core) -> tuple:
    """Compares each page with that of an ELF core by physical address: (pages that differ or are not in the core, pages). Bytes
    that the core does not have (a segment that ends within a page) have to be zeros."""
    loads = sorted(core.loads)
    starts = [load[0] for load in loads]
    wrong = total = 0
    for frame, page in kdump.pages():
        total += 1
        start, size = frame * kdump.page_size, kdump.page_size
        wanted, found = bytearray(size), False
        for paddr, offset, filesz, _, _ in loads[max(0, bisect.bisect_right(starts, start) - 8) :]:
            if paddr >= start + size:
                break
            first, end = max(paddr, start), min(paddr + filesz, start + size)
            if first < end:
                found = True
                wanted[first - start : end - start] = core.bytes_at(offset + first - paddr, end - first)
        wrong += not found or page is None or page != bytes(wanted)
    return wrong, total

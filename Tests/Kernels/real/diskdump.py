"""A reader of kdump-compressed files (diskdump, header version 6) that shares no code with mcore: which pages are in them."""

import pathlib
import struct

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

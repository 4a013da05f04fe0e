"""A drgn Program on a dump: its memory by physical address, its VMCOREINFO."""

import bisect
import struct

import drgn

from .content import Damaged, open_content

PT_LOAD, PT_NOTE, XNUM = 1, 4, 0xFFFF
PROGRAM_HEADER_LIMIT, NOTES_LIMIT = 1 << 20, 64 << 20
ARCHITECTURES = {62: drgn.Architecture.X86_64, 183: drgn.Architecture.AARCH64}


class Core:
    """An ELF64 core, little-endian: memory by physical address, and notes."""

    def __init__(self, path):
        self.content = content = open_content(path)
        header = content.read(0, 64)
        if header[:6] != b"\x7fELF\x02\x01":
            raise Damaged(f"{path}: not an ELF core of a 64-bit little-endian machine")
        machine = struct.unpack_from("<H", header, 18)[0]
        if machine not in ARCHITECTURES:
            raise Damaged(f"{path}: machine {machine} is not supported")
        self.architecture = ARCHITECTURES[machine]
        place, sections = struct.unpack_from("<QQ", header, 32)
        count = struct.unpack_from("<H", header, 56)[0]
        if count == XNUM:
            count = struct.unpack_from("<I", content.read(sections, 64), 44)[0]
        if count > PROGRAM_HEADER_LIMIT:
            raise Damaged(f"{path}: {count} program headers")
        table = content.read(place, 56 * count)
        headers = [struct.unpack_from("<IIQQQQQQ", table, 56 * index) for index in range(count)]
        # (first address, address behind the last, file offset, bytes in the file)
        self.segments = sorted((h[4], h[4] + h[6], h[2], h[5]) for h in headers if h[0] == PT_LOAD and h[6] > 0)
        self.starts = [segment[0] for segment in self.segments]
        self.notes = [note for h in headers if h[0] == PT_NOTE for note in self.decoded(h[2], h[5])]

    def decoded(self, offset: int, count: int) -> list:
        """(name, descriptor) of the notes of a segment."""
        data = self.content.read(offset, count) if count <= NOTES_LIMIT else b""
        notes, position = [], 0
        while position + 12 <= len(data):
            name_size, size, _ = struct.unpack_from("<III", data, position)
            if name_size == size == 0:
                break
            start = position + 12 + (name_size + 3) // 4 * 4
            notes.append((data[position + 12 : position + 12 + name_size].rstrip(b"\0"), data[start : start + size]))
            position = start + (size + 3) // 4 * 4
        return notes

    def vmcoreinfo(self) -> bytes:
        for name, descriptor in self.notes:
            if name == b"VMCOREINFO" and descriptor:
                return descriptor.rstrip(b"\0")
        raise Damaged(f"{self.content.path}: no VMCOREINFO: drgn can't be told what kernel this is")

    def read(self, address: int, count: int, offset: int = 0, physical: bool = True) -> bytes:
        """As drgn calls it. Memory that is not in the dump is a fault, never zeros."""
        parts = []
        while count > 0:
            part = self.part(address, count)
            parts.append(part)
            address += len(part)
            count -= len(part)
        return b"".join(parts)

    def part(self, address: int, count: int) -> bytes:
        # Kernel text stands in two segments: the last one that begins before the address need not be the one that holds it.
        index = bisect.bisect_right(self.starts, address) - 1
        for start, end, offset, size in self.segments[max(0, index - 3) : index + 1][::-1]:
            if start <= address < end:
                within = address - start
                count = min(count, end - address)
                if within >= size:
                    return bytes(count)
                return self.content.read(offset + within, min(count, size - within))
        raise drgn.FaultError("not in the dump", address)


def open_dump(path) -> drgn.Program:
    """A Program for the kernel that crashed; debugging symbols are not loaded yet."""
    core = Core(path)
    flags = drgn.PlatformFlags.IS_64_BIT | drgn.PlatformFlags.IS_LITTLE_ENDIAN
    prog = drgn.Program(drgn.Platform(core.architecture, flags))
    prog.add_memory_segment(0, 1 << 52, core.read, physical=True)
    prog.set_linux_kernel_custom(core.vmcoreinfo(), is_live=False)
    return prog

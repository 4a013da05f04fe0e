"""A module that dies, or hangs, when it is loaded: one of the kernel's own, whose first instruction after the call of ftrace is
ud2, or a jump to itself."""

import lzma
import pathlib
import struct

UD2 = b"\x0f\x0b"
JUMP_TO_ITSELF = b"\xeb\xfe"
# include/linux/module_signature.h: 12 bytes that end with the signature's length, then this.
SIGNED = b"~Module signature appended~\n"
NAME = "dummy"


def sections(data: bytes) -> list:
    """(name, type, offset, size, link, info) of each section."""
    offset, (entry, count, names) = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<HHH", data, 58)
    found = [struct.unpack_from("<IIQQQQIIQQ", data, offset + index * entry) for index in range(count)]
    text = found[names][4]

    def name(at):
        return data[text + at : data.index(b"\0", text + at)].decode()

    return [(name(one[0]), one[1], one[4], one[5], one[6], one[7]) for one in found]


def make(kernel: pathlib.Path, out: pathlib.Path, code: bytes = UD2) -> None:
    path = next((kernel / "modules").rglob(f"{NAME}.ko*"))
    data = bytearray(path.read_bytes())
    if path.suffix == ".xz":
        data = bytearray(lzma.decompress(data))
    if data.endswith(SIGNED):
        # The signature would be wrong: it is taken off.
        end = len(data) - len(SIGNED) - 12
        del data[end - struct.unpack_from(">I", data, end + 8)[0] :]
    parts = sections(data)
    symbols = next(part for part in parts if part[0] == ".symtab")
    strings = parts[symbols[4]][2]
    for at in range(symbols[2], symbols[2] + symbols[3], 24):
        name, _, _, section, value, size = struct.unpack_from("<IBBHQQ", data, at)
        if data[strings + name : data.index(b"\0", strings + name)] == b"init_module":
            break
    else:
        raise ValueError("no init_module")
    # The first relocation is that of the call of __fentry__; what follows it is the function's own code.
    relocations = [
        struct.unpack_from("<Q", data, at)[0]
        for part in parts
        if part[1] == 4 and part[5] == section
        for at in range(part[2], part[2] + part[3], 24)
    ]
    place = min(at for at in relocations if value <= at < value + size) + 4
    data[parts[section][2] + place : parts[section][2] + place + len(code)] = code
    out.write_bytes(data)

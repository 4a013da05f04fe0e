"""The pixels of a PNG as Chromium writes it: 8 bits a sample, RGB or RGBA, not interlaced (RFC 2083)."""

import struct
import zlib


class Picture:
    def __init__(self, data: bytes):
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        place, packed = 8, b""
        while place < len(data):
            size, kind = struct.unpack_from(">I4s", data, place)
            body = data[place + 8 : place + 8 + size]
            if kind == b"IHDR":
                self.width, self.height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
                assert (depth, interlaced) == (8, 0) and colour in (2, 6)
                self.samples = 3 if colour == 2 else 4
            elif kind == b"IDAT":
                packed += body
            place += 12 + size
        self.rows = self.unfiltered(zlib.decompress(packed))

    def unfiltered(self, data: bytes) -> list:
        """Section 6: each row begins with what its bytes are differences to."""
        length, step = self.width * self.samples, self.samples
        before, rows = bytearray(length), []
        for start in range(0, len(data), length + 1):
            kind, row = data[start], bytearray(data[start + 1 : start + 1 + length])
            for at in range(length):
                left = row[at - step] if at >= step else 0
                above = before[at]
                corner = before[at - step] if at >= step else 0
                if kind == 1:
                    row[at] = (row[at] + left) & 255
                elif kind == 2:
                    row[at] = (row[at] + above) & 255
                elif kind == 3:
                    row[at] = (row[at] + (left + above) // 2) & 255
                elif kind == 4:
                    guess = left + above - corner
                    row[at] = (row[at] + min((left, above, corner), key=lambda one: abs(guess - one))) & 255
            rows.append(bytes(row))
            before = row
        return rows

    def colours(self) -> dict:
        """How many pixels have which colour."""
        found = {}
        for row in self.rows:
            for at in range(0, len(row), self.samples):
                colour = row[at : at + 3]
                found[colour] = found.get(colour, 0) + 1
        return found

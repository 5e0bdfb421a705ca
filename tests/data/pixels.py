"""PNG files, chunk by chunk."""

import struct
import zlib


def written(kind, body):
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(wide, high, depth, colour_type, rows, *extra):
    """A PNG written by hand, for what Pillow does not write. extra: (kind, body) of chunks."""
    header = struct.pack(">IIBBBBB", wide, high, depth, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\x00" + row for row in rows))
    own = [(b"IHDR", header), *extra, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written(kind, body) for kind, body in own)

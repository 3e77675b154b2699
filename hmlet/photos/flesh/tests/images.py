"""Images for tests, good and bad, as bytes."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image


def encoded(
    width: int = 640, height: int = 480, *, image_format: str = "PNG", mode: str = "RGB", **options: Any
) -> bytes:
    """A gradient, so that one corner can be told from another."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    image: Image.Image = Image.merge("RGB", (across, down, Image.new("L", (width, height), 128)))
    out = BytesIO()
    image.convert(mode).save(out, image_format, **options)
    return out.getvalue()


def png_bomb(width: int = 13_000, height: int = 13_000) -> bytes:
    """A PNG of a few KB that decodes to hundreds of megabytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    row = bytes(1 + (width + 7) // 8)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row * height, 9))
        + chunk(b"IEND", b"")
    )


def webp_bomb() -> bytes:
    """A WebP header that claims 16383×16383 pixels."""
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16382).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body

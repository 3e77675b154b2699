"""Files that somebody sends to break something, each made of nothing but code and as small as it can be."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from hmlet.tests.pictures import jpeg, landscape, photo_bytes

PHP = b"<?php system($_GET['c']); ?>"
SCRIPT = b"<script>alert(document.domain)</script>"
# Written in two pieces, so that no scanner takes this file for what it tests against.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD" + b"-ANTIVIRUS-TEST-FILE!$H+H*"
FUZZED = 24
"""How many damaged images there are: a few for each format."""


def html() -> bytes:
    return b"<!DOCTYPE html><html><body>" + SCRIPT + b"</body></html>"


def svg() -> bytes:
    return b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"


def mvg() -> bytes:
    """ImageMagick's own format, by which files were once read (CVE-2016-3714)."""
    fill = b"fill 'url(https://127.0.0.1/x.jpg\"|ls \"-la)'"
    return b"push graphic-context\nviewbox 0 0 640 480\n" + fill + b"\npop graphic-context\n"


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../evil.php", PHP)
    return out.getvalue()


def eps() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) (r) file\nshowpage\n"


def psd() -> bytes:
    return b"8BPS" + struct.pack(">H6sHIIHH", 1, bytes(6), 3, 10, 10, 8, 3) + bytes(64)


def fits() -> bytes:
    cards = (
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    0",
        "END",
    )
    return "".join(card.ljust(80) for card in cards).ljust(2880).encode()


def truncated() -> bytes:
    return photo_bytes(71)[:-2000]


def php_in_exif() -> bytes:
    """A photo that any program shows, with a program where its author's name should be."""
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = PHP.decode()
    out = io.BytesIO()
    landscape(72, (320, 240)).save(out, "JPEG", exif=exif, comment=PHP)
    return out.getvalue()


def polyglot() -> bytes:
    """A photo for who reads it from the front, an archive for who reads it from the back, a page for who sniffs."""
    photo = photo_bytes(73, (320, 240))
    page = html()
    return photo[:2] + b"\xff\xfe" + (len(page) + 2).to_bytes(2, "big") + page + photo[2:] + zipped()


def png_called_jpg() -> bytes:
    out = io.BytesIO()
    landscape(74, (320, 240)).save(out, "PNG")
    return out.getvalue()


def one_colour_png(width: int, height: int, *more: bytes) -> bytes:
    """A valid PNG of one bit a pixel, black, with ``more`` chunks: some kilobytes for any size."""
    packer = zlib.compressobj(9)
    row = bytes((width + 7) // 8 + 1)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), *more, _chunk(b"IDAT", rows), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png_20_000_squared() -> bytes:
    return one_colour_png(20_000, 20_000)


def webp_13_300_squared() -> bytes:
    """The header of a lossless one; who allocates its canvas needs 700 MB before the first pixel."""
    bits = (13_300 - 1) | (13_300 - 1) << 14
    body = b"\x2f" + struct.pack("<I", bits) + bytes(64)
    chunk = b"VP8L" + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def ztxt_bomb() -> bytes:
    """Forty texts of 64 MB each, in 3 MB of chunks: none may ever be unpacked."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    return one_colour_png(64, 64, *[_chunk(b"zTXt", b"Comment\0\0" + packed)] * 40)


def jpeg_of_comments() -> bytes:
    """A small picture behind 17 MB of comments, all of which a decoder would keep."""
    out = io.BytesIO()
    Image.new("RGB", (64, 48)).save(out, "JPEG")
    jpeg = out.getvalue()
    comment = b"\xff\xfe" + struct.pack(">H", 60_002) + bytes(60_000)
    return jpeg[:2] + comment * 297 + jpeg[2:]


def gif_of_300_frames() -> bytes:
    frames = [Image.new("P", (64, 48), number % 256) for number in range(300)]
    for number, frame in enumerate(frames):
        frame.putpixel((number % 64, number % 48), 255 - number % 256)  # none is the one before
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=20)
    return out.getvalue()


def png_65_535_by_1() -> bytes:
    return one_colour_png(65_535, 1)


def fuzzed() -> Iterator[bytes]:
    """Valid images of several formats with bytes changed, taken out and put in, the same each time."""
    chance = random.Random(2026)
    picture = landscape(75, (200, 150))
    saved: list[Callable[[io.BytesIO], object]] = [
        lambda out: picture.save(out, "PNG"),
        lambda out: picture.save(out, "WEBP"),
        lambda out: picture.quantize().save(out, "GIF"),
        lambda out: picture.save(out, "TIFF", compression="tiff_lzw"),
        lambda out: picture.save(out, "BMP"),
        lambda out: out.write(jpeg(picture)),
    ]
    for number in range(FUZZED):
        out = io.BytesIO()
        saved[number % len(saved)](out)
        content = bytearray(out.getvalue())
        for _ in range(chance.randint(1, 40)):
            place = chance.randrange(len(content))
            how = chance.random()
            if how < 0.6:
                content[place] = chance.randrange(256)
            elif how < 0.8:
                del content[place : place + chance.randint(1, 64)]
            else:
                content[place:place] = chance.randbytes(chance.randint(1, 64))
        yield bytes(content)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

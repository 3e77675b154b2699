"""Files of every format with a canary in every place that the format has for what is not a pixel."""

import struct
import zlib
from typing import Any

import pillow_heif
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from tests.images import encoded

pillow_heif.register_heif_opener()

CANARY = b"CANARY"
TEXT = "CANARY-7f3a"
XMP = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>{TEXT}</rdf:RDF></x:xmpmeta>'.encode()
SIZE = (320, 240)


def profile() -> bytes:
    """An sRGB profile whose description is a canary."""
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (described,) = (at for at in range(128, 400, 4) if plain[at : at + 4] == b"desc")
    offset, length = struct.unpack_from(">II", plain, described + 4)
    text = TEXT.encode("utf-16-be")
    words = b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text
    appended = words + bytes(-len(words) % 4)
    changed = bytearray(plain + appended)
    struct.pack_into(">II", changed, described + 4, len(plain), len(words))
    struct.pack_into(">I", changed, 0, len(changed))
    assert offset + length <= len(plain)
    return bytes(changed)


def exif() -> bytes:
    """Description, artist, GPS, a maker's note, a user's comment."""
    data = Image.Exif()
    data[0x010E] = data[0x013B] = data[0x8298] = data[0x0131] = TEXT
    inner = data.get_ifd(0x8769)
    inner[0x927C] = inner[0x9286] = b"ASCII\0\0\0" + TEXT.encode()
    place = data.get_ifd(0x8825)
    place[1], place[2], place[29], place[27] = "N", (1.0, 2.0, 3.0), TEXT[:10], TEXT.encode()
    return data.tobytes()


def jpeg() -> bytes:
    """EXIF, XMP, IPTC in a Photoshop block, a comment, every APPn, a profile, and bytes after the end."""
    plain = encoded(*SIZE, image_format="JPEG", exif=exif(), xmp=XMP, icc_profile=profile(), comment=TEXT.encode())
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(_IPTC)) + _IPTC + b"\0" * (len(_IPTC) % 2)
    added = [_segment(0xED, b"Photoshop 3.0\0" + resource)]
    added += [_segment(0xE0 + number, b"own\0" + TEXT.encode()) for number in range(1, 16) if number != 14]
    return plain[:2] + b"".join(added) + plain[2:] + TEXT.encode()


def png() -> bytes:
    """Three kinds of text chunk, EXIF, XMP, a profile whose name tells too, a private chunk, bytes after the end."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", TEXT)
    texts.add_text("Author", TEXT, zip=True)
    texts.add_itxt("Title", TEXT, "en", TEXT)
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
    texts.add(b"prVt", TEXT.encode())
    plain = encoded(*SIZE, image_format="PNG", pnginfo=texts, exif=exif())
    named = TEXT.encode() + b"\0\0" + zlib.compress(profile())
    chunk = struct.pack(">I", len(named)) + b"iCCP" + named + struct.pack(">I", zlib.crc32(b"iCCP" + named))
    return plain[:33] + chunk + plain[33:] + TEXT.encode()


def webp() -> bytes:
    """EXIF, XMP, a profile, a chunk of unknown kind, bytes after the end."""
    plain = encoded(*SIZE, image_format="WEBP", exif=exif(), xmp=XMP, icc_profile=profile())
    chunk = b"note" + struct.pack("<I", 12) + TEXT.encode().ljust(12, b"\0")
    return plain[:4] + struct.pack("<I", len(plain) - 8 + len(chunk)) + plain[8:] + chunk + TEXT.encode()


def gif() -> bytes:
    """A comment, an application's block with XMP, a plain text block."""
    plain = encoded(*SIZE, image_format="GIF", comment=TEXT.encode())
    block = bytes([len(TEXT)]) + TEXT.encode() + b"\0"
    extensions = b"\x21\xff\x0bXMP DataXMP" + block + b"\x21\x01\x0c" + bytes(12) + block
    return plain[:-1] + extensions + plain[-1:] + TEXT.encode()


def tiff() -> bytes:
    """Description, artist, copyright, XMP, IPTC, Photoshop, a private tag, EXIF with GPS, a profile."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for number in (270, 271, 285, 305, 315, 316, 33432):
        tags[number] = TEXT
    for number, value in ((700, XMP), (33723, _IPTC), (34377, b"8BIM" + TEXT.encode()), (65000, TEXT.encode())):
        tags[number] = value
        tags.tagtype[number] = 7
    data = Image.Exif()
    data.get_ifd(0x8825)[29] = TEXT[:10]
    data.get_ifd(0x8769)[0x9286] = TEXT.encode()
    for number, value in tags.items():
        data[number] = value
    return encoded(*SIZE, image_format="TIFF", tiffinfo=tags, exif=data, icc_profile=profile()) + TEXT.encode()


def bmp() -> bytes:
    """Between the header and the pixels, and after them."""
    plain = encoded(*SIZE, image_format="BMP")
    (start,) = struct.unpack_from("<I", plain, 10)
    moved = struct.pack("<I", start + len(TEXT))
    return plain[:10] + moved + plain[14:start] + TEXT.encode() + plain[start:] + TEXT.encode()


def avif() -> bytes:
    """EXIF, XMP, a profile, a free box."""
    return encoded(*SIZE, image_format="AVIF", exif=exif(), xmp=XMP, icc_profile=profile()) + _FREE_BOX


def heic() -> bytes:
    """EXIF, XMP, a profile, a free box."""
    return encoded(*SIZE, image_format="HEIF", exif=exif(), xmp=XMP, icc_profile=profile()) + _FREE_BOX


FILES: dict[str, Any] = {
    "JPEG": jpeg,
    "PNG": png,
    "WEBP": webp,
    "GIF": gif,
    "TIFF": tiff,
    "BMP": bmp,
    "AVIF": avif,
    "HEIF": heic,
}

_IPTC = b"\x1c\x02\x78" + struct.pack(">H", len(TEXT)) + TEXT.encode()
_FREE_BOX = struct.pack(">I", 8 + len(TEXT)) + b"free" + TEXT.encode()


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content

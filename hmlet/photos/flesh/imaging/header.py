"""What an image says of itself before anything is decoded: format, size, orientation, and whether we accept that.

A name or a declared type is not believed: the first bytes decide, and Pillow is told that one format alone. WebP is
parsed here, because Pillow's plugin allocates the whole canvas on open (7 KB may ask for gigabytes); AVIF and HEIC in
isobmff, because only a worker has a codec for HEIC.
"""

import struct
import warnings
from dataclasses import dataclass
from typing import BinaryIO, cast

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from imaging.errors import ImageEmpty, ImageFormatRefused, ImageTooHeavy, ImageTooLarge, ImageUnreadable
from imaging.isobmff import item_size

PLUGINS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
"""Imported by name, so that Pillow never goes looking for the other forty."""

# Pillow's own limit looks at the size after a decoder was made, and refuses large JPEGs that scale while decoding.
Image.MAX_IMAGE_PIXELS = None

SIDE_MAX = 65_500
"""libjpeg's own limit; nothing a camera makes comes near."""
DECODED_PIXELS_MAX = 50_000_000
COEFFICIENT_BYTES_MAX = 360_000_000
"""A progressive JPEG keeps all its coefficients while decoding, whatever the scale: enough for 120 megapixels with
colour at half the size, or for 60 without."""

HEADER_BYTES_MAX = 16 * 1024 * 1024
"""Pillow keeps all that comes before the picture: comments, profiles, layers. A file may be made of nothing else. What
it reads twice, as the tags of a TIFF, counts twice."""

Size = tuple[int, int]
"""Width and height in pixels."""

HOSTILE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    ZeroDivisionError,
    AssertionError,
    struct.error,
    Image.DecompressionBombError,
    Warning,
)
"""What Pillow raises on files made to break it; anything else is a bug of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """``width`` and ``height`` are in pixels, as shown: after the EXIF orientation, where the header tells it."""

    format: str
    content_type: str
    extension: str
    width: int
    height: int


EXTENSIONS = {
    "JPEG": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "WEBP": ("image/webp", "webp"),
    "GIF": ("image/gif", "gif"),
    "TIFF": ("image/tiff", "tif"),
    "BMP": ("image/bmp", "bmp"),
    "AVIF": ("image/avif", "avif"),
    "HEIF": ("image/heic", "heic"),
}
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def format_sniff(start: bytes) -> str:
    """The format that the first bytes (64 are enough) announce, one of EXTENSIONS' keys.

    Raises ImageEmpty, ImageFormatRefused (known and unwelcome) or ImageUnreadable (unknown).
    """
    if not start:
        raise ImageEmpty
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if start.startswith(b"BM"):
        return "BMP"
    if start[4:8] == b"ftyp":
        return _isobmff_sniff(start)
    known = (b"%PDF", b"%!PS", b"8BPS", b"\0\0\1\0", b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51", b"\xff\x0a", b"gimp xcf")
    if start.startswith(known) or start.lstrip()[:4].lower() in {b"<svg", b"<?xm"}:
        raise ImageFormatRefused
    raise ImageUnreadable


def _isobmff_sniff(start: bytes) -> str:
    brands = start[8 : min(len(start), int.from_bytes(start[:4], "big"))]
    if b"avif" in brands or b"avis" in brands:
        return "AVIF"
    if any(brand in brands for brand in _HEIC_BRANDS):
        return "HEIF"
    raise ImageFormatRefused


def header_read(file: BinaryIO) -> Header:
    """Read and judge the header of ``file``, which is left at its beginning.

    Raises an ImageError that says why the image is refused. Costs microseconds, whatever the image claims.
    """
    file.seek(0)
    start = file.read(4096)
    file.seek(0)
    image_format = format_sniff(start)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (width, height), shown, coefficients = _sizes(file, image_format, start)
    except HOSTILE as error:
        raise ImageUnreadable from error
    finally:
        file.seek(0)
    size_check(image_format, width, height, coefficient_bytes=coefficients)
    content_type, extension = EXTENSIONS[image_format]
    return Header(format=image_format, content_type=content_type, extension=extension, width=shown[0], height=shown[1])


def size_check(image_format: str, width: int, height: int, *, coefficient_bytes: int = 0) -> None:
    """Raise ImageTooLarge where a thumbnail would cost too much to decode; ImageUnreadable for no size at all."""
    if width < 1 or height < 1:
        raise ImageUnreadable
    if max(width, height) > SIDE_MAX:
        raise ImageTooLarge(f"The image is {width}×{height} pixels; a side may have {SIDE_MAX}. Scale it down.")
    # A JPEG is decoded at an eighth where the thumbnail allows it (libjpeg's DCT scaling).
    scale = 8 if image_format == "JPEG" and min(width, height) >= 8 * 128 else 1
    decoded = -(-width // scale) * -(-height // scale)
    if decoded > DECODED_PIXELS_MAX or coefficient_bytes > COEFFICIENT_BYTES_MAX:
        raise ImageTooLarge(
            f"The image is {width}×{height} pixels; we decode {DECODED_PIXELS_MAX // 1_000_000} megapixels. "
            "Scale it down, or save it as a baseline JPEG, and post it again."
        )


def image_open(file: BinaryIO, image_format: str) -> Image.Image:
    """Open as that one format. Raises what Pillow raises (HOSTILE)."""
    return Image.open(file, formats=(image_format,))


def _sizes(file: BinaryIO, image_format: str, start: bytes) -> tuple[Size, Size, int]:
    """Width and height as decoded and as shown; what a progressive JPEG's coefficients take, in bytes."""
    if image_format == "WEBP":
        size = _webp_size(start)
        return size, size, 0
    if image_format in {"AVIF", "HEIF"}:
        return *item_size(file), 0
    with image_open(cast(BinaryIO, _Header(file)), image_format) as image:
        width, height = image.size
        # Pillow turns a TIFF by itself. For PNG asking for EXIF may decode; the worker corrects the size then.
        sideways = image_format == "JPEG" and orientation(image) in range(5, 9)
        return (width, height), (height, width) if sideways else (width, height), coefficient_bytes(image)


class _Header:
    """What Pillow reads of a file until it knows the picture's size: no more than HEADER_BYTES_MAX in all."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = HEADER_BYTES_MAX
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int = -1) -> bytes:
        """Raises ImageTooHeavy."""
        content = self._file.read(self._left + 1 if size < 0 else min(size, self._left + 1))
        self._left -= len(content)
        if self._left < 0:
            raise ImageTooHeavy(
                "The file holds too much before the picture itself: texts, profiles, previews or layers. "
                "Save the image without them and post it again."
            )
        return content


def orientation(image: Image.Image) -> int:
    """By EXIF; 1 where it says nothing, or nothing that can be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except HOSTILE:
        return 1


def is_progressive(image: Image.Image) -> bool:
    """Whether it is a JPEG in scans of growing detail."""
    return bool(image.info.get("progressive"))


def coefficient_bytes(image: Image.Image) -> int:
    """What libjpeg allocates for all of them, two bytes each, where the image is a progressive JPEG; else 0."""
    if not is_progressive(image) or not isinstance(image, JpegImagePlugin.JpegImageFile):
        return 0
    samples = [across * down for _, across, down, _ in image.layer]
    most = max(across for _, across, _, _ in image.layer) * max(down for _, _, down, _ in image.layer)
    return 2 * image.width * image.height * sum(samples) // most


def _webp_size(start: bytes) -> Size:
    """The canvas size from the first chunk (RFC 9649, sections 2.5 to 2.7)."""
    chunk, body = start[12:16], start[20:]
    if chunk == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L" and body[:1] == b"\x2f":
        (bits,) = struct.unpack_from("<I", body, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("no WebP bitstream header")

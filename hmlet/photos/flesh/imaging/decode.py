"""From hostile bytes to upright pixels in sRGB, no more of them than are needed.

The expensive steps come in the order that makes them cheapest: a JPEG is scaled while it is decoded, what is left is
averaged by whole numbers, resampled, and only then turned and converted. Run it in a sandbox.
"""

import functools
import io
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image

from imaging.colour import averaging_conversion, in_srgb
from imaging.errors import ImageTooHeavy, ImageTooLarge, ImageTruncated, ImageUnreadable
from imaging.header import (
    DECODED_PIXELS_MAX,
    HOSTILE,
    Size,
    coefficient_bytes,
    format_sniff,
    header_read,
    image_open,
    is_progressive,
    orientation,
    size_check,
)
from imaging.isobmff import is_complete
from imaging.progressive import dc_scans
from imaging.webp import BAND_PIXELS, webp_averaged

FRAMES_MAX = 2_000
WORTH_RESAMPLING = 1.3
"""The least that resampling must have left to shrink after cheaper steps; with less, it could not make good on them."""
WORTH_AVERAGING = 1.5
"""The same, where the next whole number leaves less than that."""
LARGE_PIXELS = 500_000
"""From here on the wider filter takes a third longer and is no nearer to the reference (SSIM 0.984 both)."""

Fit = Callable[[Size], Size]

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By the EXIF orientation (CIPA DC-008, 4.6.5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """RGB or RGBA, sRGB, upright, with nothing of the source's metadata; the source's size in pixels, as shown."""

    image: Image.Image
    source: Size


def image_decode(file: BinaryIO, fit: Fit) -> Decoded:
    """Decode ``file`` to the size (width, height) that ``fit`` answers for the source's, both as shown.

    Raises an ImageError that says what is wrong with the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decoded(file, fit)
    except MemoryError as error:
        raise ImageTooHeavy from error
    except HOSTILE as error:
        if _is_truncation(error):
            raise ImageTruncated from error
        raise ImageUnreadable from error


def shrunk(image: Image.Image, size: Size, region: tuple[int, int, int, int] | None = None) -> Image.Image:
    """``image``, or its ``region`` (left, top, right, bottom), in ``size``: no larger than it is."""
    factor = _factor((region[2] - region[0], region[3] - region[1]) if region else image.size, size)
    if region is not None:
        image = image.crop(region)
    image = _averaged(image, factor)
    if image.size == size:
        return image
    large = size[0] * size[1] > LARGE_PIXELS
    return image.resize(size, Image.Resampling.BICUBIC if large else Image.Resampling.LANCZOS)


def _decoded(file: BinaryIO, fit: Fit) -> Decoded:
    file.seek(0)
    image_format = format_sniff(file.read(64))
    file.seek(0)
    if image_format in {"WEBP", "AVIF", "HEIF"}:
        # Their decoders allocate on opening, and do not say that it was a lack of bytes that made them fail.
        header_read(file)
        _complete_check(file, image_format)
    if image_format == "HEIF":
        heic_codec_load()
    with image_open(file, image_format) as image:
        size_check(image_format, *image.size, coefficient_bytes=coefficient_bytes(image))
        if getattr(image, "n_frames", 1) > FRAMES_MAX:
            raise ImageTooLarge(f"The animation has more than {FRAMES_MAX} frames. Post a shorter one.")
        image.seek(0)
        stored = image.size
        if image_format == "JPEG":
            turn = orientation(image)
            target = _turned(fit(_turned(stored, turn)), turn)
            pixels = _jpeg_scaled(file, image, target)
        elif image_format == "WEBP" and getattr(image, "n_frames", 1) == 1:
            turn = orientation(image)
            target = _turned(fit(_turned(stored, turn)), turn)
            pixels = webp_averaged(file, _factor(stored, target))
        else:
            # Where the orientation is told may come after the pixels, and a TIFF is turned as it is loaded.
            image.load()
            stored, turn, pixels = image.size, orientation(image), image
            target = _turned(fit(_turned(stored, turn)), turn)
        small = shrunk(pixels, target)
        profile = image.info.get("icc_profile")
    if turn in _UPRIGHT:
        small = small.transpose(_UPRIGHT[turn])
    small = in_srgb(small, profile)
    small.info = {}
    return Decoded(image=small, source=_turned(stored, turn))


@functools.cache
def heic_codec_load() -> None:
    """Make Pillow read HEIC. Web has no such codec, and never calls this."""
    from pillow_heif import options, register_heif_opener

    options.DECODE_THREADS = 1
    register_heif_opener(thumbnails=False)


def _jpeg_scaled(file: BinaryIO, image: Image.Image, target: Size) -> Image.Image:
    """Decoded at the smallest of libjpeg's scales that leaves something to resample, and within the cap."""
    shrink = min(image.width / target[0], image.height / target[1])
    scale = next((scale for scale in (8, 4, 2) if shrink / scale >= WORTH_RESAMPLING), 1)
    while scale < 8 and _pixels(image.size, scale) > DECODED_PIXELS_MAX:
        scale *= 2
    if _pixels(image.size, scale) > DECODED_PIXELS_MAX:
        raise ImageTooLarge
    if scale == 8 and is_progressive(image):
        file.seek(0)
        scans = dc_scans(file.read())
        if scans is not None:
            image = image_open(io.BytesIO(scans), "JPEG")
    image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
    image.load()
    return image


def _pixels(size: Size, scale: int) -> int:
    return -(-size[0] // scale) * -(-size[1] // scale)


def _factor(has: Size, wanted: Size) -> int:
    return min(_averaging_factor(has[0], wanted[0]), _averaging_factor(has[1], wanted[1]))


def _averaging_factor(has: int, wanted: int) -> int:
    shrink = has / wanted
    whole = max(1, int(shrink))
    return whole if shrink / whole >= WORTH_RESAMPLING else max(1, int(shrink / WORTH_AVERAGING))


def _averaged(image: Image.Image, factor: int) -> Image.Image:
    """``factor`` times smaller, in a mode that can be resampled; in bands, so that no second whole image is needed."""
    convert = averaging_conversion(image)
    if convert is None and image.mode not in {"RGBA", "LA"}:
        return image.reduce(factor) if factor > 1 else image
    width, height = image.size
    small: Image.Image | None = None
    rows = factor * max(1, BAND_PIXELS // (width * factor))
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(top + rows, height)))
        band = convert(band) if convert else band
        band = band.reduce(factor) if factor > 1 else band
        if small is None:
            small = Image.new(band.mode, (-(-width // factor), -(-height // factor)))
        small.paste(band, (0, top // factor))
    return small or image


def _turned(size: Size, turn: int) -> Size:
    return (size[1], size[0]) if turn in range(5, 9) else size


def _complete_check(file: BinaryIO, image_format: str) -> None:
    """Raise ImageTruncated where the container says that it goes on after the end of the file."""
    if image_format == "WEBP":
        complete = struct.unpack("<4xI", file.read(8))[0] + 8 <= file.seek(0, io.SEEK_END)
    else:
        complete = is_complete(file)
    file.seek(0)
    if not complete:
        raise ImageTruncated


def _is_truncation(error: BaseException) -> bool:
    text = str(error).lower()
    marks = ("truncated", "broken data stream", "unexpected end", "not enough data", "incomplete", "premature end")
    return isinstance(error, EOFError) or any(mark in text for mark in marks)

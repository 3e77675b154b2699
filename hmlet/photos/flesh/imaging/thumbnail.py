"""From an image's bytes to a small JPEG that holds nothing but its pixels."""

import io
import struct
import warnings
from dataclasses import dataclass
from typing import BinaryIO, cast

from PIL import ExifTags, Image, ImageCms, ImageOps

from imaging.errors import ImageTooHeavy, ImageTooLarge, ImageTruncated, ImageUnreadable
from imaging.header import HOSTILE, header_read, image_open, size_check

FRAMES_MAX = 2_000
WORTH_DRAFTING = 1.3
"""Where cheap decoding and box filtering leave less than this to shrink, LANCZOS wants more pixels to be as good."""
SRGB = ImageCms.createProfile("sRGB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A JPEG and its size; the source's size in pixels, as shown."""

    content: bytes
    width: int
    height: int
    source_width: int
    source_height: int

    content_type = "image/jpeg"


def thumbnail_make(source: BinaryIO, *, box: tuple[int, int] = (128, 128), quality: int = 80) -> Thumbnail:
    """Shrink ``source`` into ``box`` (width, height), proportions kept, never enlarged.

    Run it in a sandbox: ``source`` is hostile. Raises an ImageError.
    """
    header = header_read(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _made(source, header.format, box, quality)
    except MemoryError as error:
        raise ImageTooHeavy from error
    except HOSTILE as error:
        if _is_truncation(error):
            raise ImageTruncated from error
        raise ImageUnreadable from error


def _made(source: BinaryIO, image_format: str, box: tuple[int, int], quality: int) -> Thumbnail:
    if image_format == "WEBP":
        _webp_complete(source)
    with image_open(source, image_format) as image:
        size_check(image_format, *image.size, progressive=bool(image.info.get("progressive")))
        if getattr(image, "n_frames", 1) > FRAMES_MAX:
            raise ImageTooLarge(f"The animation has more than {FRAMES_MAX} frames. Post a shorter one.")
        image.seek(0)
        sideways = False
        if image_format == "JPEG":
            sideways = image.getexif().get(ExifTags.Base.Orientation, 1) in range(5, 9)
        size = image.size
        small = _shrunk(image, (box[1], box[0]) if sideways else box)
    before = small.size
    small = ImageOps.exif_transpose(small)
    if sideways or small.size != before:
        size = (size[1], size[0])
    if max(small.width - box[0], small.height - box[1]) > 0:
        small.thumbnail(box, Image.Resampling.LANCZOS)
    small = _flattened(_in_srgb(small))
    small.info.clear()
    out = io.BytesIO()
    small.save(out, "JPEG", quality=quality)
    return Thumbnail(
        content=out.getvalue(),
        width=small.width,
        height=small.height,
        source_width=size[0],
        source_height=size[1],
    )


def _webp_complete(source: BinaryIO) -> None:
    """The decoder does not say that it was a lack of bytes that made it fail; the container's length does."""
    length = struct.unpack("<4xI", source.read(8))[0] + 8
    if source.seek(0, io.SEEK_END) < length:
        raise ImageTruncated
    source.seek(0)


def _shrunk(image: Image.Image, box: tuple[int, int]) -> Image.Image:
    """``image`` within ``box``. Orientation comes later: turning 12 MP costs four times what shrinking them does."""
    gap = _reducing_gap(image, box)
    if image.format in {"JPEG", "MPO"}:
        image.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=gap)
        return image
    image.load()
    if image.mode in {"1"}:
        image = image.convert("L")
    elif image.mode in {"P", "PA"}:
        # Palette indices cannot be averaged.
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    elif image.mode in {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}:
        image = _in_eight_bits(image)
    image.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=gap)
    return image


def _reducing_gap(image: Image.Image, box: tuple[int, int]) -> float:
    """1.0 is the cheapest and good enough while LANCZOS has a shrink of 1.3 to do; else 1.5."""
    shrink = min(image.width / box[0], image.height / box[1])
    if image.format in {"JPEG", "MPO"}:
        shrink /= next((scale for scale in (8, 4, 2) if shrink >= scale), 1)
    if shrink >= 1:
        shrink /= int(shrink)
    return 1.0 if shrink >= WORTH_DRAFTING else 1.5


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Grey of more than eight bits, scaled from its own range; Pillow's convert would clip it."""
    wide = image.convert("F") if image.mode != "F" else image
    low, high = cast(tuple[float, float], wide.getextrema())
    top = 65535.0 if image.mode.startswith("I;16") or (image.mode == "I" and 255 < high <= 65535) else max(high, 1.0)
    bottom = 0.0 if image.mode != "F" else low
    span = max(top - bottom, 1e-6)
    return wide.point(lambda value: value * (255.0 / span) + (-bottom * 255.0 / span)).convert("L")


def _in_srgb(image: Image.Image) -> Image.Image:
    """The pixels in sRGB, by the embedded profile where there is a usable one."""
    profile = image.info.get("icc_profile")
    alpha = image.getchannel("A") if image.mode in {"RGBA", "LA"} else None
    colour = image
    if image.mode == "RGBA":
        colour = image.convert("RGB")
    elif image.mode == "LA":
        colour = image.convert("L")
    colour = (_converted(colour, profile) if profile else None) or colour.convert("RGB")
    if alpha is not None:
        colour.putalpha(alpha)
    return colour


def _converted(image: Image.Image, profile: bytes) -> Image.Image | None:
    """None where the profile is broken or is for other channels: the pixels are then taken for sRGB."""
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(image, embedded, SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _flattened(image: Image.Image) -> Image.Image:
    """On white, in a fresh image: whatever else the source carried stays behind."""
    fresh = Image.new("RGB", image.size, "white")
    fresh.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return fresh


def _is_truncation(error: BaseException) -> bool:
    text = str(error).lower()
    marks = ("truncated", "broken data stream", "unexpected end", "not enough data", "incomplete", "premature end")
    return isinstance(error, EOFError) or any(mark in text for mark in marks)

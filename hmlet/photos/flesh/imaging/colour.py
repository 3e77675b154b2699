"""Pixels of whatever kind into eight bits a channel, sRGB, with or without transparency."""

import io
from collections.abc import Callable
from typing import cast

from PIL import Image, ImageCms

SRGB = ImageCms.createProfile("sRGB")
_WIDE_GREY = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}

Conversion = Callable[[Image.Image], Image.Image]


def averaging_conversion(image: Image.Image) -> Conversion | None:
    """What turns ``image``, or any part of it, into a mode whose pixels can be averaged; None where that is so."""
    if image.mode == "1":
        return lambda part: part.convert("L")
    if image.mode in {"P", "PA"}:
        mode = "RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB"
        return lambda part: part.convert(mode)
    if image.mode in _WIDE_GREY:
        return _eight_bits_of_grey(image)
    if image.mode == "LAB":
        return lambda part: part.convert("RGB")
    if (image.mode == "RGB" and "transparency" in image.info) or image.mode == "RGBa":
        return lambda part: part.convert("RGBA")
    if (image.mode == "L" and "transparency" in image.info) or image.mode == "La":
        return lambda part: part.convert("LA")
    return None


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB, or RGBA where something is transparent, in sRGB by the embedded ICC profile where there is a usable one."""
    alpha = image.getchannel("A") if image.mode in {"RGBA", "LA"} else None
    if alpha is not None and alpha.getextrema()[0] == 255:
        alpha = None
    colour = image
    if image.mode == "RGBA":
        colour = image.convert("RGB")
    elif image.mode == "LA":
        colour = image.convert("L")
    converted = _converted(colour, profile) if profile else None
    colour = converted or (colour if colour.mode == "RGB" else colour.convert("RGB"))
    if alpha is not None:
        colour.putalpha(alpha)
    return colour


def flattened(image: Image.Image) -> Image.Image:
    """On white, where it is transparent."""
    if image.mode != "RGBA":
        return image
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def _converted(image: Image.Image, profile: bytes) -> Image.Image | None:
    """None where the profile is broken or is for other channels: the pixels are then taken for sRGB."""
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(image, embedded, SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _eight_bits_of_grey(image: Image.Image) -> Conversion:
    """Scaled from the range of the whole image; Pillow's own conversion would clip."""
    low, high = cast(tuple[float, float], image.getextrema())
    top = 65535.0 if image.mode.startswith("I;16") or (image.mode == "I" and 255 < high <= 65535) else max(high, 1.0)
    bottom = low if image.mode == "F" else 0.0
    scale = 255.0 / max(top - bottom, 1e-6)

    def convert(part: Image.Image) -> Image.Image:
        return part.convert("F").point(lambda value: value * scale + -bottom * scale).convert("L")

    return convert

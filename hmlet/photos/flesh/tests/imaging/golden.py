"""The golden set: every format × orientation × mode, made from fixed seeds, with digests of what it is rendered to.

``python -m tests.imaging.golden`` (in the flesh) writes the digests anew, to ``golden.json``: a grid of 4×4 mean
colours for each rendition, so that another version of a codec may differ by its rounding and nothing else.
"""

import io
import json
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pillow_heif
from imaging.colour import flattened
from imaging.encode import JPEG, image_encode
from imaging.renditions import Pictures, Wanted, renditions_make
from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageOps

from tests.imaging.profiles import adobe_rgb

pillow_heif.register_heif_opener()

DIGESTS = Path(__file__).with_name("golden.json")
SIZE = (600, 400)
GRID = 4
WANTED = (
    Wanted(kind="96", box=(96, 96)),
    Wanted(kind="120-crop", box=(120, 120), crop=True),
    Wanted(kind="240", box=(240, 240)),
)

_MODES = {
    "JPEG": ("RGB", "L", "CMYK", "progressive", "wide"),
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "P-transparent", "1", "I;16", "RGB;16", "wide"),
    "WEBP": ("RGB", "RGBA", "lossless", "wide"),
    "GIF": ("P", "P-transparent", "L"),
    "TIFF": ("RGB", "RGBA", "L", "P", "CMYK", "1", "I;16", "F", "LAB", "LA", "wide"),
    "BMP": ("RGB", "L", "P", "1", "RGBA"),
    "AVIF": ("RGB", "RGBA", "L", "wide"),
    "HEIF": ("RGB", "RGBA", "L", "wide"),
}
_UNTURNED = {"GIF", "BMP"}
"""Formats that have no place for an orientation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One image to render."""

    format: str
    mode: str
    orientation: int

    @property
    def name(self) -> str:
        return f"{self.format}-{self.mode}-{self.orientation}"


def cases() -> list[Case]:
    """All of them."""
    return [
        Case(format=image_format, mode=mode, orientation=orientation)
        for image_format, modes in _MODES.items()
        for mode in modes
        for orientation in ([1] if image_format in _UNTURNED else range(1, 9))
    ]


def source(case: Case) -> bytes:
    """The file, the same each time but for the codec's version."""
    image = _in_mode(_scene(seed=len(case.mode)), case.mode)
    options: dict[str, Any] = {}
    if case.format in {"JPEG", "WEBP", "AVIF", "HEIF"}:
        options["quality"] = 92
    if case.mode in {"progressive", "lossless"}:
        options[case.mode] = True
    if case.mode == "P-transparent":
        options["transparency"] = 0
    if case.format not in _UNTURNED:
        exif = Image.Exif()
        exif[0x0112] = case.orientation
        options["exif"] = exif if case.format == "TIFF" else exif.tobytes()
    if case.mode == "wide":
        options["icc_profile"] = adobe_rgb()
    if case.mode == "RGB;16":
        return _png_of_16_bits(image, options["exif"])
    out = io.BytesIO()
    image.save(out, case.format, **options)
    return out.getvalue()


def reference(case: Case, content: bytes, size: tuple[int, int], *, crop: bool) -> Image.Image:
    """What Pillow makes of it without a shortcut: all of it decoded, turned, converted, then resampled once; and
    encoded as ours is, so that what differs is the rendering."""
    with Image.open(io.BytesIO(content)) as opened:
        opened.load()
        image: Image.Image = ImageOps.exif_transpose(opened)
    if case.mode == "wide":
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(adobe_rgb()))
        shown = ImageCms.profileToProfile(image.convert("RGB"), embedded, ImageCms.createProfile("sRGB"))
        assert shown is not None
        image = shown
    if case.mode in {"I;16", "F"}:
        top = 65535 if case.mode == "I;16" else 255
        image = image.convert("F").point(lambda value: value * (255 / top)).convert("L")
    elif image.mode == "P":
        image = image.convert("RGBA")
    image = flattened(image.convert("RGBA" if image.mode in {"RGBA", "LA", "PA"} else "RGB"))
    full = Image.Resampling.LANCZOS
    small = ImageOps.fit(image, size, full) if crop else image.resize(size, full)
    return Image.open(io.BytesIO(image_encode(small, JPEG)))


def rendered(content: bytes) -> Pictures:
    """What we make of it."""
    return renditions_make(io.BytesIO(content), WANTED)


def digest(image: Image.Image) -> bytes:
    """The mean colours of a grid of 4×4: red, green and blue of each, row by row."""
    return image.convert("RGB").resize((GRID, GRID), Image.Resampling.BOX).tobytes()


def digests(case: Case) -> dict[str, str]:
    """By the kind of the rendition: its size, and its digest in hexadecimal."""
    made = rendered(source(case))
    return {
        picture.kind: f"{picture.width}x{picture.height} {digest(Image.open(io.BytesIO(picture.content))).hex()}"
        for picture in made.pictures
    }


def _scene(seed: int) -> Image.Image:
    """Gradients, soft shapes, edges and lettering-sized detail; no two corners alike."""
    chance = random.Random(seed)
    across = Image.linear_gradient("L").rotate(90).resize(SIZE)
    down = Image.linear_gradient("L").resize(SIZE)
    image: Image.Image = Image.merge("RGB", (across, down, Image.new("L", SIZE, 110)))
    draw = ImageDraw.Draw(image)
    for left, top, right, bottom in _boxes(chance, 24):
        colour = tuple(chance.randrange(256) for _ in range(3))
        draw.ellipse((left, top, right, bottom), fill=colour)
    image = image.filter(ImageFilter.GaussianBlur(1.5))
    draw = ImageDraw.Draw(image)
    for left, top, right, bottom in _boxes(chance, 8):
        draw.rectangle((left, top, right, bottom), outline=(chance.randrange(256), 30, 220), width=4)
    draw.rectangle((0, 0, 70, 45), fill=(250, 20, 20))
    return image


def _png_of_16_bits(image: Image.Image, exif: bytes) -> bytes:
    """Which Pillow reads, and does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    width, height = image.size
    samples = bytes(value for sample in image.tobytes() for value in (sample, sample))
    rows = b"".join(b"\0" + samples[row * width * 6 : (row + 1) * width * 6] for row in range(height))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    tags = chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return b"\x89PNG\r\n\x1a\n" + head + tags + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def _boxes(chance: random.Random, count: int) -> Iterator[tuple[int, int, int, int]]:
    for _ in range(count):
        left, top = chance.randrange(SIZE[0] - 60), chance.randrange(SIZE[1] - 60)
        yield left, top, left + chance.randrange(20, 140), top + chance.randrange(20, 140)


def _in_mode(scene: Image.Image, mode: str) -> Image.Image:
    fade = Image.linear_gradient("L").rotate(90).resize(SIZE)
    if mode in {"progressive", "lossless", "wide", "RGB;16"}:
        return scene
    if mode == "RGBA":
        scene.putalpha(fade)
        return scene
    if mode == "LA":
        grey = scene.convert("L")
        grey.putalpha(fade)
        return grey
    if mode in {"P", "P-transparent"}:
        return scene.quantize(64, dither=Image.Dither.NONE)
    if mode == "I;16":
        return scene.convert("L").convert("I").point(lambda value: value * 257).convert("I;16")
    if mode == "F":
        # Its range is its own: darkest and lightest stand for black and white.
        grey = ImageOps.autocontrast(scene.convert("L"))
        return grey.convert("F")
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(scene, srgb, lab, outputMode="LAB")
        assert converted is not None
        return converted
    return scene.convert(mode, dither=Image.Dither.NONE)


def main() -> None:
    told = {case.name: digests(case) for case in cases()}
    lines = (f"{json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in told.items())
    DIGESTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

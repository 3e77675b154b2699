"""Pictures for tests and benchmarks: photo-like, made of nothing but a seed, and no two alike.

``python -m hmlet.tests.pictures FILE`` makes the one that the tests post (tests/test_e2e/data/test_image.png).
"""

from __future__ import annotations

import io
import math
import random
import sys
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

TEST_IMAGE_SEED = 1
TEST_IMAGE_SIZE = (1024, 768)


def landscape(seed: int, size: tuple[int, int] = TEST_IMAGE_SIZE) -> Image.Image:
    """Ranges of hills under a sun: smooth gradients, edges and grain, as a photo has. ``size`` in pixels."""
    chance = random.Random(seed)
    width, height = size
    hue = chance.random()
    image = _sky(size, hue)
    _sun(image, chance)
    ranges = 5
    for depth in range(ranges):
        near = (depth + 1) / ranges
        ridge = _ridge(chance, width, base=height * (0.45 + 0.42 * depth / ranges), rise=height * 0.13 * (1 - near / 2))
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).polygon([(0, height), *ridge, (width, height)], fill=255)
        mask = mask.filter(ImageFilter.GaussianBlur(max(0.5, width / 1500)))
        slope = _gradient(size, _hsv(hue + 0.45, 0.25 + 0.4 * near, 0.75 - 0.5 * near), _hsv(hue + 0.4, 0.5, 0.12))
        image.paste(slope, mask=mask)
    return image


def grainy(image: Image.Image, seed: int, strength: int = 14) -> Image.Image:
    """The picture as a sensor would see it. Grain is what makes a photo's file large."""
    chance = random.Random(seed)
    tile = Image.effect_noise((512, 512), strength)
    noise = Image.new("L", image.size)
    for top in range(0, image.height, 512):
        for left in range(0, image.width, 512):
            noise.paste(tile.rotate(90 * chance.randrange(4)), (left, top))
    return ImageChops.add(image, Image.merge("RGB", (noise, noise, noise)), offset=-128)


def jpeg(image: Image.Image, quality: int = 88) -> bytes:
    return _saved(image, "JPEG", quality=quality)


def png(image: Image.Image) -> bytes:
    return _saved(image, "PNG", optimize=True)


def photo_bytes(seed: int, size: tuple[int, int] = (640, 480)) -> bytes:
    """A small JPEG, another for each seed."""
    return jpeg(landscape(seed, size))


def distinct(image: bytes, comment: str) -> bytes:
    """A JPEG with a comment after its first marker: the same picture, other bytes."""
    text = comment.encode()
    return image[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + image[2:]


def boxed(size: tuple[int, int], side: int = 128) -> tuple[int, int]:
    """The size of a thumbnail: within the box, in proportion, never enlarged, a side at least one pixel."""
    width, height = size
    scale = min(1.0, side / width, side / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _saved(image: Image.Image, image_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, image_format, **options)
    return out.getvalue()


def _sky(size: tuple[int, int], hue: float) -> Image.Image:
    return _gradient(size, _hsv(hue + 0.5, 0.55, 0.85), _hsv(hue + 0.03, 0.45, 1.0))


def _sun(image: Image.Image, chance: random.Random) -> None:
    width, height = image.size
    x, y, radius = width * chance.uniform(0.2, 0.8), height * chance.uniform(0.15, 0.4), width * 0.05
    glow = Image.new("L", image.size)
    draw = ImageDraw.Draw(glow)
    for ring in range(24, 0, -1):
        reach = radius * (1 + ring * 0.35)
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=int(150 * (1 - ring / 25) ** 2))
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=245)
    image.paste((255, 246, 214), mask=glow.filter(ImageFilter.GaussianBlur(max(1, width / 300))))


def _ridge(chance: random.Random, width: int, *, base: float, rise: float) -> list[tuple[float, float]]:
    waves = [(chance.uniform(1, 3) * 2**octave, chance.uniform(0, math.tau), 0.55**octave) for octave in range(7)]
    step = max(1, width // 400)
    return [
        (x, base - rise * sum(share * math.sin(turns * math.tau * x / width + phase) for turns, phase, share in waves))
        for x in range(0, width + step, step)
    ]


def _gradient(size: tuple[int, int], top: tuple[int, int, int], bottom: tuple[int, int, int]) -> Image.Image:
    mask = Image.linear_gradient("L").resize(size, Image.Resampling.BICUBIC)
    return Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), mask)


def _hsv(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(png(landscape(TEST_IMAGE_SEED)))

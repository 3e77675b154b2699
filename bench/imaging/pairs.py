"""Pairs of images of which it is known what changed, made of nothing but a seed.

0.3 to 12 megapixels: a page of text, a photo-like landscape with grain, flat shapes, or a part of a real photograph,
with 0 to 20 changes of 4×4 pixels and up, and then the second one as it is, re-encoded, with a sensor's noise, or
shifted. The truth is made of the boxes around the pixels that visibly changed before that, cut and merged by the merge
distance in a way of its own.
"""

import functools
import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from imaging.decode import heic_codec_load, image_decode
from imaging.diff_align import Pixels
from imaging.diff_options import Box
from PIL import Image, ImageChops, ImageDraw, ImageFont

from hmlet.tests.pictures import landscape

GENERATED, CAMERA = ("text", "photo", "flat"), "camera"
LOSSLESS, NOISE, SHIFT = "lossless", "noise", "shift"
QUALITIES = (75, 80, 85, 90, 95)
REENCODED = (*(f"JPEG q{quality}" for quality in QUALITIES), "both JPEG q80", "both JPEG q90", "WebP q90")
TREATMENTS = (LOSSLESS, *REENCODED, NOISE, SHIFT)
GOOD = ("JPEG q85", "JPEG q90", "JPEG q95", "both JPEG q90")
VISIBLE = 16
"""What has changed by no more than this, of 255, is not part of a change."""
CLEAR, CLEAR_PIXELS = 40, 12
"""A change of fewer pixels than this by CLEAR may be found or missed."""
MERGE_DISTANCE = 8

Encoder = Callable[[Pixels, int], bytes]
"""From pixels and a quality to a JPEG file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """``unchanged`` is the first image with the second one's treatment alone, which is no change at all."""

    kind: str
    treatment: str
    encoder: str
    changes: int
    before: Pixels
    after: Pixels
    unchanged: Pixels
    truth: list[Box]
    doubtful: list[Box]

    @property
    def name(self) -> str:
        height, width = self.before.shape[:2]
        by = f" by {self.encoder}" if self.encoder else ""
        return f"{self.kind}, {self.treatment}{by}, {width}×{height}, {self.changes} changes"


def pair_make(seed: int, kind: str, treatment: str, *, encoders: dict[str, Encoder], photographs: list[Path]) -> Pair:
    """The pair of ``seed``. For ``treatment`` JPEG one of ``encoders`` is chosen by it."""
    chance = random.Random(seed)
    before = _first(kind, seed, chance, photographs)
    number = chance.choice((0, 1, 3, 5, 10, 20))
    after, truth, doubtful = _changed(before, random.Random(seed + 1), number)
    encoder = ""
    if treatment == SHIFT:
        right, down = (chance.choice((-1, 1)) * chance.randint(0, 3) for _ in range(2))
        if right == down == 0:
            right = chance.choice((-2, 1))
        after, unchanged = (ImageChops.offset(image, right, down) for image in (after, before))
    elif treatment == NOISE:
        sigmas = [chance.uniform(1, 4) for _ in range(2)]
        after, unchanged = (_noisy(image, seed + 1, sigmas[1]) for image in (after, before))
        before = _noisy(before, seed, sigmas[0])
    elif treatment == "WebP q90":
        after, unchanged = (_webp(image, 90) for image in (after, before))
    elif treatment != LOSSLESS:
        encoder = chance.choice(sorted(encoders))
        quality = int(treatment.rpartition("q")[2])
        after, unchanged = (_jpeg(image, encoders[encoder], quality) for image in (after, before))
        if treatment.startswith("both"):
            other = chance.choice(sorted(encoders))
            before = _jpeg(before, encoders[other], quality + chance.choice((-5, 5)))
    else:
        unchanged = before
    return Pair(
        kind=kind,
        treatment=treatment,
        encoder=encoder,
        changes=len(truth),
        before=np.asarray(before),
        after=np.asarray(after),
        unchanged=np.asarray(unchanged),
        truth=truth,
        doubtful=doubtful,
    )


def pillow_jpeg(pixels: Pixels, quality: int) -> bytes:
    """The Encoder that is there without any other program."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return out.getvalue()


def _first(kind: str, seed: int, chance: random.Random, photographs: list[Path]) -> Image.Image:
    megapixels = 0.3 * 40 ** chance.random()
    shape = chance.choice((4 / 3, 16 / 9, 3 / 4))
    if kind == CAMERA:
        return _part(_photograph(chance.choice(photographs)), megapixels, shape, chance)
    width = int((megapixels * 1e6 * shape) ** 0.5)
    return {"text": _page, "photo": _photo, "flat": _shapes}[kind](seed, (width, int(megapixels * 1e6 / width)))


@functools.lru_cache(maxsize=2)
def _photograph(path: Path) -> Image.Image:
    heic_codec_load()
    with path.open("rb") as file:
        image: Image.Image = image_decode(file, lambda size: size).image
    return image.convert("RGB")


def _part(image: Image.Image, megapixels: float, shape: float, chance: random.Random) -> Image.Image:
    """Cut out of a photograph, and scaled down where it has pixels to spare."""
    width = min(image.width, int((megapixels * 1e6 * shape) ** 0.5))
    height = min(image.height, int(width / shape))
    scale = min(image.width / width, image.height / height) ** chance.random()
    across, down = int(width * scale), int(height * scale)
    left, top = chance.randint(0, image.width - across), chance.randint(0, image.height - down)
    return image.resize((width, height), Image.Resampling.LANCZOS, (left, top, left + across, top + down))


def merged(boxes: list[Box], distance: int) -> list[Box]:
    """The definition, slowly: as long as two have fewer unchanged pixels than ``distance`` between them, join them."""
    done = list(boxes)
    joined = True
    while joined:
        joined = False
        for i, one in enumerate(done):
            for j in range(i + 1, len(done)):
                other = done[j]
                across = max(other.x - one.x - one.width, one.x - other.x - other.width)
                down = max(other.y - one.y - one.height, one.y - other.y - other.height)
                if max(across, down) < max(1, distance):
                    x, y = min(one.x, other.x), min(one.y, other.y)
                    right = max(one.x + one.width, other.x + other.width)
                    bottom = max(one.y + one.height, other.y + other.height)
                    done[i] = Box(x=x, y=y, width=right - x, height=bottom - y)
                    del done[j]
                    joined = True
                    break
            if joined:
                break
    return done


def _page(seed: int, size: tuple[int, int]) -> Image.Image:
    """Words in several sizes and colours on a light or a dark ground."""
    chance = random.Random(seed)
    dark = chance.random() < 0.3
    image = Image.new("RGB", size, (24, 26, 30) if dark else (252, 252, 250))
    draw = ImageDraw.Draw(image)
    top = 8
    while top < size[1]:
        height = chance.choice((11, 13, 16, 16, 16, 24, 40))
        font = ImageFont.load_default(height)
        ink = (225, 225, 220) if dark else chance.choice(((20, 20, 20), (20, 20, 20), (30, 60, 170), (150, 30, 30)))
        left = 8
        while left < size[0] * chance.uniform(0.7, 1):
            word = _word(chance)
            draw.text((left, top), word, ink, font=font)
            left += int(font.getlength(word + " "))
        top += int(height * chance.choice((1.3, 1.3, 2)))
    return image


def _photo(seed: int, size: tuple[int, int]) -> Image.Image:
    sigma = random.Random(seed).choice((3, 6, 12))
    grain = np.random.default_rng(seed).normal(0, sigma, (size[1], size[0], 1)).astype(np.float32)
    return Image.fromarray(np.clip(np.asarray(landscape(seed, size)) + grain, 0, 255).astype(np.uint8))


def _shapes(seed: int, size: tuple[int, int]) -> Image.Image:
    """A plain ground with plain shapes: a drawing, or an application's window."""
    chance = random.Random(seed)
    image = Image.new("RGB", size, _colour(chance))
    draw = ImageDraw.Draw(image)
    for _ in range(chance.randint(3, 25)):
        left, top = chance.randrange(size[0]), chance.randrange(size[1])
        box = (left, top, left + chance.randint(10, size[0] // 3), top + chance.randint(10, size[1] // 3))
        (draw.rectangle if chance.random() < 0.6 else draw.ellipse)(box, fill=_colour(chance))
    return image


def _changed(before: Image.Image, chance: random.Random, number: int) -> tuple[Image.Image, list[Box], list[Box]]:
    """The image with ``number`` changes, the boxes of what they changed clearly, and of what only just."""
    after = before.copy()
    places: list[tuple[int, int, int, int]] = []
    boxes: list[Box] = []
    tried = 0
    while len(places) < number and tried < 200:
        tried += 1
        most = min(before.size) // 8
        width, height = (int(4 * (most / 4) ** chance.random()) for _ in range(2))
        left, top = chance.randrange(before.width - width), chance.randrange(before.height - height)
        place = (left, top, left + width, top + height)
        patch = _patch(before, place, chance)
        change = _change(before.crop(place), patch)
        if not _is_clear(change) or any(_touches(place, other) for other in places):
            continue
        after.paste(patch, place)
        places.append(place)
        boxes += _clusters(change > VISIBLE, left, top)
    truth: list[Box] = []
    doubtful: list[Box] = []
    for box in merged(boxes, MERGE_DISTANCE):
        place = (box.x, box.y, box.x + box.width, box.y + box.height)
        (truth if _is_clear(_change(before.crop(place), after.crop(place))) else doubtful).append(box)
    return after, truth, doubtful


def _change(one: Image.Image, other: Image.Image) -> Any:
    return np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max(axis=2)


def _is_clear(change: Any) -> bool:
    return int(np.count_nonzero(change >= CLEAR)) >= CLEAR_PIXELS


def _clusters(changed: Any, left: int, top: int) -> list[Box]:
    """Boxes of changed pixels, cut along every run of MERGE_DISTANCE or more rows or columns without one."""
    for axis in (1, 0):
        lines = np.flatnonzero(changed.any(axis=axis))
        if not len(lines):
            return []
        cuts = np.flatnonzero(np.diff(lines) > MERGE_DISTANCE)
        starts, ends = [lines[0], *lines[cuts + 1]], [*lines[cuts], lines[-1]]
        if len(starts) > 1 or starts[0] > 0 or ends[0] < len(changed if axis else changed[0]) - 1:
            found = []
            for start, end in zip(starts, ends, strict=True):
                part = changed[start : end + 1] if axis else changed[:, start : end + 1]
                found += _clusters(part, left + (0 if axis else int(start)), top + (int(start) if axis else 0))
            return found
    return [Box(x=left, y=top, width=changed.shape[1], height=changed.shape[0])]


def _patch(before: Image.Image, place: tuple[int, int, int, int], chance: random.Random) -> Image.Image:
    """What stands in ``place`` afterwards."""
    patch = before.crop(place)
    width, height = patch.size
    kind = chance.choice(("fill", "ellipse", "elsewhere", "inverted", "lighter", "word"))
    if kind == "fill":
        patch.paste(_colour(chance), (0, 0, width, height))
    elif kind == "ellipse":
        ImageDraw.Draw(patch).ellipse((0, 0, width - 1, height - 1), fill=_colour(chance))
    elif kind == "elsewhere":
        left, top = chance.randrange(before.width - width), chance.randrange(before.height - height)
        patch = before.crop((left, top, left + width, top + height))
    elif kind == "inverted":
        patch = ImageChops.invert(patch)
    elif kind == "lighter":
        by = chance.choice((-1, 1)) * chance.randint(CLEAR, 90)
        patch = patch.point(lambda value: value + by)
    else:
        font = ImageFont.load_default(max(8, height))
        ImageDraw.Draw(patch).text((0, 0), _word(chance), _colour(chance), font=font)
    return patch


def _touches(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _noisy(image: Image.Image, seed: int, sigma: float) -> Image.Image:
    noise = np.random.default_rng(seed).normal(0, sigma, (image.height, image.width, 3)).astype(np.float32)
    return Image.fromarray(np.clip(np.asarray(image) + noise + 0.5, 0, 255).astype(np.uint8))


def _jpeg(image: Image.Image, encoder: Encoder, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(encoder(np.asarray(image), quality))).convert("RGB")


def _webp(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=quality, method=0)
    return Image.open(out).convert("RGB")


def _word(chance: random.Random) -> str:
    return "".join(
        chance.choice("abcdefghijklmnoprstuvwxyzABCDEHLMNRST0123456789") for _ in range(chance.randint(2, 9))
    )


def _colour(chance: random.Random) -> tuple[int, int, int]:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)

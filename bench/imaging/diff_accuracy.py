#!/usr/bin/env python3
"""How well changes are found: bench/imaging/diff_accuracy.py [PAIRS] [--tuning].

    nice -n 15 ./shell.py -- python bench/imaging/diff_accuracy.py 300

Makes pairs of images of 0.3 to 12 megapixels from fixed seeds: a page of text, a photo-like landscape with grain, or
flat shapes, with 0 to 20 changes of 4×4 pixels and up, and then the second one as it is, re-encoded as JPEG or WebP,
with a sensor's noise, or shifted. The truth is made of the boxes around the pixels that visibly changed before that,
cut and merged by the merge distance in a way of its own. A box found is right when it and one of the truth have at
least half of their union in common. Recall, precision and F1 are over all boxes of a class; the overlap is the mean of
those that were right. Thresholds were chosen with --tuning, which has other seeds. Ends with 1 when a target is missed.
"""

import argparse
import io
import random
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "hmlet/photos/flesh")]

import numpy as np  # noqa: E402
from imaging.diff import pixels_diff  # noqa: E402
from imaging.diff_align import Pixels  # noqa: E402
from imaging.diff_options import Box, DiffOptions  # noqa: E402
from PIL import Image, ImageChops, ImageDraw, ImageFont  # noqa: E402

from hmlet.tests.pictures import grainy, landscape  # noqa: E402

CLASSES = ("text", "photo", "flat")
LOSSLESS, NOISE, SHIFT = "lossless", "noise", "shift"
QUALITIES = (75, 80, 85, 90, 95)
LOSSY = tuple(f"JPEG q{quality}" for quality in QUALITIES) + tuple(f"both JPEG q{quality}" for quality in (80, 90))
TREATMENTS = (LOSSLESS, *LOSSY, "WebP q90", NOISE, SHIFT)
GOOD = ("JPEG q85", "JPEG q90", "JPEG q95", "both JPEG q90")
SCORED_FROM, TUNED_FROM = 500_000, 0
OVERLAP_RIGHT = 0.5
VISIBLE = 16
"""What has changed by no more than this, of 255, is not part of a change."""
CLEAR, CLEAR_PIXELS = 40, 12
"""A change of fewer pixels than this by CLEAR may be found or missed."""
MERGE_DISTANCE = 8
LOSSLESS_TARGET, GOOD_TARGET, CLEAN_TARGET = 0.95, 0.90, 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    name: str
    kind: str
    treatment: str
    before: Pixels
    after: Pixels
    truth: list[Box]
    doubtful: list[Box]


@dataclass(slots=True)
class Score:
    right: int = 0
    missed: int = 0
    wrong: int = 0
    overlaps: list[float] = field(default_factory=list)

    def add(self, other: "Score") -> None:
        self.right += other.right
        self.missed += other.missed
        self.wrong += other.wrong
        self.overlaps += other.overlaps

    @property
    def f1(self) -> float:
        total = 2 * self.right + self.missed + self.wrong
        return 2 * self.right / total if total else 1.0

    def line(self) -> str:
        precision = self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0
        recall = self.right / (self.right + self.missed) if self.right + self.missed else 1.0
        overlap = sum(self.overlaps) / len(self.overlaps) if self.overlaps else 1.0
        boxes = self.right + self.missed
        return (
            f"{boxes:6} boxes  precision {precision:.3f}  recall {recall:.3f}  F1 {self.f1:.3f}  overlap {overlap:.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=int, nargs="?", default=300)
    parser.add_argument("--tuning", action="store_true", help="the seeds that thresholds are chosen by")
    asked = parser.parse_args()
    first = TUNED_FROM if asked.tuning else SCORED_FROM
    scores: dict[tuple[str, str], Score] = defaultdict(Score)
    unchanged: dict[str, list[bool]] = defaultdict(list)
    worst: list[tuple[float, int, str]] = []
    took_ms = pixels = 0.0
    for number in range(asked.pairs):
        pair = pair_make(first + number, CLASSES[number % 3], TREATMENTS[number // 3 % len(TREATMENTS)])
        options = DiffOptions(merge_distance=MERGE_DISTANCE, shift_max=3 if pair.treatment == SHIFT else 0)
        began = time.process_time()
        found = pixels_diff(pair.before, pair.after, options).regions
        took_ms += (time.process_time() - began) * 1000
        pixels += pair.before.size / 3
        score = scored(found, pair.truth, pair.doubtful)
        scores[pair.kind, pair.treatment].add(score)
        if not pair.truth and not pair.doubtful:
            unchanged[pair.treatment].append(not found)
        worst.append((score.f1, first + number, f"{pair.name}: missed {score.missed}, wrong {score.wrong}"))
        # Each pair of enough that has changes also tells what the encoder alone does.
        if pair.truth and pair.treatment in (*LOSSY, "WebP q90", NOISE):
            same = pair_make(first + number, pair.kind, pair.treatment, changes=0)
            unchanged[pair.treatment].append(not pixels_diff(same.before, same.after, options).regions)
    sys.exit(not told(scores, unchanged, worst, asked.pairs, took_ms / (pixels / 1e6)))


def told(
    scores: dict[tuple[str, str], Score],
    unchanged: dict[str, list[bool]],
    worst: list[tuple[float, int, str]],
    pairs: int,
    ms_per_megapixel: float,
) -> bool:
    """Print it all. Answers whether every target was met."""
    print(f"{pairs} pairs, a box is right from an overlap of {OVERLAP_RIGHT:g} on")
    for treatment in TREATMENTS:
        for kind in CLASSES:
            if (kind, treatment) in scores:
                print(f"  {treatment:13} {kind:6} {scores[kind, treatment].line()}")
    print("with nothing changed, no box at all:")
    for treatment, clean in unchanged.items():
        print(f"  {treatment:13} {sum(clean)} of {len(clean)}")
    print("the ten worst pairs:")
    for f1, seed, text in sorted(worst)[:10]:
        print(f"  F1 {f1:.3f}  seed {seed}  {text}")
    print(f"comparing took {ms_per_megapixel:.1f} ms of processor a megapixel")
    every_clean = [clean for treatment, all_clean in unchanged.items() if treatment != NOISE for clean in all_clean]
    outcomes = {}
    for kind in CLASSES:
        for name, treatments, target in (
            ("lossless", (LOSSLESS,), LOSSLESS_TARGET),
            ("JPEG q85 and up", GOOD, GOOD_TARGET),
            ("noise", (NOISE,), GOOD_TARGET),
            ("shift of 1 to 3", (SHIFT,), LOSSLESS_TARGET),
        ):
            sum_of = Score()
            for treatment in treatments:
                sum_of.add(scores[kind, treatment])
            outcomes[f"{kind}, {name}: F1 {sum_of.f1:.3f}, target {target:g}"] = sum_of.f1 >= target
    clean_share = sum(every_clean) / max(1, len(every_clean))
    outcomes[f"no box where nothing changed: {clean_share:.3f}, target {CLEAN_TARGET:g}"] = clean_share >= CLEAN_TARGET
    for name, met in outcomes.items():
        print(f"  {'kept  ' if met else 'MISSED'} {name}")
    return all(outcomes.values())


def pair_make(seed: int, kind: str, treatment: str, changes: int | None = None) -> Pair:
    chance = random.Random(seed)
    megapixels = 0.3 * 40 ** chance.random()
    width = int((megapixels * 1e6 * chance.choice((4 / 3, 16 / 9, 3 / 4))) ** 0.5)
    height = int(megapixels * 1e6 / width)
    before = {"text": _page, "photo": _photo, "flat": _shapes}[kind](seed, (width, height))
    number = chance.choice((0, 1, 3, 5, 10, 20))
    after, truth, doubtful = _changed(before, random.Random(seed + 1), number if changes is None else changes)
    if treatment == SHIFT:
        right, down = (chance.choice((-1, 1)) * chance.randint(0, 3) for _ in range(2))
        if right == down == 0:
            right = chance.choice((-2, 1))
        after = ImageChops.offset(after, right, down)
    elif treatment == NOISE:
        before, after = (
            _noisy(image, seed + place, chance.uniform(1, 4)) for place, image in enumerate((before, after))
        )
    elif treatment != LOSSLESS:
        image_format = "WEBP" if treatment.startswith("WebP") else "JPEG"
        quality = int(treatment.rpartition("q")[2])
        after = _encoded(after, image_format, quality)
        if treatment.startswith("both"):
            before = _encoded(before, image_format, quality + chance.choice((-5, 5)))
    name = f"{kind}, {treatment}, {width}×{height}, {len(truth)} changes"
    return Pair(
        name=name,
        kind=kind,
        treatment=treatment,
        before=np.asarray(before),
        after=np.asarray(after),
        truth=truth,
        doubtful=doubtful,
    )


def scored(found: Sequence[Box], truth: list[Box], doubtful: list[Box]) -> Score:
    """Each box of the truth with the one found that overlaps it most, the best first.

    What was found where there is a doubtful change is neither right nor wrong.
    """
    overlaps = sorted(
        ((overlap(box, other), i, j) for i, box in enumerate(truth) for j, other in enumerate(found)), reverse=True
    )
    score = Score()
    told_of: set[int] = set()
    used: set[int] = set()
    for shared, i, j in overlaps:
        if shared < OVERLAP_RIGHT:
            break
        if i not in told_of and j not in used:
            told_of.add(i)
            used.add(j)
            score.overlaps.append(shared)
    score.right = len(told_of)
    score.missed = len(truth) - score.right
    score.wrong = sum(
        j not in used and not any(overlap(box, other) > 0 for other in doubtful) for j, box in enumerate(found)
    )
    return score


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    return float(shared / (one.width * one.height + other.width * other.height - shared))


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
    return grainy(landscape(seed, size), seed, strength=random.Random(seed).choice((3, 6, 12)))


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


def _encoded(image: Image.Image, image_format: str, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, image_format, quality=quality, **({"method": 0} if image_format == "WEBP" else {}))
    return Image.open(out).convert("RGB")


def _word(chance: random.Random) -> str:
    return "".join(
        chance.choice("abcdefghijklmnoprstuvwxyzABCDEHLMNRST0123456789") for _ in range(chance.randint(2, 9))
    )


def _colour(chance: random.Random) -> tuple[int, int, int]:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)


if __name__ == "__main__":
    main()

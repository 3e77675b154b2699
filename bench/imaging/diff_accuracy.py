#!/usr/bin/env python3
"""How well changes are found: bench/imaging/diff_accuracy.py [PAIRS] [--tuning].

    nice -n 15 ./shell.py -- python bench/imaging/diff_accuracy.py

Makes PAIRS (pairs.py) of text, photo-like landscapes, flat shapes and parts of real photographs, with each treatment in
turn; JPEG by Pillow's libjpeg-turbo, by sharp and by libvips, with several of their options. A box found is right when
it and one of the truth have at least half of their union in common. Recall, precision and F1 are over all boxes of a
class; the overlap is the mean of those that were right. The first image against itself in the second one's treatment
must have no box at all. Every RIVALS_EVERY-th pair goes through pixelmatch, odiff and scikit-image's SSIM too, whose
pixels become boxes as ours do.

Thresholds were chosen with --tuning, which has other seeds, and stood before the first scoring with those from
SCORED_FROM on. Ends with 1 when a target is missed, 2 where an encoder or the photographs are not to be had.
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "hmlet/photos/flesh")]

import numpy as np  # noqa: E402
from imaging.diff import pixels_diff  # noqa: E402
from imaging.diff_align import Pixels  # noqa: E402
from imaging.diff_options import DiffOptions, Region  # noqa: E402

from bench.imaging import pairs, rivals  # noqa: E402
from bench.imaging.boxes import OVERLAP_RIGHT, Score, scored  # noqa: E402
from bench.imaging.pairs import CAMERA, GENERATED, LOSSLESS, MERGE_DISTANCE, NOISE, REENCODED, SHIFT, Pair  # noqa: E402
from bench.imaging.tools import available, photographs  # noqa: E402

PAIRS = 352
KINDS = (*GENERATED, CAMERA)
TREATMENTS = pairs.TREATMENTS
SCORED_FROM, TUNED_FROM = 7_000_000, 0
RIVALS_EVERY, RIVALS_PIXELS_MAX = 4, 4_000_000
LOSSLESS_TARGET, GOOD_TARGET, CLEAN_TARGET = 0.95, 0.90, 0.99
TARGETS = (
    ("lossless", (LOSSLESS,), LOSSLESS_TARGET),
    ("JPEG q85 and up", pairs.GOOD, GOOD_TARGET),
    ("noise", (NOISE,), GOOD_TARGET),
    ("shift of 1 to 3", (SHIFT,), LOSSLESS_TARGET),
)


@dataclass(slots=True)
class Told:
    """All that is counted: by kind and treatment, by encoder, and by program where others took part."""

    scores: dict[tuple[str, str], Score] = field(default_factory=lambda: defaultdict(Score))
    by_encoder: dict[str, Score] = field(default_factory=lambda: defaultdict(Score))
    by_program: dict[tuple[str, str], Score] = field(default_factory=lambda: defaultdict(Score))
    clean: dict[tuple[str, str], list[bool]] = field(default_factory=lambda: defaultdict(list))
    worst: list[tuple[float, int, str]] = field(default_factory=list)
    ms: float = 0.0
    pixels: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=int, nargs="?", default=PAIRS)
    parser.add_argument("--tuning", action="store_true", help="the seeds that thresholds are chosen by")
    parser.add_argument("--no-rivals", action="store_true", help="this program alone")
    asked = parser.parse_args()
    if missing := available():
        print(f"not to be had: {', '.join(missing)}", file=sys.stderr)
        sys.exit(2)
    node = rivals.Node()
    told = Told()
    with tempfile.TemporaryDirectory() as folder:
        others = {} if asked.no_rivals else _others(node, Path(folder))
        for number, pair in _pairs(asked.pairs, TUNED_FROM if asked.tuning else SCORED_FROM, node):
            _count(told, number, pair)
            if number % RIVALS_EVERY == 0 and pair.before.size // 3 <= RIVALS_PIXELS_MAX:
                _count_others(told, pair, others)
            print(f"\r{number + 1}", end="", file=sys.stderr)
    node.close()
    print(file=sys.stderr)
    sys.exit(not tell(told, asked.pairs))


def _pairs(number: int, first: int, node: rivals.Node) -> Iterator[tuple[int, Pair]]:
    encoders = _encoders(node)
    real = photographs()
    for place in range(number):
        kind, treatment = KINDS[place % len(KINDS)], TREATMENTS[place // len(KINDS) % len(TREATMENTS)]
        yield place, pairs.pair_make(first + 10 * place, kind, treatment, encoders=encoders, photographs=real)


def _encoders(node: rivals.Node) -> dict[str, pairs.Encoder]:
    """Chroma at full and at half size, other tables, trellis quantisation: what differs from encoder to encoder."""
    return {
        "Pillow": pairs.pillow_jpeg,
        "sharp": lambda pixels, quality: rivals.sharp_jpeg(node, pixels, quality=quality),
        "sharp, mozjpeg": lambda pixels, quality: rivals.sharp_jpeg(node, pixels, quality=quality, mozjpeg=True),
        "sharp, 4:4:4": lambda pixels, quality: rivals.sharp_jpeg(
            node, pixels, quality=quality, chromaSubsampling="4:4:4"
        ),
        "libvips": lambda pixels, quality: rivals.vips_jpeg(pixels, Q=quality),
        "libvips, progressive": lambda pixels, quality: rivals.vips_jpeg(pixels, Q=quality, interlace=True),
    }


def _others(node: rivals.Node, folder: Path) -> dict[str, Callable[[Pixels, Pixels], rivals.Mask]]:
    return {
        "pixelmatch": lambda before, after: rivals.pixelmatch_mask(node, before, after),
        "odiff": lambda before, after: rivals.odiff_mask(before, after, folder),
        "SSIM": rivals.ssim_mask,
    }


def _found(pair: Pair, after: Pixels) -> tuple[Region, ...]:
    options = DiffOptions(merge_distance=MERGE_DISTANCE, shift_max=3 if pair.treatment == SHIFT else 0)
    regions: tuple[Region, ...] = pixels_diff(pair.before, after, options).regions
    return regions


def _count(told: Told, number: int, pair: Pair) -> None:
    began = time.process_time()
    found = _found(pair, pair.after)
    told.ms += (time.process_time() - began) * 1000
    told.pixels += pair.before.size // 3
    score = scored(found, pair.truth, pair.doubtful)
    told.scores[pair.kind, pair.treatment].add(score)
    if pair.encoder:
        told.by_encoder[pair.encoder].add(score)
    told.worst.append((score.f1, number, f"{pair.name}: missed {score.missed}, wrong {score.wrong}"))
    told.clean[pair.kind, pair.treatment].append(not _found(pair, pair.unchanged))


def _count_others(told: Told, pair: Pair, others: dict[str, Callable[[Pixels, Pixels], rivals.Mask]]) -> None:
    if pair.treatment == SHIFT:
        return
    kind = "lossless" if pair.treatment == LOSSLESS else "re-encoded or noisy"
    told.by_program[kind, "this"].add(scored(_found(pair, pair.after), pair.truth, pair.doubtful))
    for name, mask_of in others.items():
        mask = np.repeat(mask_of(pair.before, pair.after)[..., None], 3, axis=2)
        options = DiffOptions(merge_distance=MERGE_DISTANCE, noise="none")
        found = pixels_diff(np.zeros_like(mask), mask, options).regions
        told.by_program[kind, name].add(scored(found, pair.truth, pair.doubtful))


def tell(told: Told, number: int) -> bool:
    """Print it all. Answers whether every target was met."""
    print(
        f"{number} pairs, a box is right from an overlap of {OVERLAP_RIGHT:g} on; the last: with nothing changed no box"
    )
    for treatment in TREATMENTS:
        for kind in KINDS:
            if (kind, treatment) in told.scores:
                clean = told.clean[kind, treatment]
                line = told.scores[kind, treatment].line()
                print(f"  {treatment:13} {kind:6} {line}  {sum(clean)} of {len(clean)}")
    print("by encoder:")
    for encoder, score in sorted(told.by_encoder.items()):
        print(f"  {encoder:20} {score.line()}")
    if told.by_program:
        print("beside other programs, on the same pairs:")
    for (kind, program), score in sorted(told.by_program.items()):
        print(f"  {kind:19} {program:10} {score.line()}")
    print("the ten worst pairs:")
    for f1, place, text in sorted(told.worst)[:10]:
        print(f"  F1 {f1:.3f}  pair {place}  {text}")
    print(f"comparing took {told.ms / (told.pixels / 1e6):.1f} ms of processor a megapixel")
    outcomes = {
        f"{kind}, {name}: F1 {of.f1:.3f}, target {target:g}": of.f1 >= target
        for kind in KINDS
        for name, treatments, target in TARGETS
        for of in [_sum_of(told, kind, treatments)]
    }
    for name, treatments in (("identical", (LOSSLESS,)), ("only re-encoded", REENCODED)):
        clean = [each for (_, treatment), all_of in told.clean.items() if treatment in treatments for each in all_of]
        share = sum(clean) / max(1, len(clean))
        outcomes[f"no box in {share:.3f} of {len(clean)} {name} pairs, target {CLEAN_TARGET:g}"] = share >= CLEAN_TARGET
    for name, met in outcomes.items():
        print(f"  {'kept  ' if met else 'MISSED'} {name}")
    return all(outcomes.values())


def _sum_of(told: Told, kind: str, treatments: tuple[str, ...]) -> Score:
    total = Score()
    for treatment in treatments:
        total.add(told.scores[kind, treatment])
    return total


if __name__ == "__main__":
    main()

"""What a comparison is asked for, and what it answers in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Noise = Literal["measure", "none", "tolerate"]
Alignment = Literal["refuse", "scale", "pad"]
Layout = Literal["side_by_side", "blended"]

RANGES: Mapping[str, tuple[int, int]] = {
    "threshold": (0, 254),
    "area_min": (1, 50_000_000),
    "merge_distance": (0, 1_000),
    "shift_max": (0, 8),
    "picture_side_max": (64, 8_192),
}
"""The least and the most of each number among the options."""
CHOICES: Mapping[str, tuple[str, ...]] = {
    "noise": get_args(Noise),
    "alignment": get_args(Alignment),
    "layout": get_args(Layout),
}
"""The words that the others take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle in pixels; ``x`` and ``y`` are its left upper corner."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise ValueError("a box begins at 0 or later and is a pixel wide and high at least")


@dataclass(frozen=True, slots=True, kw_only=True)
class Region(Box):
    """A box around changed pixels: ``area`` is their number; ``mean`` and ``peak`` are their change, of 255.

    A pixel's change is that of its most changed channel: red, green or blue.
    """

    area: int
    mean: float
    peak: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffOptions:
    """How two images are compared. Raises ValueError for what makes no sense.

    ``threshold``: a pixel has changed when a channel did by more than this, of 255.
    ``area_min``: regions with fewer changed pixels are dropped.
    ``merge_distance``: regions with fewer unchanged pixels than this between their boxes become one.
    ``ignore``: boxes, in pixels of the first image, in which nothing counts.
    ``noise``: whether to see through what JPEG, WebP or a sensor do to every pixel: always, never, or as the two images
    show traces of it. Where it is, small or faint changes inside fine detail may be missed.
    ``shift_max``: the whole second image may stand up to so many pixels beside the first, in whole pixels each way.
    ``alignment``: what to do with two sizes: refuse, scale the second to the first (and take from the first the detail
    that a smaller second cannot show), or pad both with what is then reported as changed.
    ``layout``: the two images beside each other, or both in one; ``picture_side_max``: of that picture, in pixels.
    """

    threshold: int = 16
    area_min: int = 4
    merge_distance: int = 8
    ignore: tuple[Box, ...] = ()
    noise: Noise = "measure"
    shift_max: int = 0
    alignment: Alignment = "refuse"
    layout: Layout = "side_by_side"
    picture_side_max: int = 2048

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is from {low} to {high}")
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}")

"""Two images of whatever sizes made to lie on each other."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.diff_options import Alignment
from imaging.errors import ImageSizesDiffer

Pixels = NDArray[np.uint8]
"""Height × width × 3: red, green, blue in sRGB."""

Shift = tuple[int, int]
"""How far right and down the second image's content stands of where it is in the first, in pixels."""

_SHIFT_SAMPLES = 200_000
_SHIFT_DOUBT = 48
"""What a pixel can speak against a shift at most: a changed one weighs no more than a badly placed edge."""
_SHIFT_GAIN = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned:
    """Both of one size; ``overlap`` (width, height) is what both have, from the left upper corner."""

    before: Pixels
    after: Pixels
    overlap: tuple[int, int]


def sizes_aligned(before: Pixels, after: Pixels, alignment: Alignment) -> Aligned:
    """Raises ImageSizesDiffer where the sizes do and ``alignment`` is to refuse that."""
    (height, width), (other_height, other_width) = before.shape[:2], after.shape[:2]
    if (width, height) == (other_width, other_height):
        return Aligned(before=before, after=after, overlap=(width, height))
    if alignment == "refuse":
        raise ImageSizesDiffer(
            f"The first image is {width}×{height} pixels, the second {other_width}×{other_height}. "
            "Ask for them to be scaled or padded, or compare images of one size."
        )
    if alignment == "scale":
        # What only one of them can show is no change: both go through the size that has no more than either.
        common = (min(width, other_width), min(height, other_height))
        one, other = (_enlarged(_shrunk(pixels, common), (width, height)) for pixels in (before, after))
        return Aligned(before=one, after=other, overlap=(width, height))
    size = (max(width, other_width), max(height, other_height))
    overlap = (min(width, other_width), min(height, other_height))
    return Aligned(before=_padded(before, size), after=_padded(after, size), overlap=overlap)


def shift_between(before: Pixels, after: Pixels, shift_max: int) -> Shift:
    """Which shift of at most ``shift_max`` pixels each way makes two images of one size most alike; none in doubt."""
    height, width = before.shape[:2]
    if shift_max == 0 or min(height, width) <= 4 * shift_max:
        return 0, 0
    step = max(1, int((height * width / _SHIFT_SAMPLES) ** 0.5))
    # Green alone: the most of the luminance.
    one, other = before[..., 1], after[..., 1]
    core = one[shift_max : height - shift_max : step, shift_max : width - shift_max : step].astype(np.int16)
    unlike = {}
    for down in range(-shift_max, shift_max + 1):
        for right in range(-shift_max, shift_max + 1):
            moved = other[
                shift_max + down : height - shift_max + down : step,
                shift_max + right : width - shift_max + right : step,
            ]
            unlike[right, down] = float(np.minimum(np.abs(core - moved), _SHIFT_DOUBT).mean())
    best = min(unlike, key=lambda shift: (unlike[shift], abs(shift[0]) + abs(shift[1])))
    return best if unlike[best] < _SHIFT_GAIN * unlike[0, 0] else (0, 0)


def shift_undone(pixels: Pixels, shift: Shift) -> Pixels:
    """``pixels`` moved back by ``shift``; what comes in at the borders is black and means nothing."""
    right, down = shift
    if shift == (0, 0):
        return pixels
    back = np.zeros_like(pixels)
    height, width = pixels.shape[:2]
    back[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)] = pixels[
        max(0, down) : height - max(0, -down), max(0, right) : width - max(0, -right)
    ]
    return back


def _padded(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    padded = np.full((size[1], size[0], 3), 255, np.uint8)
    padded[: pixels.shape[0], : pixels.shape[1]] = pixels
    return padded


def _shrunk(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _enlarged(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8)

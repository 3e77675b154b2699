"""Where two images differ: boxes in numbers, and a picture that shows them."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from imaging.colour import flattened
from imaging.decode import image_decode
from imaging.diff_align import Pixels, Shift, shift_between, shift_undone, sizes_aligned
from imaging.diff_noise import Plane
from imaging.diff_options import Alignment, DiffOptions, Region
from imaging.diff_picture import picture_draw
from imaging.diff_regions import Changes, regions_find
from imaging.errors import ImageError, ImageTooLarge
from imaging.header import DECODED_PIXELS_MAX, Size

# One comparison is one process's work, as one rendition is: two at a time beat one on two threads.
cv2.setNumThreads(1)


@dataclass(frozen=True, kw_only=True)
class DiffResult:
    """What changed from the first image to the second.

    ``regions``: by area, the largest first, in pixels of the first image (of both, when padded); ``regions_found`` is
    their number where not all are told. ``pixels_changed`` counts those inside regions, ``share_changed`` is their
    share of the ``pixels_compared``. ``before`` and ``after`` are the sizes as posted, turned upright; ``aligned`` says
    what was done where they differ. ``shift`` is how far right and down the second stands of the first. ``compared``
    are both as they were laid on each other.
    """

    regions: tuple[Region, ...]
    regions_found: int
    pixels_changed: int
    pixels_compared: int
    before: Size
    after: Size
    aligned: Alignment | None
    shift: Shift
    options: DiffOptions
    compared: tuple[Pixels, Pixels] = field(repr=False, compare=False)

    @cached_property
    def picture(self) -> Image.Image:
        """Both with a box around each change. Drawn for those who look: it takes longer than finding them."""
        layout, side_max = self.options.layout, self.options.picture_side_max
        return picture_draw(*self.compared, self.regions, layout=layout, side_max=side_max)

    @property
    def share_changed(self) -> float:
        return self.pixels_changed / self.pixels_compared if self.pixels_compared else 0.0


def diff(before: BinaryIO, after: BinaryIO, options: DiffOptions | None = None) -> DiffResult:
    """Compare two images, each upright, in sRGB and on white where it is transparent. Run it in a sandbox.

    Raises an ImageError that says what is wrong with which of them, or ImageSizesDiffer.
    """
    options = options or DiffOptions()
    first = _decoded(before, "first")
    second = first if _same_bytes(before, after) else _decoded(after, "second")
    sizes, aligned = (_size(first), _size(second)), options.alignment if first.shape != second.shape else None
    one, other, counts, added, shift = _prepared(first, second, options)
    # Where they were scaled, these are two more images, of which nothing is wanted any longer.
    del first, second
    changes = regions_find(one, other, options, counts=counts, added=added)
    return DiffResult(
        regions=changes.regions,
        regions_found=changes.found,
        pixels_changed=changes.pixels,
        pixels_compared=changes.compared,
        before=sizes[0],
        after=sizes[1],
        aligned=aligned,
        shift=shift,
        options=options,
        compared=(one, other),
    )


def pixels_diff(before: Pixels, after: Pixels, options: DiffOptions | None = None) -> Changes:
    """The same of two decoded images, without a picture."""
    options = options or DiffOptions()
    one, other, counts, added, _ = _prepared(before, after, options)
    return regions_find(one, other, options, counts=counts, added=added)


def _prepared(
    before: Pixels, after: Pixels, options: DiffOptions
) -> tuple[Pixels, Pixels, Plane | None, Plane | None, Shift]:
    """Both of one size and on each other; which pixels count, which only one has, and the shift that was undone."""
    aligned = sizes_aligned(before, after, options.alignment)
    width, height = aligned.overlap
    shift = shift_between(aligned.before[:height, :width], aligned.after[:height, :width], options.shift_max)
    one, other = aligned.before, shift_undone(aligned.after, shift)
    added = None
    if one.shape[:2] != (height, width):
        added = np.full(one.shape[:2], 255, np.uint8)
        added[:height, :width] = 0
    if not options.ignore and shift == (0, 0):
        return one, other, None, added, shift
    counts = _of_shift(one.shape[:2], shift)
    for box in options.ignore:
        counts[box.y : box.y + box.height, box.x : box.x + box.width] = 0
    return one, other, counts, added, shift


def _of_shift(shape: tuple[int, ...], shift: Shift) -> Plane:
    """255 where the second image still has pixels after it was moved back."""
    height, width = shape
    right, down = shift
    counts = np.zeros((height, width), np.uint8)
    counts[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)] = 255
    return counts


def _decoded(file: BinaryIO, which: str) -> Pixels:
    try:
        image = flattened(image_decode(file, _whole).image)
    except ImageError as error:
        raise type(error)(f"The {which} image: {error.message}") from error
    return np.asarray(image)


def _whole(source: Size) -> Size:
    if source[0] * source[1] > DECODED_PIXELS_MAX:
        raise ImageTooLarge(
            f"It has {source[0]}×{source[1]} pixels; we compare {DECODED_PIXELS_MAX // 1_000_000} megapixels at most."
        )
    return source


def _same_bytes(one: BinaryIO, other: BinaryIO) -> bool:
    if one is other:
        return True
    one.seek(0)
    other.seek(0)
    while True:
        block = one.read(1 << 20)
        if block != other.read(1 << 20):
            return False
        if not block:
            return True


def _size(pixels: Pixels) -> Size:
    return pixels.shape[1], pixels.shape[0]

"""The picture of a comparison: boxes around what changed, seen on any background."""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from imaging.diff_align import Pixels
from imaging.diff_options import Layout, Region

STROKES = ((0, 0, 0), (255, 255, 255), (230, 0, 90))
"""From the outside in: whatever lies behind, one of them stands out, and so does the next."""
_GAP = 8
_GREY = 128


def picture_draw(
    before: Pixels, after: Pixels, regions: Sequence[Region], *, layout: Layout, side_max: int
) -> Image.Image:
    """Two images of one size beside each other or blended, neither side over ``side_max`` pixels, with ``regions``."""
    height, width = before.shape[:2]
    panels = 2 if layout == "side_by_side" else 1
    across = (side_max - _GAP * (panels - 1)) // panels
    scale = min(1.0, across / width, side_max / height)
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    small = [_scaled(pixels, size) for pixels in (before, after)]
    if layout == "blended":
        small = [np.asarray(cv2.addWeighted(small[0], 0.5, small[1], 0.5, 0), np.uint8)]
    for panel in small:
        # Small ones last, over the large ones that may hold them.
        for region in regions:
            _box_draw(panel, region, (size[0] / width, size[1] / height))
    gap = np.full((size[1], _GAP, 3), _GREY, np.uint8)
    return Image.fromarray(small[0] if len(small) == 1 else np.hstack((small[0], gap, small[1])))


def picture_png(picture: Image.Image) -> bytes:
    """The very pixels, and nothing else."""
    out = io.BytesIO()
    # Level 1 takes a third of the time of the default and is a tenth larger.
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _scaled(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels.copy()
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _box_draw(panel: Pixels, region: Region, scale: tuple[float, float]) -> None:
    """Around the region, not over it; but where the picture ends before all strokes are drawn, inside it."""
    stroke = max(1, round(min(panel.shape[:2]) / 500))
    left, top = int(region.x * scale[0]), int(region.y * scale[1])
    right = -int(-(region.x + region.width) * scale[0] // 1)
    bottom = -int(-(region.y + region.height) * scale[1] // 1)
    height, width = panel.shape[:2]
    reach = len(STROKES) * stroke
    for inset in range(reach):
        first = (max(inset, left - reach + inset), max(inset, top - reach + inset))
        last = (
            min(width - inset, right + reach - inset) - 1,
            min(height - inset, bottom + reach - inset) - 1,
        )
        cv2.rectangle(panel, first, last, STROKES[inset // stroke], 1)

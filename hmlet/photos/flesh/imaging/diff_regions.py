"""From two arrays of one size to the boxes of what changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.diff_align import Pixels
from imaging.diff_noise import AREA_MIN, Plane, changed_beyond_noise, is_noisy
from imaging.diff_options import DiffOptions, Region

REGIONS_MAX = 1_000
_BOXES_MAX = 4_000
"""Merging compares each with each."""
TILE = 16
"""The side of what is looked at as a whole, in pixels. What did not change, usually most, is left at that."""
_ISLANDS_MAX = 200

_Boxes = NDArray[np.int64]
"""One a row: left, top, right, bottom; the last two are outside."""
_Slices = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """``regions`` by area, the largest first, REGIONS_MAX at most; of how many. ``pixels`` changed, of ``compared``."""

    regions: tuple[Region, ...]
    found: int
    pixels: int
    compared: int


def regions_find(
    before: Pixels, after: Pixels, options: DiffOptions, *, counts: Plane | None = None, added: Plane | None = None
) -> Changes:
    """Compare two images of one size. ``counts`` is 0 where nothing counts and 255 elsewhere; ``added`` is 255 where
    only one of them has pixels, which have then changed altogether."""
    compared = before.shape[0] * before.shape[1] if counts is None else cv2.countNonZero(counts)
    islands = _islands(_tiles_differing(before, after), options.merge_distance)
    if not islands and added is None:
        return Changes(regions=(), found=0, pixels=0, compared=compared)
    change = _change(before, after, islands)
    if counts is not None:
        change = _plane(cv2.bitwise_and(change, counts))
    both = counts
    if added is not None:
        both = _plane(cv2.subtract(_all_of(change) if counts is None else counts, added))
    seen = change if both is None else _plane(cv2.bitwise_and(change, both))
    noisy = options.noise == "tolerate" or (
        options.noise == "measure" and is_noisy(_within(seen, islands), options.threshold)
    )
    if noisy:
        changed = changed_beyond_noise(before, after, _all_of(change) if both is None else both, options.threshold)
    else:
        changed = np.zeros_like(change)
        for island in islands:
            cv2.threshold(change[island], options.threshold, 255, cv2.THRESH_BINARY, dst=changed[island])
    if added is not None:
        added = _plane(cv2.bitwise_and(added, counts)) if counts is not None else added
        change, changed = _plane(cv2.max(change, added)), _plane(cv2.max(changed, added))
    if noisy or added is not None:
        islands = _islands(_tiles(changed), options.merge_distance)
    area_min = max(options.area_min, AREA_MIN) if noisy else options.area_min
    boxes = _merged(_boxes(changed, islands, options.merge_distance, area_min), options.merge_distance)
    regions = sorted((_region(box, change, changed) for box in boxes), key=lambda region: -region.area)
    return Changes(
        regions=tuple(regions[:REGIONS_MAX]),
        found=len(regions),
        pixels=sum(region.area for region in regions),
        compared=compared,
    )


def _change(before: Pixels, after: Pixels, islands: Sequence[_Slices]) -> Plane:
    """By how much each pixel differs; outside the islands none does."""
    change = np.zeros(before.shape[:2], np.uint8)
    for island in islands:
        red, green, blue = cv2.split(cv2.absdiff(before[island], after[island]))
        cv2.max(cv2.max(red, green), blue, dst=change[island])
    return change


def _within(plane: Plane, islands: Sequence[_Slices]) -> Plane:
    """All that is in the islands, in one row."""
    return _plane([np.concatenate([plane[island].ravel() for island in islands])]) if len(islands) > 1 else plane


def _tiles_differing(before: Pixels, after: Pixels) -> Plane:
    """Not 0 for each tile in which any pixel differs."""
    height = before.shape[0]
    one, other = (np.ascontiguousarray(pixels).reshape(height, -1) for pixels in (before, after))
    differing = np.empty((TILE, one.shape[1]), np.uint8)
    bands = _bands(one.shape, TILE * 3)
    # A band of rows at a time stays in the cache.
    for band, top in enumerate(range(0, height, TILE)):
        rows = min(TILE, height - top)
        cv2.absdiff(one[top : top + rows], other[top : top + rows], dst=differing[:rows])
        np.maximum.reduce(differing[:rows], axis=0, out=bands[band, : one.shape[1]])
    return _across(bands, TILE * 3)


def _tiles(plane: Plane) -> Plane:
    """Not 0 for each tile in which anything is."""
    height, width = plane.shape
    bands = _bands(plane.shape, TILE)
    for band, top in enumerate(range(0, height, TILE)):
        np.maximum.reduce(plane[top : top + TILE], axis=0, out=bands[band, :width])
    return _across(bands, TILE)


def _bands(shape: tuple[int, ...], step: int) -> Plane:
    """A row for each row of tiles, as long as ``step`` fits into."""
    return np.zeros((-(-shape[0] // TILE), -(-shape[1] // step) * step), np.uint8)


def _across(bands: Plane, step: int) -> Plane:
    """Whether anything is in each ``step`` of a row: by eight bytes at a time, which takes a sixth."""
    words = bands.view(np.uint64).reshape(len(bands), -1, step // 8)
    found = words[..., 0].copy()
    for place in range(1, step // 8):
        found |= words[..., place]
    return _plane(found != 0)


def _islands(tiles: Plane, distance: int) -> list[_Slices]:
    """Rows and columns of rectangles that hold all tiles which are not 0, none closer to another than ``distance``
    pixels. With few tiles left out, or many rectangles, it is one for all."""
    used = cv2.countNonZero(tiles)
    if not used:
        return []
    everywhere = [(slice(None), slice(None))]
    if used > tiles.size // 2:
        return everywhere
    apart = -(-max(1, distance) // TILE)
    found = _components(tiles, apart, 1)[0]
    if len(found) > _ISLANDS_MAX:
        return everywhere
    return [
        (slice(top * TILE, bottom * TILE), slice(left * TILE, right * TILE))
        for left, top, right, bottom in _merged(found, apart).tolist()
    ]


def _boxes(changed: Plane, islands: Sequence[_Slices], distance: int, area_min: int) -> _Boxes:
    """Of the changed pixels that have others closer than ``distance``, with ``area_min`` of them at least."""
    found, areas = [np.empty((0, 4), np.int64)], [np.empty(0, np.int64)]
    for rows, columns in islands:
        boxes, sizes = _components(changed[rows, columns], distance, area_min)
        left, top = columns.start or 0, rows.start or 0
        found.append(boxes + np.array((left, top, left, top)))
        areas.append(sizes)
    boxes, sizes = np.concatenate(found), np.concatenate(areas)
    return boxes if len(boxes) <= _BOXES_MAX else boxes[np.argsort(sizes)[-_BOXES_MAX:]]


def _components(plane: Plane, distance: int, area_min: int) -> tuple[_Boxes, NDArray[np.int64]]:
    """Boxes of what is not 0, in parts that are ``distance`` apart at least; and how much of it is in each."""
    # Each pixel is made a square that reaches its neighbours; with room at the border, boxes grow by just that.
    reach = max(1, distance)
    room = cv2.copyMakeBorder(plane, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    grown = cv2.dilate(room, np.ones((reach, reach), np.uint8)) if reach > 1 else room
    outlines, nested = cv2.findContours(grown, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = np.flatnonzero(np.asarray(nested)[0, :, 3] < 0) if outlines else np.empty(0, np.int64)
    if len(outer) == 1:
        # Most often, and outlines take a tenth of what labels do.
        stats = np.array([cv2.boundingRect(outlines[outer[0]])], np.int64)
        areas = np.array([cv2.countNonZero(room)], np.int64)
    else:
        number, labels, found, _ = cv2.connectedComponentsWithStats(grown, connectivity=8, ltype=cv2.CV_32S)
        stats = np.asarray(found, np.int64)[1:]
        areas = np.bincount(np.asarray(labels)[room > 0], minlength=number)[1:]
    large = areas >= area_min
    stats = stats[large]
    # OpenCV's dilation grows half of it to the right, and the rest to the left.
    moved = reach - 1 - reach // 2 - reach
    x, y = stats[:, cv2.CC_STAT_LEFT] + moved, stats[:, cv2.CC_STAT_TOP] + moved
    width, height = stats[:, cv2.CC_STAT_WIDTH] - (reach - 1), stats[:, cv2.CC_STAT_HEIGHT] - (reach - 1)
    return np.stack((x, y, x + width, y + height), axis=1), areas[large]


def _merged(boxes: _Boxes, distance: int) -> _Boxes:
    """Boxes that overlap or are closer than ``distance`` become one, until none are."""
    room = max(1, distance)
    merged: list[NDArray[np.int64]] = []
    rest = boxes
    while len(rest):
        box, rest = rest[0], rest[1:]
        while True:
            near = (
                (rest[:, 0] - box[2] < room)
                & (box[0] - rest[:, 2] < room)
                & (rest[:, 1] - box[3] < room)
                & (box[1] - rest[:, 3] < room)
            )
            if not near.any():
                break
            together = np.vstack((box[None], rest[near]))
            box = np.concatenate((together[:, :2].min(axis=0), together[:, 2:].max(axis=0)))
            rest = rest[~near]
        # One that has grown may have come close to an earlier one.
        close = [
            other
            for other in merged
            if max(other[0] - box[2], box[0] - other[2]) < room and max(other[1] - box[3], box[1] - other[3]) < room
        ]
        if close:
            merged = [other for other in merged if not any(other is each for each in close)]
            rest = np.vstack((*(each[None] for each in close), box[None], rest))
        else:
            merged.append(box)
    return np.stack(merged) if merged else boxes


def _region(box: NDArray[np.int64], change: Plane, changed: Plane) -> Region:
    left, top, right, bottom = (int(value) for value in box)
    values, mask = change[top:bottom, left:right], changed[top:bottom, left:right]
    return Region(
        x=left,
        y=top,
        width=right - left,
        height=bottom - top,
        area=cv2.countNonZero(mask),
        mean=round(float(cv2.mean(values, mask)[0]), 2),
        peak=int(cv2.minMaxLoc(values, mask)[1]),
    )


def _all_of(plane: Plane) -> Plane:
    return np.full_like(plane, 255)


def _plane(values: object) -> Plane:
    return np.asarray(values, np.uint8)

"""From two arrays of one size to the boxes of what changed."""

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

_Boxes = NDArray[np.int64]
"""One a row: left, top, right, bottom; the last two are outside."""


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
    change = _change(before, after)
    if counts is not None:
        change = _plane(cv2.bitwise_and(change, counts))
    compared = change.size if counts is None else cv2.countNonZero(counts)
    if added is None and not cv2.countNonZero(change):
        return Changes(regions=(), found=0, pixels=0, compared=compared)
    both = counts if counts is not None else np.full_like(change, 255)
    if added is not None:
        both = _plane(cv2.subtract(both, added))
    noisy = options.noise == "tolerate" or (
        options.noise == "measure" and is_noisy(_plane(cv2.bitwise_and(change, both)), options.threshold)
    )
    if noisy:
        changed = changed_beyond_noise(before, after, both, options.threshold)
    else:
        changed = _plane(cv2.threshold(change, options.threshold, 255, cv2.THRESH_BINARY)[1])
    if added is not None:
        added = _plane(cv2.bitwise_and(added, counts)) if counts is not None else added
        change, changed = _plane(cv2.max(change, added)), _plane(cv2.max(changed, added))
    area_min = max(options.area_min, AREA_MIN) if noisy else options.area_min
    boxes = _merged(_boxes(changed, options.merge_distance, area_min), options.merge_distance)
    regions = sorted((_region(box, change, changed) for box in boxes), key=lambda region: -region.area)
    return Changes(
        regions=tuple(regions[:REGIONS_MAX]),
        found=len(regions),
        pixels=sum(region.area for region in regions),
        compared=compared,
    )


def _change(before: Pixels, after: Pixels) -> Plane:
    red, green, blue = cv2.split(cv2.absdiff(before, after))
    return _plane(cv2.max(cv2.max(red, green), blue))


def _boxes(changed: Plane, distance: int, area_min: int) -> _Boxes:
    """Of the changed pixels that have others closer than ``distance``, with ``area_min`` of them at least."""
    # Each pixel is made a square that reaches its neighbours; with room at the border, boxes grow by just that.
    reach = max(1, distance)
    room = cv2.copyMakeBorder(changed, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    grown = cv2.dilate(room, np.ones((reach, reach), np.uint8)) if reach > 1 else room
    number, labels, stats, _ = cv2.connectedComponentsWithStats(grown, connectivity=8, ltype=cv2.CV_32S)
    areas = np.bincount(np.asarray(labels)[room > 0], minlength=number)
    large = np.flatnonzero(areas >= area_min)
    large = large[large > 0]
    if len(large) > _BOXES_MAX:
        large = large[np.argsort(areas[large])[-_BOXES_MAX:]]
    found = np.asarray(stats, np.int64)[large]
    # OpenCV's dilation grows half of it to the right, and the rest to the left.
    moved = reach - 1 - reach // 2 - reach
    x, y = found[:, cv2.CC_STAT_LEFT] + moved, found[:, cv2.CC_STAT_TOP] + moved
    width = found[:, cv2.CC_STAT_WIDTH] - (reach - 1)
    height = found[:, cv2.CC_STAT_HEIGHT] - (reach - 1)
    return np.stack((x, y, x + width, y + height), axis=1)


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


def _plane(values: object) -> Plane:
    return np.asarray(values, np.uint8)

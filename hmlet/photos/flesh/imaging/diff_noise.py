"""Telling a change from what an encoder or a sensor did to the whole image.

Lossy encoders err most where there is most detail, so each pixel is judged by what pixels with as much detail around
them differ by in this very pair: most of an image has not changed, and that part shows the noise.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.diff_align import Pixels

Plane = NDArray[np.uint8]
"""Height × width."""

BLOCK = 17
"""Wide enough that whatever pixel of a JPEG block is in the middle, the window holds the whole block."""
FAINT_SHARE = 0.25
"""From this share of faint differences on, among all, it is noise: replaced content differs clearly."""
TAIL, SLACK = 2.3, 3.0
"""Over this many times what 99 of 100 pixels that differ stay below, and SLACK more, no pixel of noise was seen."""
ROUNDING = 1
TILES, TILE_RANK = 16, 0.5
"""The image is measured in 16×16 tiles; the one in the middle tells, not those that have changed."""
TOLERANCE_OF_DETAIL = 0.25
"""No encoder that is worth comparing errs by more than this share of the detail around."""
LUMINANCE_OF_PEAK, COLOUR_OF_PEAK = 0.25, 0.4
"""A change rings and bleeds into its block, by less than this of its own height."""
BESIDE = 7
"""As close to a change of the luminance, one of the colour tells nothing new."""
BESIDE_SURE, BESIDE_SURE_WINDOW = 0.5, 9
"""In a window of so many pixels around a sure change, this share of the tolerance is enough."""
AREA_MIN = 7
"""A change of 4×4 pixels keeps about half of them."""
DENSE_WINDOW, DENSE = 5, 4
"""Noise makes specks: a change has a pixel with so many around it, itself included."""
_BINS = 16
_SAMPLES = 1_000_000
_BIN_SAMPLES_MIN, _TILE_SAMPLES_MIN, _TILES_MIN = 100, 50, 4


def is_noisy(change: Plane, threshold: int) -> bool:
    """Whether ``change``, of 255 by pixel, has many differences that are there and under ``threshold``."""
    step = _step(change)
    seen = change[::step, ::step]
    differing = int(np.count_nonzero(seen))
    faint = differing - int(np.count_nonzero(seen > threshold))
    return differing > 0 and faint >= FAINT_SHARE * differing


def changed_beyond_noise(before: Pixels, after: Pixels, counts: Plane, threshold: int) -> Plane:
    """255 where a pixel has changed by more than noise explains, 0 elsewhere; ``counts`` is 0 where nothing counts."""
    (one, *ones), (other, *others) = (_luminance_and_colour(each) for each in (before, after))
    luminance = _clear([one], [other], counts, threshold, LUMINANCE_OF_PEAK)
    colour = _clear(
        [_coarse(plane) for plane in ones],
        [_coarse(plane) for plane in others],
        _plane(cv2.resize(counts, _half(counts), interpolation=cv2.INTER_NEAREST)),
        threshold,
        COLOUR_OF_PEAK,
    )
    if not cv2.countNonZero(colour):
        return _dense(luminance)
    fine = cv2.resize(colour, (counts.shape[1], counts.shape[0]), interpolation=cv2.INTER_NEAREST)
    # The luminance tells an edge to the pixel; coarse colour would only blur it.
    beside = cv2.dilate(luminance, np.ones((BESIDE, BESIDE), np.uint8))
    return _dense(_plane(cv2.bitwise_and(cv2.bitwise_or(luminance, cv2.subtract(fine, beside)), counts)))


def _luminance_and_colour(pixels: Pixels) -> list[Plane]:
    return [_plane(plane) for plane in cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb))]


def _coarse(plane: Plane) -> Plane:
    """As encoders keep colour: in half the size, and smoothed by as much as decoders do."""
    return _plane(cv2.blur(cv2.resize(plane, _half(plane), interpolation=cv2.INTER_AREA), (3, 3)))


def _half(plane: Plane) -> tuple[int, int]:
    return max(1, (plane.shape[1] + 1) // 2), max(1, (plane.shape[0] + 1) // 2)


def _dense(changed: Plane) -> Plane:
    ones = np.minimum(changed, 1)
    window = (DENSE_WINDOW, DENSE_WINDOW)
    around = _plane(cv2.boxFilter(ones, -1, window, normalize=False, borderType=cv2.BORDER_CONSTANT))
    core = _plane(cv2.bitwise_and(changed, _plane(cv2.threshold(around, DENSE - 1, 255, cv2.THRESH_BINARY)[1])))
    return _plane(cv2.bitwise_and(changed, cv2.dilate(core, np.ones(window, np.uint8))))


def _clear(before: Sequence[Plane], after: Sequence[Plane], counts: Plane, threshold: int, of_peak: float) -> Plane:
    changes = [_plane(cv2.absdiff(a, b)) for a, b in zip(before, after, strict=True)]
    change = _plane(cv2.bitwise_and(changes[0] if len(changes) == 1 else cv2.max(changes[0], changes[1]), counts))
    tolerance = _tolerance(change, _detail(before, after), counts, threshold)
    over = _plane(cv2.compare(change, tolerance, cv2.CMP_GT))
    if not cv2.countNonZero(over):
        return over
    # Beside a sure change, less is enough: it has faint parts, and would fall to pieces.
    lower = cv2.max(cv2.convertScaleAbs(tolerance, alpha=BESIDE_SURE), np.full_like(tolerance, threshold))
    likely = cv2.compare(change, lower, cv2.CMP_GT)
    sure = cv2.dilate(_dense(over), np.ones((BESIDE_SURE_WINDOW, BESIDE_SURE_WINDOW), np.uint8))
    over = _plane(cv2.bitwise_or(over, cv2.bitwise_and(likely, sure)))
    # Only what is over counts as a peak: noise in fine detail must not hide a change beside it.
    peak = cv2.dilate(cv2.bitwise_and(change, over), _window())
    ringing = cv2.compare(change, cv2.convertScaleAbs(peak, alpha=of_peak), cv2.CMP_LT)
    return _plane(cv2.subtract(over, ringing))


def _detail(before: Sequence[Plane], after: Sequence[Plane]) -> Plane:
    """The range of values around each pixel in the calmer of the two images: a change is itself no excuse."""
    return _plane(cv2.min(_range(before), _range(after)))


def _range(planes: Sequence[Plane]) -> Plane:
    ranges = [_plane(cv2.morphologyEx(plane, cv2.MORPH_GRADIENT, _window())) for plane in planes]
    return ranges[0] if len(ranges) == 1 else _plane(cv2.max(ranges[0], ranges[1]))


def _tolerance(change: Plane, detail: Plane, counts: Plane, threshold: int) -> Plane:
    step = _step(change)
    rows, columns = (np.arange(0, side, step) * TILES // side for side in change.shape)
    cells = (rows[:, None] * TILES + columns[None, :]) * _BINS + (detail[::step, ::step] >> 4)
    seen = counts[::step, ::step] > 0
    table = np.bincount(
        cells[seen].astype(np.int64) * 256 + change[::step, ::step][seen], minlength=TILES * TILES * _BINS * 256
    ).reshape(TILES * TILES, _BINS, 256)
    # Pixels whose whole block is plain, or that were rounded, say nothing of how far the others go astray.
    table[..., : ROUNDING + 1] = 0
    by_bin = np.zeros(_BINS)
    for place in range(_BINS):
        of_tiles = table[:, place][table[:, place].sum(axis=1) >= _TILE_SAMPLES_MIN]
        whole = table[:, place].sum(axis=0)
        if len(of_tiles) >= _TILES_MIN:
            by_bin[place] = np.quantile(_percentiles(of_tiles), TILE_RANK)
        elif whole.sum() >= _BIN_SAMPLES_MIN:
            by_bin[place] = _percentiles(whole[None])[0]
    # What is too rare to be measured is judged by what has less detail.
    by_bin = np.maximum.accumulate(by_bin) * TAIL + SLACK
    most = threshold + TOLERANCE_OF_DETAIL * np.arange(256)
    curve = np.clip(by_bin.repeat(256 // _BINS), threshold, np.minimum(most, 255))
    return _plane(cv2.LUT(detail, curve.astype(np.uint8)))


def _percentiles(tables: NDArray[np.int64]) -> NDArray[np.int64]:
    """What 99 of 100 stay at or below, of each row."""
    within = np.cumsum(tables, axis=1) < 0.99 * tables.sum(axis=1)[:, None]
    return np.asarray(within.sum(axis=1), np.int64)


def _window() -> Plane:
    return np.ones((BLOCK, BLOCK), np.uint8)


def _step(plane: Plane) -> int:
    return max(1, int((plane.size / _SAMPLES) ** 0.5))


def _plane(values: object) -> Plane:
    return np.asarray(values, np.uint8)

"""Two images compared in a sandbox. What compares them is imported where they are: web has none of it."""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from imaging.arriving import ArrivingPart, ArrivingReader
from imaging.confined import Feed
from imaging.diff_options import Alignment, Box, DiffOptions, Region
from imaging.header import Size
from imaging.sandbox import ForkServer, KeptServer, Limits

LIMITS = Limits(memory_bytes=1280 * 1024 * 1024, cpu_s=40, deadline_s=60.0)
"""Two images of 50 megapixels, compared through noise, take 1.2 GB and some seconds."""
IGNORED_MAX = 50
"""Boxes to ignore: what is to be done goes along in a short message."""
_HEAD_LENGTH = struct.Struct("!I")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What imaging.diff.DiffResult tells, with its picture as PNG, ``picture_size`` (width, height) pixels."""

    regions: tuple[Region, ...]
    regions_found: int
    pixels_changed: int
    pixels_compared: int
    before: Size
    after: Size
    aligned: Alignment | None
    shift: Size
    picture: bytes
    picture_size: Size


def diff_confined(options: DiffOptions, *, sizes_bytes: tuple[int, int], feed: Feed) -> Compared:
    """Compare two images, the bytes of which ``feed`` writes one after the other into what it is given.

    Raises an ImageError that says which of them is wrong and why, or what ``feed`` raises.
    """
    order = {"sizes": sizes_bytes, "options": options_told(options)}
    sandbox = _server.sandbox()
    try:
        sandbox.source.begin(sum(sizes_bytes), json.dumps(order, separators=(",", ":")).encode())
        feed(sandbox.source)
        return _unpacked(sandbox.run())
    finally:
        sandbox.close()


def options_told(options: DiffOptions) -> dict[str, Any]:
    """As JSON holds them."""
    return asdict(options) | {"ignore": [[box.x, box.y, box.width, box.height] for box in options.ignore]}


def options_of(told: Mapping[str, Any]) -> DiffOptions:
    """What ``options_told`` told. Raises ValueError for what makes no sense."""
    boxes = (Box(x=x, y=y, width=width, height=height) for x, y, width, height in told["ignore"])
    return DiffOptions(**{**told, "ignore": tuple(boxes)})


def _work(source: BinaryIO, order: bytes) -> bytes:
    from imaging.diff import diff
    from imaging.diff_picture import picture_png

    told = json.loads(order)
    first, second = told["sizes"]
    before, after = ArrivingPart(source, 0, first), ArrivingPart(source, first, second)
    result = diff(ArrivingReader(before), ArrivingReader(after), options_of(told["options"]))
    head = {
        "regions": [asdict(region) for region in result.regions],
        "regions_found": result.regions_found,
        "pixels_changed": result.pixels_changed,
        "pixels_compared": result.pixels_compared,
        "before": result.before,
        "after": result.after,
        "aligned": result.aligned,
        "shift": result.shift,
        "picture_size": result.picture.size,
    }
    packed = json.dumps(head).encode()
    return b"".join((_HEAD_LENGTH.pack(len(packed)), packed, picture_png(result.picture)))


def _unpacked(answer: bytes) -> Compared:
    (length,) = _HEAD_LENGTH.unpack_from(answer)
    end = _HEAD_LENGTH.size + length
    told = json.loads(answer[_HEAD_LENGTH.size : end])
    pairs = {name: tuple(told[name]) for name in ("before", "after", "shift", "picture_size")}
    regions = tuple(Region(**region) for region in told["regions"])
    return Compared(**{**told, **pairs, "regions": regions}, picture=answer[end:])


def _server_started() -> ForkServer:
    # Before the fork: importing them takes longer than comparing two photos.
    import imaging.diff  # noqa: F401
    from imaging.decode import heic_codec_load

    heic_codec_load()
    return ForkServer(_work, limits=LIMITS)


_server = KeptServer(_server_started)

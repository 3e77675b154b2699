"""One image in several sizes and formats, made from one decode."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image

from imaging.decode import WORTH_RESAMPLING, image_decode, shrunk
from imaging.encode import CONTENT_TYPES, JPEG, image_encode
from imaging.header import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A rendition to make: within ``box`` (width, height in pixels) in proportion, or, with ``crop``, the middle of the
    image in the proportions of the box. Never enlarged."""

    kind: str
    box: Size
    crop: bool = False
    formats: tuple[str, ...] = (JPEG,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A rendition in one format, encoded; its size in pixels."""

    kind: str
    format: str
    width: int
    height: int
    content: bytes

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[self.format]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """All that was wanted, and the source's size in pixels, as shown."""

    source_width: int
    source_height: int
    pictures: tuple[Picture, ...]


def renditions_make(file: BinaryIO, wanted: Sequence[Wanted]) -> Pictures:
    """Make all of ``wanted`` (one at least) of ``file``. Run it in a sandbox: ``file`` is hostile.

    Raises an ImageError that says what is wrong with the file.
    """
    decoded = image_decode(file, lambda source: _whole(source, max(_scale(source, each) for each in wanted)))
    # Largest first: each smaller one is made of the smallest before it that leaves something to resample.
    frames = [decoded.image]
    pictures = []
    for each in sorted(wanted, key=lambda each: _scale(decoded.source, each), reverse=True):
        image = _cropped(frames, decoded.source, each) if each.crop else _framed(frames, decoded.source, each)
        pictures += [
            Picture(
                kind=each.kind,
                format=image_format,
                width=image.width,
                height=image.height,
                content=image_encode(image, image_format),
            )
            for image_format in each.formats
        ]
    return Pictures(source_width=decoded.source[0], source_height=decoded.source[1], pictures=tuple(pictures))


def _framed(frames: list[Image.Image], source: Size, wanted: Wanted) -> Image.Image:
    size = _whole(source, _scale(source, wanted))
    if size == frames[-1].size:
        return frames[-1]
    image = shrunk(_enough(frames, size), size)
    frames.append(image)
    return image


def _cropped(frames: list[Image.Image], source: Size, wanted: Wanted) -> Image.Image:
    whole = _whole(source, _scale(source, wanted))
    size = _whole(wanted.box, min(1.0, whole[0] / wanted.box[0], whole[1] / wanted.box[1]))
    frame = _enough(frames, whole)
    width, height = round(size[0] * frame.width / whole[0]), round(size[1] * frame.height / whole[1])
    left, top = (frame.width - width) // 2, (frame.height - height) // 2
    return shrunk(frame, size, (left, top, left + width, top + height))


def _enough(frames: list[Image.Image], size: Size) -> Image.Image:
    for frame in reversed(frames):
        if min(frame.width / size[0], frame.height / size[1]) >= WORTH_RESAMPLING:
            return frame
    return frames[0]


def _scale(source: Size, wanted: Wanted) -> float:
    across, down = wanted.box[0] / source[0], wanted.box[1] / source[1]
    return min(1.0, max(across, down) if wanted.crop else min(across, down))


def _whole(source: Size, scale: float) -> Size:
    return max(1, round(source[0] * scale)), max(1, round(source[1] * scale))

"""The pixels of a still WebP, by OpenCV: a third of the memory and time that Pillow's decoder of animations takes."""

import functools
from typing import BinaryIO

from PIL import Image

from imaging.errors import ImageUnreadable

BAND_PIXELS = 1_000_000


@functools.cache
def webp_codec_load() -> None:
    """Import what decodes. Web has no such codec, and never calls this."""
    import cv2

    cv2.setNumThreads(1)


def webp_averaged(file: BinaryIO, factor: int) -> Image.Image:
    """RGB or RGBA, ``factor`` times smaller; in bands, so that no second whole image is needed.

    Raises ImageUnreadable.
    """
    import cv2
    import numpy as np

    webp_codec_load()
    file.seek(0)
    try:
        pixels = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageUnreadable from error
    if pixels is None:
        raise ImageUnreadable
    height, width, channels = pixels.shape
    mode, order = ("RGBA", cv2.COLOR_BGRA2RGBA) if channels == 4 else ("RGB", cv2.COLOR_BGR2RGB)
    small = Image.new(mode, (-(-width // factor), -(-height // factor)))
    rows = factor * max(1, BAND_PIXELS // (width * factor))
    for top in range(0, height, rows):
        band = Image.fromarray(np.asarray(cv2.cvtColor(pixels[top : top + rows], order), np.uint8))
        small.paste(band.reduce(factor) if factor > 1 else band, (0, top // factor))
    return small

"""The first scans of a progressive JPEG: an eighth of its size is all in them, and the rest need not be decoded.

A progressive JPEG sends the mean of each 8×8 block first (the DC coefficients; ITU-T T.81, G.1.2.1). Decoded at 1/8,
these means are the image. Reading on through the other scans is what makes such a file three times as slow.
"""

import re

from imaging.errors import ImageTruncated

_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""A marker in entropy-coded data: neither a stuffed byte (FF 00), nor a restart, nor padding (FF FF)."""
_SOS, _EOI = 0xDA, 0xD9
_FRAMES = {0xC2, 0xC6, 0xCA, 0xCE}
_NO_LENGTH = {0x01, *range(0xD0, 0xD8), 0xD8}


def dc_scans(content: bytes) -> bytes | None:
    """``content`` up to the end of the scans that bring every component's DC coefficients, made a whole file again.

    None where they do not come first, or the structure is odd. Raises ImageTruncated when the file does not go on to
    its end: what is left out of the answer is looked through all the same.
    """
    components: set[int] = set()
    wanted = 0
    cut: int | None = None
    position = 2
    while True:
        marker, position = _next(content, position)
        if marker == _EOI:
            return None if cut is None else content[:cut] + b"\xff\xd9"
        if marker in _NO_LENGTH:
            continue
        length = int.from_bytes(content[position : position + 2], "big")
        segment = content[position + 2 : position + length]
        if length < 2 or len(segment) < length - 2:
            raise ImageTruncated
        position += length
        if marker in _FRAMES:
            wanted = segment[5]
        elif marker == _SOS:
            if cut is None:
                count = segment[0]
                first, last, refinement = segment[1 + 2 * count], segment[2 + 2 * count], segment[3 + 2 * count] >> 4
                if (first, last, refinement) != (0, 0, 0):
                    return None
                components.update(segment[1 : 1 + 2 * count : 2])
            found = _MARKER.search(content, position)
            if found is None:
                raise ImageTruncated
            position = found.start()
            if cut is None and len(components) == wanted:
                cut = position


def _next(content: bytes, position: int) -> tuple[int, int]:
    """The marker at ``position`` or after fill bytes, and where what follows it begins."""
    found = _MARKER.search(content, position)
    if found is None:
        raise ImageTruncated
    return found.group(1)[0], found.end()

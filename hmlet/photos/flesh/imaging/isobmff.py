"""The size of a HEIC or AVIF image from its boxes (ISO/IEC 14496-12 and 23008-12), without a codec.

Web has no codec for HEIC, and opening an AVIF in one hands it the whole file: this reads the item tables alone.
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

META_BYTES_MAX = 4 * 1024 * 1024
BOXES_MAX = 4096
_ESSENTIAL_INDEX = {1: 0x7FFF, 0: 0x7F}


class Box(NamedTuple):
    """Its four letters, and where its content begins and ends, in bytes."""

    kind: bytes
    start: int
    end: int


class ItemSize(NamedTuple):
    """Width and height in pixels: as decoded, and as shown, after cropping and turning."""

    decoded: tuple[int, int]
    shown: tuple[int, int]


def item_size(file: BinaryIO) -> ItemSize:
    """The size of the primary item.

    Raises ValueError or struct.error where the boxes do not say.
    """
    meta = _meta(file)
    # A full box: version and flags come first.
    inside = {box.kind: box for box in _boxes(meta, 4, len(meta))}
    primary = _primary_item(meta, inside[b"pitm"])
    properties = {box.kind: box for box in _boxes(meta, inside[b"iprp"].start, inside[b"iprp"].end)}
    held = list(_boxes(meta, properties[b"ipco"].start, properties[b"ipco"].end))
    decoded = shown = (0, 0)
    for index in _associations(meta, properties[b"ipma"], primary):
        box = held[index - 1] if 0 < index <= len(held) else None
        if box is None:
            continue
        if box.kind == b"ispe":
            decoded = shown = struct.unpack_from(">II", meta, box.start + 4)
        elif box.kind == b"clap":
            # Two fractions; encoders that want even sizes crop what they padded.
            across, across_of, down, down_of = struct.unpack_from(">4I", meta, box.start)
            shown = (across // across_of, down // down_of)
        elif box.kind == b"irot" and meta[box.start] & 1:
            shown = (shown[1], shown[0])
    if min(shown) < 1:
        raise ValueError("the primary item has no size")
    return ItemSize(decoded, shown)


def is_complete(file: BinaryIO) -> bool:
    """Whether the file holds all that its outermost boxes announce."""
    end = file.seek(0, io.SEEK_END)
    position = 0
    for _ in range(BOXES_MAX):
        if position >= end:
            return position == end
        _, length, _ = _outer(file, position, end)
        position += length
    return False


def _meta(file: BinaryIO) -> bytes:
    end = file.seek(0, io.SEEK_END)
    position = 0
    for _ in range(BOXES_MAX):
        kind, length, head = _outer(file, position, end)
        if kind == b"meta":
            if length > META_BYTES_MAX:
                raise ValueError("more tables than an image needs")
            file.seek(position + head)
            content = file.read(length - head)
            if len(content) < length - head:
                raise EOFError("the tables are cut off")
            return content
        position += length
    raise ValueError("no meta box")


def _outer(file: BinaryIO, position: int, end: int) -> tuple[bytes, int, int]:
    """Kind, whole length and length of the head of the box at ``position`` of the file."""
    file.seek(position)
    length, kind = struct.unpack(">I4s", file.read(8))
    head = 8
    if length == 1:
        (length,) = struct.unpack(">Q", file.read(8))
        head = 16
    elif length == 0:
        length = end - position
    if length < head:
        raise ValueError("a box shorter than its head")
    return kind, length, head


def _boxes(content: bytes, start: int, end: int) -> Iterator[Box]:
    for _ in range(BOXES_MAX):
        if start + 8 > end:
            return
        length, kind = struct.unpack_from(">I4s", content, start)
        if length < 8 or start + length > end:
            raise ValueError("a box that does not fit into its parent")
        yield Box(kind, start + 8, start + length)
        start += length
    raise ValueError("more boxes than an image needs")


def _primary_item(content: bytes, box: Box) -> int:
    wide = content[box.start] > 0
    return int(struct.unpack_from(">I" if wide else ">H", content, box.start + 4)[0])


def _associations(content: bytes, box: Box, item: int) -> list[int]:
    """The numbers of the properties of ``item``, from 1."""
    version, flags = content[box.start], content[box.start + 3]
    (entries,) = struct.unpack_from(">I", content, box.start + 4)
    position = box.start + 8
    id_form, index_form = (">I" if version > 0 else ">H"), (">H" if flags & 1 else ">B")
    for _ in range(entries):
        (entry_item,) = struct.unpack_from(id_form, content, position)
        position += struct.calcsize(id_form)
        count = content[position]
        step = struct.calcsize(index_form)
        if entry_item == item:
            mask = _ESSENTIAL_INDEX[flags & 1]
            return [
                struct.unpack_from(index_form, content, position + 1 + number * step)[0] & mask
                for number in range(count)
            ]
        position += 1 + count * step
    return []

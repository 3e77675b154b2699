"""Renditions made in a sandbox that was forked and rehearsed before the image came.

``stand_by`` is for the time between two images, ``renditions_confined`` for when one is there. One of these processes
makes one image after the other; each gets a child of its own. The next is not forked before this one is told of: beside
a decoder on two cores that takes longer than after it.
"""

import io
import json
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import BinaryIO, Protocol, cast

from PIL import Image

from imaging.decode import heic_codec_load
from imaging.renditions import Picture, Pictures, Wanted, renditions_make
from imaging.sandbox import ForkServer, KeptServer, Sandbox
from imaging.webp import webp_codec_load

PATIENT_NICENESS = 10
_HEAD_LENGTH = struct.Struct("!I")


class Sink(Protocol):
    """Where bytes can be written."""

    def write(self, content: bytes, /) -> object: ...


Feed = Callable[[Sink], object]

_standby: Sandbox | None = None
_spent: list[Sandbox] = []


def renditions_confined(wanted: Sequence[Wanted], *, size_bytes: int, feed: Feed, patient: bool = False) -> Pictures:
    """Make all of ``wanted`` of the ``size_bytes`` that ``feed`` writes into what it is given; decoding begins with the
    first of them. ``patient`` work leaves the processor to others.

    Raises an ImageError, or what ``feed`` raises.
    """
    sandbox = _taken()
    _spent.append(sandbox)
    order = {"patient": patient, "wanted": [asdict(each) for each in wanted]}
    sandbox.source.begin(size_bytes, json.dumps(order).encode())
    feed(sandbox.source)
    return _unpacked(sandbox.run())


def stand_by() -> None:
    """When nobody waits: let go of the last child and have one for the next image."""
    global _standby
    while _spent:
        _spent.pop().close()
    if _standby is None or not _server.is_ours():
        _standby = _server.sandbox()


def _server_started() -> ForkServer:
    # Before the fork: importing them takes longer than making a thumbnail.
    heic_codec_load()
    webp_codec_load()
    return ForkServer(_work, rehearse=_rehearse)


_server = KeptServer(_server_started)


def _taken() -> Sandbox:
    """The waiting child, else a new one."""
    global _standby
    stand_by()
    taken, _standby = cast(Sandbox, _standby), None
    return taken


def _work(source: BinaryIO, order: bytes) -> bytes:
    told = json.loads(order)
    if told["patient"]:
        os.nice(PATIENT_NICENESS)
    return _packed(renditions_make(source, [_wanted(each) for each in told["wanted"]]))


def _wanted(told: dict[str, object]) -> Wanted:
    width, height = cast(list[int], told["box"])
    return Wanted(
        kind=cast(str, told["kind"]),
        box=(width, height),
        crop=cast(bool, told["crop"]),
        formats=tuple(cast(list[str], told["formats"])),
    )


def _packed(made: Pictures) -> bytes:
    """Numbers and names as JSON, then the contents one after the other: nothing that reading it could execute."""
    told = [
        [picture.kind, picture.format, picture.width, picture.height, len(picture.content)] for picture in made.pictures
    ]
    head = json.dumps({"source": [made.source_width, made.source_height], "pictures": told}).encode()
    return b"".join((_HEAD_LENGTH.pack(len(head)), head, *(picture.content for picture in made.pictures)))


def _unpacked(answer: bytes) -> Pictures:
    (length,) = _HEAD_LENGTH.unpack_from(answer)
    position = _HEAD_LENGTH.size + length
    head = json.loads(answer[_HEAD_LENGTH.size : position])
    pictures = []
    for kind, image_format, width, height, size in head["pictures"]:
        content = answer[position : position + size]
        position += size
        pictures.append(Picture(kind=kind, format=image_format, width=width, height=height, content=content))
    source_width, source_height = head["source"]
    return Pictures(source_width=source_width, source_height=source_height, pictures=tuple(pictures))


def _rehearse() -> None:
    """Touch what the usual image needs: a JPEG that becomes a small one."""
    renditions_make(io.BytesIO(_REHEARSAL), _REHEARSED)


def _rehearsal_image() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (1600, 1200)).save(out, "JPEG")
    return out.getvalue()


_REHEARSAL = _rehearsal_image()
_REHEARSED = (Wanted(kind="rehearsal", box=(128, 128)),)

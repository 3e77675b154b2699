"""Nothing of the source but its pixels: not one byte that tells who, where, when or by what."""

import io
import struct
from collections.abc import Iterator

import pytest
from imaging.diff import diff
from imaging.diff_options import DiffOptions, Layout
from imaging.diff_picture import picture_png
from imaging.renditions import Picture, Wanted, renditions_make
from PIL import Image

from tests.imaging.canaries import CANARY, FILES, SIZE, TEXT

EVERY_FORMAT = (Wanted(kind="128", box=(128, 128), formats=("JPEG", "WEBP", "AVIF")),)
AS_LARGE = (Wanted(kind="same", box=SIZE, formats=("JPEG", "WEBP", "AVIF")),)


@pytest.mark.parametrize("image_format", FILES)
def test_the_canaries_are_in_the_source(image_format: str) -> None:
    content = FILES[image_format]()
    assert content.count(CANARY) >= 2
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert image.format == image_format
        if image_format not in {"GIF", "BMP"}:
            assert TEXT.encode("utf-16-be") in image.info["icc_profile"]
            assert TEXT.encode() in image.getexif().tobytes()


@pytest.mark.parametrize("wanted", [EVERY_FORMAT, AS_LARGE], ids=["smaller", "as large"])
@pytest.mark.parametrize("image_format", FILES)
def test_no_canary_survives(image_format: str, wanted: tuple[Wanted, ...]) -> None:
    made = renditions_make(io.BytesIO(FILES[image_format]()), wanted)
    assert [picture.format for picture in made.pictures] == ["JPEG", "WEBP", "AVIF"]
    for picture in made.pictures:
        assert CANARY not in picture.content
        assert TEXT.encode("utf-16-be") not in picture.content
        assert _parts(picture) <= _HARMLESS[picture.format]
        with Image.open(io.BytesIO(picture.content)) as image:
            image.load()
            assert not image.getexif()
            assert not {"icc_profile", "xmp", "exif", "comment", "photoshop"} & set(image.info)


@pytest.mark.parametrize("layout", ["side_by_side", "blended"])
@pytest.mark.parametrize("image_format", FILES)
def test_no_canary_survives_in_the_picture_of_a_comparison(image_format: str, layout: Layout) -> None:
    plain = io.BytesIO()
    Image.new("RGB", SIZE, "grey").save(plain, "PNG")
    result = diff(io.BytesIO(FILES[image_format]()), plain, DiffOptions(layout=layout))
    content = picture_png(result.picture)
    assert result.regions
    assert CANARY not in content
    assert set(_png_chunks(content)) == {"IHDR", "IDAT", "IEND"}


def _png_chunks(content: bytes) -> Iterator[str]:
    position = 8
    while position < len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        yield kind.decode()
        position += 12 + length


# What a file may be made of. Whoever wants to hide a text elsewhere has no elsewhere.
_HARMLESS = {
    "JPEG": {"SOI", "APP0", "DQT", "SOF0", "DHT", "SOS", "EOI"},
    "WEBP": {"VP8 "},
    "AVIF": {"ftyp", "meta", "mdat"},
}
_MARKERS = {0xE0: "APP0", 0xDB: "DQT", 0xC0: "SOF0", 0xC4: "DHT", 0xDA: "SOS"}


def _parts(picture: Picture) -> set[str]:
    parts = {"JPEG": _segments, "WEBP": _chunks, "AVIF": _boxes}[picture.format]
    return set(parts(picture.content))


def _segments(content: bytes) -> Iterator[str]:
    assert content[:2] == b"\xff\xd8"
    assert content[-2:] == b"\xff\xd9"
    position = 2
    while True:
        marker = _MARKERS.get(content[position + 1], hex(content[position + 1]))
        yield marker
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        if marker == "SOS":
            assert content.index(b"\xff\xd9", position) == len(content) - 2, "nothing follows the image"
            return


def _chunks(content: bytes) -> Iterator[str]:
    assert struct.unpack_from("<I", content, 4)[0] + 8 == len(content)
    position = 12
    while position < len(content):
        yield content[position : position + 4].decode()
        length = struct.unpack_from("<I", content, position + 4)[0]
        position += 8 + length + length % 2


def _boxes(content: bytes) -> Iterator[str]:
    position = 0
    while position < len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        yield kind.decode()
        if kind == b"meta":
            meta = content[position : position + length]
            assert not [word for word in (b"Exif", b"mime", b"prof", b"rICC", b"uri ") if word in meta]
        position += length

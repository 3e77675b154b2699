"""What is refused before anything is decoded, and what web knows of formats that it cannot decode."""

import io
import struct
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imaging.decode import heic_codec_load
from imaging.errors import ImageEmpty, ImageError, ImageFormatRefused, ImageTooHeavy, ImageTooLarge, ImageUnreadable
from imaging.header import HEADER_BYTES_MAX, header_read
from imaging.isobmff import is_complete
from imaging.renditions import Wanted, renditions_make

from tests.images import encoded

heic_codec_load()

SMALL = Wanted(kind="", box=(128, 128))


@pytest.mark.parametrize("image_format", ["AVIF", "HEIF"])
def test_the_size_of_avif_and_heic_is_read_without_a_codec(image_format: str) -> None:
    header = header_read(io.BytesIO(encoded(500, 333, image_format=image_format)))
    assert (header.format, header.width, header.height) == (image_format, 500, 333)


def test_web_reads_a_heic_header_though_it_has_no_codec() -> None:
    program = (
        "import io, sys; sys.modules['pillow_heif'] = None\n"
        "from imaging.header import header_read\n"
        "print(header_read(io.BytesIO(sys.stdin.buffer.read())).width)"
    )
    content = encoded(500, 300, image_format="HEIF")
    told = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True, check=True)
    assert told.stdout.strip() == b"500"


@pytest.mark.parametrize("image_format", ["AVIF", "HEIF"])
def test_a_container_that_claims_too_many_pixels_is_refused(image_format: str) -> None:
    content = encoded(500, 334, image_format=image_format)
    size = struct.pack(">II", 500, 334)
    assert size in content
    bomb = content.replace(size, struct.pack(">II", 60_000, 60_000))
    for judge in (header_read, lambda file: renditions_make(file, [SMALL])):
        with pytest.raises(ImageTooLarge):
            judge(io.BytesIO(bomb))


@pytest.mark.parametrize("image_format", ["AVIF", "HEIF"])
def test_a_container_says_whether_it_is_whole(image_format: str) -> None:
    content = encoded(image_format=image_format)
    assert is_complete(io.BytesIO(content))
    assert not any(is_complete(io.BytesIO(content[:-missing])) for missing in (1, 10, 100))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["AVIF", "HEIF"]), st.data())
def test_damaged_boxes_raise_nothing_but_image_errors(image_format: str, data: st.DataObject) -> None:
    content = bytearray(encoded(32, 24, image_format=image_format))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(4, 400)) % len(content)] = data.draw(st.integers(0, 255))
    try:
        header_read(io.BytesIO(bytes(content)))
    except ImageError:
        return


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", ImageEmpty),
        (b"GIF", ImageUnreadable),
        (b"<html><body>", ImageUnreadable),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ImageFormatRefused),
        (b"push graphic-context\nimage over 0,0 0,0 'https://x'", ImageUnreadable),
        (b"PK\3\4" + bytes(30), ImageUnreadable),
        (b"%!PS-Adobe-3.0 EPSF-3.0", ImageFormatRefused),
        (b"8BPS\0\1" + bytes(20), ImageFormatRefused),
        (b"%PDF-1.7", ImageFormatRefused),
        (b"SIMPLE  =                    T", ImageUnreadable),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp42avc1", ImageFormatRefused),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ImageUnreadable),
        (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*", ImageUnreadable),
    ],
    ids=["empty", "3 bytes", "html", "svg", "mvg", "zip", "eps", "psd", "pdf", "fits", "mp4", "heic start", "eicar"],
)
def test_what_is_no_image_of_ours_is_refused_by_its_first_bytes(content: bytes, error: type[ImageError]) -> None:
    with pytest.raises(error):
        header_read(io.BytesIO(content))


def _tagged(size: int) -> bytes:
    """A TIFF with a private tag of ``size`` bytes, as the layers of an image editor are kept."""
    from PIL import Image, TiffImagePlugin

    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[37724] = bytes(size)
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "TIFF", tiffinfo=tags)
    return out.getvalue()


def _commented(size: int) -> bytes:
    jpeg = encoded(8, 8, image_format="JPEG")
    comment = b"\xff\xfe" + struct.pack(">H", 60_002) + bytes(60_000)
    return jpeg[:2] + comment * (size // 60_000) + jpeg[2:]


@pytest.mark.parametrize("made", [_commented, _tagged])
def test_what_comes_before_the_picture_is_bounded_for_all_of_it_is_held(made: Callable[[int], bytes]) -> None:
    assert header_read(io.BytesIO(made(HEADER_BYTES_MAX // 3)))
    with pytest.raises(ImageTooHeavy, match="before the picture"):
        header_read(io.BytesIO(made(HEADER_BYTES_MAX + 100_000)))


def test_an_animation_of_too_many_frames_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    frames = [Image.new("L", (8, 8), number) for number in range(5)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=20)
    assert renditions_make(out, [SMALL]).pictures
    monkeypatch.setattr("imaging.decode.FRAMES_MAX", 4)
    with pytest.raises(ImageTooLarge, match="frames"):
        renditions_make(out, [SMALL])


def test_a_photo_of_108_megapixels_is_decoded_at_a_smaller_scale() -> None:
    from PIL import Image

    out = io.BytesIO()
    Image.new("L", (12_000, 9_000), 90).save(out, "JPEG", quality=30)
    assert header_read(out).width == 12_000
    large = Wanted(kind="", box=(1440, 1440))
    (picture,) = renditions_make(out, [large]).pictures
    assert (picture.width, picture.height) == (1440, 1080)

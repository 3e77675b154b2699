"""Renditions of good and bad images."""

import contextlib
import io
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imaging.decode import heic_codec_load
from imaging.errors import ERRORS, DecoderDied, DecoderLate, ImageError, ImageTooLarge, ImageTruncated
from imaging.header import header_read, size_check
from imaging.renditions import Pictures, Wanted, renditions_make
from PIL import Image, ImageCms

from tests.images import encoded, png_bomb, webp_bomb
from tests.imaging.profiles import adobe_rgb

heic_codec_load()

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF"]
MODES = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("P", "L"),
    "TIFF": ("RGB", "RGBA", "L", "LA", "P", "CMYK", "1", "F"),
    "BMP": ("RGB", "L", "P", "1"),
    "AVIF": ("RGB", "RGBA"),
    "HEIF": ("RGB", "RGBA", "L"),
}
THUMBNAIL = Wanted(kind="128", box=(128, 128))
ALL = (
    THUMBNAIL,
    Wanted(kind="256", box=(256, 256), crop=True),
    Wanted(kind="512", box=(512, 512)),
    Wanted(kind="1440", box=(1440, 1440)),
)


def made(content: bytes) -> tuple[Pictures, Image.Image]:
    pictures = renditions_make(io.BytesIO(content), [THUMBNAIL])
    return pictures, Image.open(io.BytesIO(pictures.pictures[0].content))


def sizes(content: bytes) -> dict[str, tuple[int, int]]:
    pictures = renditions_make(io.BytesIO(content), ALL).pictures
    for picture in pictures:
        assert Image.open(io.BytesIO(picture.content)).size == (picture.width, picture.height)
    return {picture.kind: (picture.width, picture.height) for picture in pictures}


@pytest.mark.parametrize("image_format", FORMATS)
def test_every_accepted_format_makes_a_proportional_jpeg(image_format: str) -> None:
    thumbnail, image = made(encoded(1000, 500, image_format=image_format))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (128, 64))
    assert (thumbnail.source_width, thumbnail.source_height) == (1000, 500)
    left, right = image.getpixel((4, 32)), image.getpixel((123, 32))
    assert abs(left[0] - right[0]) > 150, "the gradient is still there"  # type: ignore[index]


@pytest.mark.parametrize(
    ("image_format", "mode"),
    [("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1"), ("PNG", "LA"), ("PNG", "I;16"), ("TIFF", "CMYK"), ("TIFF", "F"),
     ("JPEG", "CMYK"), ("JPEG", "L"), ("TIFF", "LAB"), ("GIF", "P")],
)  # fmt: skip
def test_every_mode_becomes_rgb(image_format: str, mode: str) -> None:
    image = Image.linear_gradient("L").resize((400, 300))
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(image.convert("RGB"), srgb, lab, outputMode="LAB")  # type: ignore[assignment]
    elif mode == "I;16":
        image = image.convert("I").point(lambda value: value * 257).convert("I;16")
    else:
        image = (image if mode in {"1", "LA", "F"} else image.convert("RGB")).convert(mode)
    out = io.BytesIO()
    image.save(out, image_format)
    _, small = made(out.getvalue())
    assert small.mode == "RGB"
    dark, light = small.getpixel((60, 2)), small.getpixel((60, 94))
    assert max(dark) < 60, "dark stays dark"  # type: ignore[arg-type]
    assert min(light) > 200, "light stays light"  # type: ignore[arg-type]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_the_orientation_is_applied(image_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(600, 300, image_format=image_format, exif=exif.tobytes() if image_format == "HEIF" else exif)
    thumbnail, image = made(content)
    sideways = orientation >= 5
    assert image.size == ((64, 128) if sideways else (128, 64))
    assert (thumbnail.source_width, thumbnail.source_height) == ((300, 600) if sideways else (600, 300))
    if image_format in {"JPEG", "AVIF", "HEIF"}:
        header = header_read(io.BytesIO(content))
        assert (header.width, header.height) == ((300, 600) if sideways else (600, 300))


def test_transparency_becomes_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (300, 300), (255, 0, 0, 0)).save(out, "PNG")
    _, image = made(out.getvalue())
    assert image.getpixel((64, 64)) == (255, 255, 255)


def test_all_sizes_come_of_one_image_in_proportion_and_the_square_is_its_middle() -> None:
    expected = {"128": (128, 96), "256": (256, 256), "512": (512, 384), "1440": (1440, 1080)}
    assert sizes(encoded(2000, 1500, image_format="JPEG")) == expected
    content = io.BytesIO()
    striped = Image.new("RGB", (900, 300), "red")
    striped.paste((0, 0, 255), (300, 0, 600, 300))
    striped.save(content, "PNG")
    (square,) = renditions_make(content, [ALL[1]]).pictures
    image = Image.open(io.BytesIO(square.content))
    assert image.size == (256, 256)
    assert all(image.getpixel((x, 128))[2] > 200 for x in (4, 128, 251)), "blue alone"  # type: ignore[index]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ((20, 10), {"128": (20, 10), "256": (10, 10), "512": (20, 10), "1440": (20, 10)}),
        ((5000, 3), {"128": (128, 1), "256": (3, 3), "512": (512, 1), "1440": (1440, 1)}),
        ((5000, 500), {"128": (128, 13), "256": (256, 256), "512": (512, 51), "1440": (1440, 144)}),
        ((3, 4000), {"128": (1, 128), "256": (3, 3), "512": (1, 512), "1440": (1, 1440)}),
    ],
    ids=["small", "line", "panorama", "upright line"],
)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_nothing_is_enlarged_and_the_extreme_keep_a_pixel(image_format: str, source: Any, expected: Any) -> None:
    assert sizes(encoded(*source, image_format=image_format)) == expected


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_whatever_the_sizes_a_rendition_fits_its_box(
    width: int, height: int, across: int, down: int, crop: bool
) -> None:
    content = encoded(width, height, image_format="JPEG")
    (picture,) = renditions_make(io.BytesIO(content), [Wanted(kind="", box=(across, down), crop=crop)]).pictures
    assert 1 <= picture.width <= min(width, across)
    assert 1 <= picture.height <= min(height, down)
    if crop:
        assert abs(picture.width * down - picture.height * across) <= max(across, down), "the box's proportions"
    assert picture.width == min(width, across) or picture.height == min(height, down)


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from([(image_format, mode) for image_format, modes in MODES.items() for mode in modes]),
    st.integers(1, 300),
    st.integers(1, 300),
    st.lists(
        st.builds(
            Wanted,
            kind=st.just(""),
            box=st.tuples(st.integers(1, 320), st.integers(1, 320)),
            crop=st.booleans(),
            formats=st.lists(st.sampled_from(["JPEG", "WEBP", "AVIF"]), min_size=1, unique=True).map(tuple),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_whatever_is_asked_of_whatever_image_comes_out_as_told(
    kind: tuple[str, str], width: int, height: int, wanted: list[Wanted]
) -> None:
    pictures = renditions_make(io.BytesIO(encoded(width, height, image_format=kind[0], mode=kind[1])), wanted).pictures
    assert len(pictures) == sum(len(each.formats) for each in wanted)
    for picture in pictures:
        with Image.open(io.BytesIO(picture.content)) as image:
            image.load()
            assert (image.format, image.size) == (picture.format, (picture.width, picture.height))
            assert image.width <= width
            assert image.height <= height


def test_transparency_stays_where_the_format_has_it() -> None:
    out = io.BytesIO()
    image = Image.new("RGBA", (300, 300), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 150, 300))
    image.save(out, "PNG")
    made = renditions_make(out, [Wanted(kind="", box=(100, 100), formats=("JPEG", "WEBP", "AVIF"))])
    jpeg, *others = (Image.open(io.BytesIO(picture.content)) for picture in made.pictures)
    assert min(jpeg.getpixel((20, 50))) > 250  # type: ignore[arg-type]
    for other in others:
        assert other.mode == "RGBA"
        assert (other.getpixel((20, 50))[3], other.getpixel((80, 50))[3]) == (0, 255)  # type: ignore[index]


def test_colours_of_a_wide_gamut_come_out_as_srgb_shows_them() -> None:
    # Adobe RGB (1998): primaries and gamma of its specification; its green is outside sRGB, its greys are the same.
    wide = adobe_rgb()
    for colour, expected in (((128, 128, 128), (128, 128, 128)), ((200, 100, 50), (225, 99, 39))):
        out = io.BytesIO()
        Image.new("RGB", (200, 200), colour).save(out, "PNG", icc_profile=wide)
        pixel = made(out.getvalue())[1].getpixel((64, 64))
        assert max(abs(is_ - should) for is_, should in zip(pixel, expected, strict=True)) <= 4, pixel  # type: ignore[arg-type]


def test_a_broken_profile_and_broken_exif_do_not_cost_the_image() -> None:
    broken: tuple[dict[str, Any], ...] = (
        {"icc_profile": b"not a profile" * 20},
        {"exif": b"Exif\0\0II*\0garbage" + bytes(40)},
    )
    for options in broken:
        content = encoded(300, 200, image_format="JPEG", **options)
        header = header_read(io.BytesIO(content))
        assert (header.width, header.height) == (300, 200)
        assert made(content)[1].size == (128, 85)


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_truncated_file_is_refused_and_not_half_rendered(image_format: str) -> None:
    content = encoded(600, 400, image_format=image_format)
    for length in (len(content) * 2 // 3, len(content) - len(content) // 20):
        with pytest.raises(ImageTruncated):
            made(content[:length])


@pytest.mark.parametrize("bomb", [png_bomb(), webp_bomb(), png_bomb(70_000, 1)], ids=["png", "webp", "side"])
def test_a_bomb_is_refused_by_its_header(bomb: bytes) -> None:
    with pytest.raises(ImageTooLarge):
        header_read(io.BytesIO(bomb))


def test_a_large_jpeg_is_accepted_because_it_scales_while_decoding() -> None:
    size_check("JPEG", 20_000, 15_000)
    for image_format, width, height in [("PNG", 20_000, 15_000), ("JPEG", 60_000, 900), ("JPEG", 65_000, 65_000)]:
        with pytest.raises(ImageTooLarge):
            size_check(image_format, width, height)


def test_a_progressive_jpeg_is_refused_where_its_coefficients_alone_would_be_too_many() -> None:
    def claiming(width: int, height: int, subsampling: int) -> io.BytesIO:
        content = encoded(64, 48, image_format="JPEG", progressive=True, subsampling=subsampling)
        frame = content.index(b"\xff\xc2") + 5
        return io.BytesIO(content[:frame] + struct.pack(">HH", height, width) + content[frame + 4 :])

    assert header_read(claiming(12_000, 9_000, 2)).width == 12_000
    assert header_read(claiming(8_000, 7_000, 0)).width == 8_000
    for width, height, subsampling in ((12_000, 9_000, 0), (14_000, 10_000, 2)):
        with pytest.raises(ImageTooLarge):
            header_read(claiming(width, height, subsampling))


@settings(deadline=None)
@given(st.sampled_from(FORMATS), st.data())
def test_damaged_files_raise_nothing_but_image_errors(image_format: str, data: Any) -> None:
    content = bytearray(encoded(64, 48, image_format=image_format))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        renditions_make(io.BytesIO(bytes(content)), ALL)


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_every_error_says_what_is_wrong_what_to_do_and_whether_a_retry_can_help(error: type[ImageError]) -> None:
    raised = error()
    assert raised.code.startswith("image_")
    assert raised.message.count(".") >= 2
    assert raised.retryable is (error in {DecoderDied, DecoderLate})

"""Thumbnails of good and bad images."""

import contextlib
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imaging.errors import ImageError, ImageTooLarge, ImageTruncated
from imaging.header import header_read, size_check
from imaging.thumbnail import Thumbnail, thumbnail_make
from PIL import Image, ImageCms

from tests.images import encoded, png_bomb, webp_bomb

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"]


def made(content: bytes, **options: Any) -> tuple[Thumbnail, Image.Image]:
    thumbnail = thumbnail_make(io.BytesIO(content), **options)
    return thumbnail, Image.open(io.BytesIO(thumbnail.content))


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
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_orientation_is_applied(image_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    thumbnail, image = made(encoded(600, 300, image_format=image_format, exif=exif))
    sideways = orientation >= 5
    assert image.size == ((64, 128) if sideways else (128, 64))
    assert (thumbnail.source_width, thumbnail.source_height) == ((300, 600) if sideways else (600, 300))
    if image_format == "JPEG":
        header = header_read(io.BytesIO(encoded(600, 300, image_format="JPEG", exif=exif)))
        assert (header.width, header.height) == ((300, 600) if sideways else (600, 300))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_nothing_of_the_sources_metadata_survives(image_format: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "SECRET-description"
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    options: dict[str, Any] = {
        "exif": exif,
        "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    }
    if image_format in {"JPEG", "GIF"}:
        options["comment"] = b"SECRET-comment"
    if image_format in {"JPEG", "WEBP", "AVIF"}:
        options["xmp"] = b"<x>SECRET-xmp</x>"
    thumbnail, image = made(encoded(300, 200, image_format=image_format, **options))
    assert b"SECRET" not in thumbnail.content
    assert not image.getexif()
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_transparency_becomes_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (300, 300), (255, 0, 0, 0)).save(out, "PNG")
    _, image = made(out.getvalue())
    assert image.getpixel((64, 64)) == (255, 255, 255)


def test_small_images_are_not_enlarged_and_extreme_ones_keep_a_pixel() -> None:
    assert made(encoded(20, 10))[1].size == (20, 10)
    assert made(encoded(5000, 3))[1].size == (128, 1)


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_truncated_file_is_refused_and_not_half_rendered(image_format: str) -> None:
    content = encoded(600, 400, image_format=image_format)
    # An AVIF may lose its header by that.
    with pytest.raises(ImageTruncated if image_format != "AVIF" else ImageError):
        thumbnail_make(io.BytesIO(content[: len(content) * 2 // 3]))


@pytest.mark.parametrize("bomb", [png_bomb(), webp_bomb(), png_bomb(70_000, 1)], ids=["png", "webp", "side"])
def test_a_bomb_is_refused_by_its_header(bomb: bytes) -> None:
    with pytest.raises(ImageTooLarge):
        header_read(io.BytesIO(bomb))


def test_a_large_jpeg_is_accepted_because_it_scales_while_decoding() -> None:
    size_check("JPEG", 20_000, 15_000)
    for image_format, width, height in [("PNG", 20_000, 15_000), ("JPEG", 60_000, 900), ("JPEG", 65_000, 65_000)]:
        with pytest.raises(ImageTooLarge):
            size_check(image_format, width, height)
    with pytest.raises(ImageTooLarge):
        size_check("JPEG", 20_000, 15_000, progressive=True)


@settings(deadline=None)
@given(st.sampled_from(FORMATS), st.data())
def test_damaged_files_raise_nothing_but_image_errors(image_format: str, data: Any) -> None:
    content = bytearray(encoded(64, 48, image_format=image_format))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        thumbnail_make(io.BytesIO(bytes(content)))

"""Progressive JPEGs, of which the first scans may be enough."""

import io
import re
from typing import Any

import pytest
from imaging.errors import ImageTruncated
from imaging.progressive import dc_scans
from imaging.renditions import Wanted, renditions_make
from PIL import Image

from tests.images import encoded
from tests.imaging.similarity import ssim

SMALL = Wanted(kind="", box=(100, 100))


def _progressive(width: int = 1600, height: int = 1200, **options: Any) -> bytes:
    return encoded(width, height, image_format="JPEG", progressive=True, quality=90, **options)


def test_the_first_scans_are_a_small_part_and_make_the_same_small_image() -> None:
    content = _progressive()
    scans = dc_scans(content)
    assert scans is not None
    assert len(scans) < len(content)
    (small,) = renditions_make(io.BytesIO(content), [SMALL]).pictures
    with Image.open(io.BytesIO(content)) as image:
        whole = image.resize((100, 75), Image.Resampling.LANCZOS)
    assert ssim(Image.open(io.BytesIO(small.content)), whole) >= 0.98


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_so_do_those_of_grey_and_of_cmyk(mode: str) -> None:
    assert dc_scans(_progressive(mode=mode)) is not None


def test_scans_for_each_component_are_all_kept() -> None:
    content = _progressive()
    together = re.search(rb"\xff\xda\x00\x0c\x03\x01.\x02.\x03.\x00\x00", content, re.DOTALL)
    assert together is not None
    # As if the first scan had brought the first component alone: then it is not enough.
    at = together.start()
    alone = content[:at] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x01" + content[at + 14 :]
    scans, shorter = dc_scans(alone), dc_scans(content)
    assert shorter is not None
    assert scans is None or len(scans) > len(shorter)


def test_a_baseline_jpeg_has_no_such_scans() -> None:
    assert dc_scans(encoded(image_format="JPEG")) is None


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.99])
def test_one_that_is_cut_off_after_them_is_truncated_all_the_same(share: float) -> None:
    content = _progressive()
    with pytest.raises(ImageTruncated):
        renditions_make(io.BytesIO(content[: int(len(content) * share)]), [SMALL])


def test_what_follows_the_image_does_not_make_it_whole() -> None:
    content = _progressive()
    with pytest.raises(ImageTruncated):
        renditions_make(io.BytesIO(content[: len(content) // 2] + b"\xff\x00" * 100), [SMALL])
    assert renditions_make(io.BytesIO(content + b"trailer \xff\xd8\xff"), [SMALL]).pictures

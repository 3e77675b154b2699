"""Two images compared in a sandbox: what goes in and comes out of it."""

from collections.abc import Iterator
from io import BytesIO

import pytest
from imaging import confined_diff
from imaging.confined_diff import Compared, diff_confined, options_of, options_told
from imaging.diff import diff
from imaging.diff_options import Box, DiffOptions
from imaging.diff_picture import picture_png
from imaging.errors import ImageError, ImageSizesDiffer, ImageTruncated
from PIL import Image

from tests.images import encoded


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    yield
    confined_diff._server.close()


def changed(content: bytes) -> bytes:
    with Image.open(BytesIO(content)) as image:
        image.paste((250, 10, 10), (30, 40, 60, 80))
        out = BytesIO()
        image.save(out, "PNG")
    return out.getvalue()


def compared(before: bytes, after: bytes, options: DiffOptions | None = None) -> Compared:
    def feed(sink: object) -> None:
        sink.write(before)  # type: ignore[attr-defined]
        sink.write(after)  # type: ignore[attr-defined]

    return diff_confined(options or DiffOptions(), sizes_bytes=(len(before), len(after)), feed=feed)


def test_the_answer_is_what_comparing_here_answers() -> None:
    before = encoded(320, 240)
    after = changed(before)
    options = DiffOptions(ignore=(Box(x=0, y=0, width=4, height=4),), layout="blended", threshold=20)
    here, there = diff(BytesIO(before), BytesIO(after), options), compared(before, after, options)
    assert there.regions == here.regions
    assert (there.regions[0].x, there.regions[0].y) == (30, 40)
    assert (there.pixels_changed, there.pixels_compared) == (here.pixels_changed, here.pixels_compared)
    assert (there.before, there.after, there.shift) == ((320, 240), (320, 240), (0, 0))
    assert (there.picture, there.picture_size) == (picture_png(here.picture), here.picture.size)


def test_what_is_wrong_with_which_image_comes_out_and_the_next_pair_is_compared() -> None:
    good = encoded(64, 64)
    with pytest.raises(ImageTruncated, match="The second image"):
        compared(good, good[:-40])
    with pytest.raises(ImageError, match="The first image"):
        compared(b"nothing", good)
    with pytest.raises(ImageSizesDiffer):
        compared(good, encoded(60, 64))
    assert compared(good, good).regions == ()


def test_a_feed_that_fails_leaves_the_next_pair_alone() -> None:
    def feed(_: object) -> None:
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError):
        diff_confined(DiffOptions(), sizes_bytes=(1, 1), feed=feed)
    good = encoded(64, 64)
    assert compared(good, good).regions_found == 0


def test_options_come_through_as_json() -> None:
    options = DiffOptions(ignore=(Box(x=1, y=2, width=3, height=4),), noise="none", shift_max=2)
    assert options_of(options_told(options)) == options

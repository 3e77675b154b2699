"""Renditions made in the waiting child: what goes in and comes out of it."""

import os
import signal
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from imaging import confined
from imaging.confined import renditions_confined, stand_by
from imaging.errors import ImageTruncated, ImageUnreadable
from imaging.renditions import Pictures, Wanted, renditions_make

from tests.images import encoded

WANTED = (
    Wanted(kind="small", box=(64, 64), formats=("JPEG", "WEBP")),
    Wanted(kind="square", box=(32, 32), crop=True),
)


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    yield
    if confined._standby is not None:
        confined._standby.close()
    confined._standby = None
    confined._server.close()


def made(content: bytes, **options: Any) -> Any:
    return renditions_confined(WANTED, size_bytes=len(content), feed=lambda sink: sink.write(content), **options)


@pytest.mark.parametrize("patient", [False, True])
def test_the_answer_is_what_would_have_been_made_here(patient: bool) -> None:
    content = encoded(600, 300)
    stand_by()
    assert made(content, patient=patient) == renditions_make(BytesIO(content), WANTED)


def test_patient_work_is_nice_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*_: object) -> Pictures:
        return Pictures(source_width=os.nice(0), source_height=1, pictures=())

    monkeypatch.setattr(confined, "renditions_make", told)
    content = encoded()
    usual = os.nice(0)
    assert made(content).source_width == usual
    assert made(content, patient=True).source_width == min(usual + confined.PATIENT_NICENESS, 19)
    assert made(content).source_width == usual


def test_one_image_after_the_other() -> None:
    sizes = [made(encoded(100 + number, 100)).source_width for number in range(3)]
    assert sizes == [100, 101, 102]


def test_an_error_comes_out_as_what_it_was_and_the_next_image_is_made() -> None:
    content = encoded(image_format="JPEG")
    with pytest.raises(ImageTruncated):
        made(content[: len(content) // 2])
    with pytest.raises(ImageUnreadable):
        made(b"nothing")
    assert made(content).pictures


def test_a_feed_that_fails_leaves_the_next_image_alone() -> None:
    def feed(_: object) -> None:
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError):
        renditions_confined(WANTED, size_bytes=10, feed=feed)
    assert made(encoded()).pictures


def test_heic_is_read_in_the_child() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    pictures = made(encoded(300, 200, image_format="HEIF")).pictures
    assert [(picture.format, picture.width) for picture in pictures] == [("JPEG", 64), ("WEBP", 64), ("JPEG", 32)]


def test_the_waiting_child_is_used_and_another_waits_after_the_next_standing_by() -> None:
    stand_by()
    first = confined._standby
    made(encoded())
    assert (confined._spent, confined._standby) == ([first], None)
    stand_by()
    assert confined._spent == []
    assert confined._standby not in {None, first}


def test_a_server_that_died_is_started_again() -> None:
    stand_by()
    server = confined._server._server
    assert server is not None
    os.kill(server._pid, signal.SIGKILL)
    content = encoded(100, 100)
    assert made(content).source_width == 100
    assert made(content).source_width == 100

"""``Prefer: wait=N`` (RFC 7240): answer when the thumbnail is there, at most N seconds later."""

import re
import time
from collections.abc import Callable

from jobs.news import news_of

from gallery.models import Original, Photo

WAIT_MAX_S = 10

_wait = re.compile(r"wait\s*=\s*\"?([0-9]{1,4})\"?\s*(?:;.*)?", re.IGNORECASE)


def wait_preferred(header: str | None) -> int | None:
    """N of the first ``wait=N`` in the header. None, as the RFC wants it, for one that is malformed or too long."""
    for preference in (header or "").split(","):
        if matched := _wait.fullmatch(preference.strip()):
            seconds = int(matched[1])
            return seconds if seconds <= WAIT_MAX_S else None
    return None


def photo_await(photo: Photo, *, timeout_s: float, state: Callable[..., str | None]) -> None:
    """Return when the photo is no more processing, or when the time is over."""
    deadline = time.monotonic() + timeout_s
    with news_of(photo.original.pk) as news:
        while state(photo_id=photo.pk) == Original.State.PROCESSING and (left := deadline - time.monotonic()) > 0:
            if news.wait(left):
                return

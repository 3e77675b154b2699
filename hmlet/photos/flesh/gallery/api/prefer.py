"""``Prefer: wait=N`` (RFC 7240): answer when the thumbnail is there, at most N seconds later."""

import re
import time
import uuid
from collections.abc import Callable

from gallery.models import Original

WAIT_MAX_S = 10
FIRST_PAUSE_S, PAUSE_MAX_S = 0.010, 0.100

_wait = re.compile(r"wait\s*=\s*\"?([0-9]{1,4})\"?\s*(?:;.*)?", re.IGNORECASE)


def wait_preferred(header: str | None) -> int | None:
    """N of the first ``wait=N`` in the header. None, as the RFC wants it, for one that is malformed or too long."""
    for preference in (header or "").split(","):
        if matched := _wait.fullmatch(preference.strip()):
            seconds = int(matched[1])
            return seconds if seconds <= WAIT_MAX_S else None
    return None


def photo_await(photo_id: uuid.UUID, *, timeout_s: float, state: Callable[..., str | None]) -> None:
    """Look at the photo's state, ever less often, until it is no more processing or the time is over."""
    deadline = time.monotonic() + timeout_s
    pause = FIRST_PAUSE_S
    while state(photo_id=photo_id) == Original.State.PROCESSING and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(pause * 1.3, PAUSE_MAX_S)

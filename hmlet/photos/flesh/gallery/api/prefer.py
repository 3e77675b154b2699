"""``Prefer: wait=N`` (RFC 7240): answer when the thumbnail is there, at most N seconds later."""

import re
import time
from collections.abc import Callable

from gallery.models import Original, Photo

WAIT_MAX_S = 10
PIXELS_PER_S = 300_000_000
"""More than a core decodes: before this many have had their time, asking only takes the processor from the worker."""
PAUSE_MIN_S, PAUSE_MAX_S = 0.004, 0.100
PAUSE_PER_WAITED = 0.04
"""A pause is a twenty-fifth of what was waited so far: little is lost at the end, and who waits long asks seldom."""

_wait = re.compile(r"wait\s*=\s*\"?([0-9]{1,4})\"?\s*(?:;.*)?", re.IGNORECASE)


def wait_preferred(header: str | None) -> int | None:
    """N of the first ``wait=N`` in the header. None, as the RFC wants it, for one that is malformed or too long."""
    for preference in (header or "").split(","):
        if matched := _wait.fullmatch(preference.strip()):
            seconds = int(matched[1])
            return seconds if seconds <= WAIT_MAX_S else None
    return None


def photo_await(photo: Photo, *, timeout_s: float, state: Callable[..., str | None]) -> None:
    """Look at the photo's state, ever less often, until it is no more processing or the time is over."""
    began = time.monotonic()
    pause = photo.original.width * photo.original.height / PIXELS_PER_S
    waited = 0.0
    while waited < timeout_s:
        time.sleep(min(max(pause, PAUSE_MIN_S), PAUSE_MAX_S, timeout_s - waited))
        if state(photo_id=photo.pk) != Original.State.PROCESSING:
            return
        waited = time.monotonic() - began
        pause = waited * PAUSE_PER_WAITED

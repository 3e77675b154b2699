"""Everything that can go wrong, as one tree. ``except HtError`` catches it all::

    HtError
     ├── Unsendable            what you gave cannot be sent (no such file, say); nothing was sent
     ├── ConnectionFailed      no connection, or it broke: ``may_have_arrived`` says whether the server may have acted
     ├── TimedOut              connected too slowly or fell silent: ``may_have_arrived`` likewise
     ├── AnswerNotUnderstood   not the API's JSON, a required field missing, a redirect
     ├── ApiError              the API said no: status, code, message, field_errors, request_id
     │    ├── Invalid          400   ``field_errors`` names the fields
     │    ├── NotSignedIn      401
     │    ├── Forbidden        403
     │    ├── NotFound         404   also for what others may not show you
     │    ├── Conflict         409
     │    ├── TooLarge         413
     │    ├── Throttled        429   ``retry_after_s``
     │    └── ServerError      5xx
     ├── NoThumbnail           the photo has none of that size, or none yet
     ├── PhotoFailed           the photo was stored, its thumbnails could not be made: ``photo.failure``
     ├── NoPicture             the comparison has no annotated picture, or none yet
     ├── JobFailed             the job failed or was cancelled: ``job.failure``
     ├── DiffFailed            the two images could not be compared: ``diff.failure``
     └── WaitTimedOut          not there in the time given; it may come yet: ``timeout_s``
          ├── PhotoNotReady    ``photo``
          ├── JobNotDone       ``job``
          └── DiffNotDone      ``diff``

``error.transient`` says whether the same call may succeed later. Messages never hold a password, a token or the query
of a signed URL, and exceptions of requests are not chained, because theirs do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ht.api_clients.diffs import Diff
    from ht.api_clients.jobs import Job
    from ht.api_clients.photo import Photo


class HtError(Exception):
    """Root of the tree."""

    transient: bool = False


class Unsendable(HtError):
    """What the caller gave cannot be sent. Nothing has changed on the server."""


class ConnectionFailed(HtError):
    """No connection, or one that broke.

    ``may_have_arrived``: the request, or enough of it, may have reached the server. Look before you repeat a create.
    """

    def __init__(self, message: str, *, may_have_arrived: bool = True, transient: bool = True) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived
        self.transient = transient


class TimedOut(HtError):
    """The server took longer than ``timeout_s`` to accept a connection, or between two pieces of its answer."""

    transient = True

    def __init__(self, message: str, *, may_have_arrived: bool = True) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived


class AnswerNotUnderstood(HtError):
    """The answer is not what this version of the client expects. Often ``base_url`` is not that of the API."""


class ApiError(HtError):
    """The API refused. Fields as in its JSON; ``code`` and ``request_id`` are empty when a proxy answered in its stead.

    >>> error = Invalid(400, code="invalid", message="Correct the fields.", field_errors={"name": ("Is taken.",)})
    >>> str(error)
    'Correct the fields. name: Is taken. (HTTP 400, invalid)'
    """

    def __init__(
        self,
        status: int,
        *,
        code: str = "",
        message: str = "",
        field_errors: Mapping[str, tuple[str, ...]] | None = None,
        request_id: str = "",
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.field_errors: Mapping[str, tuple[str, ...]] = dict(field_errors or {})
        self.request_id = request_id
        super().__init__(status)

    def __str__(self) -> str:
        said_of = {name: " ".join(reasons) for name, reasons in self.field_errors.items()}
        fields = [f"{name}: {reason}" for name, reason in said_of.items() if reason != self.message]
        origin = [f"HTTP {self.status}", self.code, self.request_id and f"request {self.request_id}"]
        said = [self.message or "The API refused without a reason.", *fields]
        return f"{' '.join(said)} ({', '.join(part for part in origin if part)})"


class Invalid(ApiError):
    """400: ``field_errors`` maps a field's name to what is wrong with it."""


class NotSignedIn(ApiError):
    """401: no username was given, it or the password is wrong, or the account is disabled."""


class Forbidden(ApiError):
    """403: signed in, and not allowed."""


class NotFound(ApiError):
    """404: there is none, or none that this user may see."""


class Conflict(ApiError):
    """409: the state of things does not allow it."""


class TooLarge(ApiError):
    """413: the image is over the size limit of the stage."""


class Throttled(ApiError):
    """429: too many requests. ``retry_after_s``: the seconds that the server asks for, None when it does not say."""

    transient = True
    retry_after_s: float | None = None


class ServerError(ApiError):
    """5xx: the server's own failure; ``request_id`` finds it in the server's log."""

    transient = True


class NoThumbnail(HtError):
    """The photo has no thumbnail of that size or format, or none yet: see ``wait_until_ready``."""


class PhotoFailed(HtError):
    """The photo's thumbnails could not be made; ``photo.failure`` says why."""

    def __init__(self, photo: Photo) -> None:
        super().__init__(photo)
        self.photo = photo

    def __str__(self) -> str:
        return f"Photo {self.photo.id} failed: {self.photo.failure or 'the server gives no reason'}"


class JobFailed(HtError):
    """The job failed or was cancelled; ``job.failure`` says why."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.job = job

    def __str__(self) -> str:
        return f"Job {self.job.id} {self.job.state}: {self.job.failure or 'the server gives no reason'}"


class NoPicture(HtError):
    """The comparison has no annotated picture: it is not done, or it failed."""

    def __init__(self, diff: Diff) -> None:
        super().__init__(diff)
        self.diff = diff

    def __str__(self) -> str:
        return f"Comparison {self.diff.id} has no picture: it is {self.diff.state}"


class DiffFailed(HtError):
    """The two images could not be compared; ``diff.failure`` says why."""

    def __init__(self, diff: Diff) -> None:
        super().__init__(diff)
        self.diff = diff

    def __str__(self) -> str:
        return f"Comparison {self.diff.id} failed: {self.diff.failure or 'the server gives no reason'}"


class WaitTimedOut(HtError):
    """Not there after ``timeout_s`` seconds. Wait longer, or look whether the workers run."""

    transient = True

    def __init__(self, awaited: Photo | Job | Diff, timeout_s: float) -> None:
        super().__init__(awaited, timeout_s)
        self.timeout_s = timeout_s


class PhotoNotReady(WaitTimedOut):
    """``photo`` as it was then."""

    def __init__(self, photo: Photo, timeout_s: float) -> None:
        super().__init__(photo, timeout_s)
        self.photo = photo

    def __str__(self) -> str:
        return f"Photo {self.photo.id} is still {self.photo.status} after {self.timeout_s:g} s"


class JobNotDone(WaitTimedOut):
    """``job`` as it was then."""

    def __init__(self, job: Job, timeout_s: float) -> None:
        super().__init__(job, timeout_s)
        self.job = job

    def __str__(self) -> str:
        return f"Job {self.job.id} is still {self.job.state} after {self.timeout_s:g} s"


class DiffNotDone(WaitTimedOut):
    """``diff`` as it was then."""

    def __init__(self, diff: Diff, timeout_s: float) -> None:
        super().__init__(diff, timeout_s)
        self.diff = diff

    def __str__(self) -> str:
        return f"Comparison {self.diff.id} is still {self.diff.state} after {self.timeout_s:g} s"


_BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: NotSignedIn,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    429: Throttled,
}


def api_error_class(status: int) -> type[ApiError]:
    """The class of the tree for an HTTP status from 400 up."""
    return ServerError if status >= 500 else _BY_STATUS.get(status, ApiError)

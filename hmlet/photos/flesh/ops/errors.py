"""The root of the errors that a caller of the platform can see."""

from collections.abc import Mapping, Sequence


class PlatformError(Exception):
    """Something a caller can understand and act on: a stable code, an HTTP status, and words.

    ``errors`` names the fields at fault. ``retryable`` says whether the same call may succeed later, ``retry_after_s``
    after how many seconds. ``challenge`` is what a 401 must say in ``WWW-Authenticate``.
    """

    code = "error"
    status = 400
    retryable = False
    retry_after_s: int | None = None
    challenge: str | None = None

    def __init__(self, message: str, *, errors: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.errors = {field: list(messages) for field, messages in (errors or {}).items()}


class InvalidInput(PlatformError):
    """One or more fields do not hold what they may."""

    code = "invalid"


class NotFound(PlatformError):
    """There is no such thing, or the caller may not know of it."""

    code = "not_found"
    status = 404


class Forbidden(PlatformError):
    """The caller may see the thing and not do this to it."""

    code = "forbidden"
    status = 403


class Unavailable(PlatformError):
    """A part that this needs does not answer at the moment."""

    code = "unavailable"
    status = 503
    retryable = True
    retry_after_s = 2


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or has ended what it was asked. Whether a change was made is not known."""

    code = "database_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "The database does not answer at the moment. Try again in a few seconds; with an Idempotency-Key nothing is"
            " done twice."
        )

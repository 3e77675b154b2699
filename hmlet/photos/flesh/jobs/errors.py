"""Why a job ends without its work done, and what cannot be asked of one."""

from ops.errors import NotFound, PlatformError


class JobError(Exception):
    """Raised by a handler. ``code`` is stable, the owner reads the message; ``retryable`` asks for another attempt.

    ``outage``: a part of the platform was away, which is no fault of the job's. It is retryable, and costs no attempt.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False, outage: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable or outage
        self.outage = outage


class JobNotRetryable(PlatformError):
    """Only what failed or was cancelled is tried again."""

    code = "job_not_retryable"
    status = 409

    def __init__(self) -> None:
        super().__init__("Only a job that failed or was cancelled can be tried again. Look at its state first.")


class JobNotCancellable(PlatformError):
    """It has ended, or it is one of the platform's own."""

    code = "job_not_cancellable"
    status = 409

    def __init__(self) -> None:
        super().__init__("This job cannot be cancelled: it has ended already, or it is one of the platform's own.")


class JobMissing(NotFound):
    """The one answer for a job that is not there and for one that the caller may not know of."""

    def __init__(self) -> None:
        super().__init__("There is no such job. Jobs are kept for some weeks after they end.")


class JobWithoutThumbnail(NotFound):
    """It made none, not yet, or it is gone."""

    code = "no_thumbnail"

    def __init__(self) -> None:
        super().__init__("This job has no thumbnail to show: it is not done, it makes none, or its time is over.")

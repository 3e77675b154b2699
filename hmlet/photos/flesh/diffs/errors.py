"""What can go wrong with a comparison, as its owner hears of it."""

from jobs.errors import JobError
from ops.errors import NotFound, PlatformError


class DiffMissing(NotFound):
    """The one answer for a comparison that is not there and for another's."""

    def __init__(self) -> None:
        super().__init__("There is no such comparison. Those that are not kept are forgotten after some hours.")


class DiffBytesLimit(PlatformError):
    """The two files have more bytes than a request may."""

    code = "diff_bytes_limit"
    status = 413

    def __init__(self, limit: int) -> None:
        message = f"The two files may have {limit / 1_048_576:.4g} MB together. Post one as a photo and name its id."
        super().__init__(message, errors={"before": [message], "after": [message]})


class DiffsLimit(PlatformError):
    """The owner has as many comparisons as one may have."""

    code = "diffs_limit"
    status = 409

    def __init__(self, limit: int) -> None:
        super().__init__(f"You have {limit} comparisons, which is as many as one may. Delete some of them first.")


def file_expired() -> JobError:
    """For a file that was kept for a set time."""
    return JobError("image_expired", "The files were kept for a set time, and are gone. Send them again.")


def photo_gone() -> JobError:
    """For a photo that was deleted, or is not shown any more."""
    message = "A photo that was to be compared is not there any more, or not published any more."
    return JobError("photo_gone", message)


def rendition_not_yet() -> JobError:
    """For a photo of another whose 1440 rendition is still being made."""
    message = "The rendition of another's photo that may be compared is not made yet. Try it again in a minute."
    return JobError("rendition_not_ready", message, retryable=True)

"""What a job on an image says when it fails, whoever's job it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError
from imaging.errors import ImageError
from jobs.errors import JobError
from uploads.staging import STORAGE_ERRORS


@contextmanager
def as_job_errors(*, missing: JobError) -> Iterator[None]:
    """Raise what storage and imaging raise as JobErrors; ``missing`` where an object is not there."""
    try:
        yield
    except FileNotFoundError as error:
        raise missing from error
    except STORAGE_ERRORS as error:
        raise storage_away(error) from error
    except ImageError as error:
        raise JobError(error.code, error.message, retryable=error.retryable) from error


def storage_away(error: Exception) -> JobError:
    """Of one of STORAGE_ERRORS. No outage where access is denied: so some servers say that an object is not there."""
    denied = isinstance(error, ClientError) and error.response["Error"]["Code"] == "AccessDenied"
    message = "The object storage did not answer, or refused."
    return JobError("storage_unavailable", message, retryable=True, outage=not denied)

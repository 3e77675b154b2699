"""The ids that tie an answer, and the jobs that came of it, to the lines that they left in the log."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_request: ContextVar[str] = ContextVar("request_id", default="")
_job: ContextVar[str] = ContextVar("job_id", default="")
_acceptable = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id_current() -> str:
    """The id of the request that is served, or of the one that the running job came of; empty without one."""
    return _request.get()


def job_id_current() -> str:
    """The id of the running job, empty outside one."""
    return _job.get()


def request_id_begin(offered: str | None) -> str:
    """Take the caller's id if it is harmless in a log line and a header, else make one."""
    request_id = offered if offered and _acceptable.fullmatch(offered) else uuid.uuid4().hex
    _request.set(request_id)
    return request_id


@contextmanager
def ids_of_job(job_id: uuid.UUID, *, request_id: str) -> Iterator[None]:
    """Whatever is logged within belongs to the job, and to the request that it came of."""
    job, request = _job.set(str(job_id)), _request.set(request_id)
    try:
        yield
    finally:
        _job.reset(job)
        _request.reset(request)

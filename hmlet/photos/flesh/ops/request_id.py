"""The id that ties an answer to the lines it left in the log."""

import logging
import re
import uuid
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("request_id", default="-")
_acceptable = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id_current() -> str:
    """The id of the request being served, ``-`` outside one."""
    return _current.get()


def request_id_begin(offered: str | None) -> str:
    """Take the caller's id if it is harmless in a log line and a header, else make one."""
    request_id = offered if offered and _acceptable.fullmatch(offered) else uuid.uuid4().hex
    _current.set(request_id)
    return request_id


class RequestIdFilter(logging.Filter):
    """Puts the id on every log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = _current.get()
        return True

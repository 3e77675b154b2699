"""Lines of the log: for people, or as JSON for machines; with the ids of request and job, without secrets."""

import json
import logging
import re
from datetime import UTC, datetime

from ops.ids import job_id_current, request_id_current

# A signed URL gives whoever has it what it is signed for; so do tokens and a password in a broker's address.
_SECRET = re.compile(
    r"(?P<name>X-Amz-(?:Signature|Credential|Security-Token)=|Bearer |://[^:/@\s]*:)"
    r"(?P<value>[^\s\"'&@]+)",
    re.IGNORECASE,
)
_NONE = "-"


class IdsFilter(logging.Filter):
    """Puts the ids of request and job on every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id_current() or _NONE
        record.job_id = job_id_current() or _NONE
        return True


class LineFormatter(logging.Formatter):
    """A line for people, and the traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        return _without_secrets(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object in one line: time, level, logger, message, request_id, job_id, and of a failure its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _without_secrets(record.getMessage()),
            "request_id": _told(getattr(record, "request_id", None)),
            "job_id": _told(getattr(record, "job_id", None)),
        }
        if record.exc_info:
            told["traceback"] = _without_secrets(self.formatException(record.exc_info))
        if record.stack_info:
            told["stack"] = _without_secrets(record.stack_info)
        return json.dumps(told, ensure_ascii=False)


def _told(value: str | None) -> str | None:
    return None if value == _NONE else value


def _without_secrets(text: str) -> str:
    return _SECRET.sub(r"\g<name>***", text)

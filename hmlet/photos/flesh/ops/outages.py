"""Which errors mean that the database is away, and not that we have asked it for nonsense."""

import logging

from django.db import InterfaceError, OperationalError

from ops.errors import DatabaseUnavailable

log = logging.getLogger(__name__)


def outage_of(error: BaseException | None) -> DatabaseUnavailable | None:
    """What a caller is told where the server was stopped, refuses, or gave up; None for any other error."""
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    log.warning("the database does not answer: %s", error)
    return DatabaseUnavailable()

"""Which errors mean that the database is away, and not that we have asked it for nonsense; and that it was away."""

import logging

from django.db import InterfaceError, OperationalError, close_old_connections, connection

from ops.errors import DatabaseUnavailable

log = logging.getLogger(__name__)


def outage_of(error: BaseException | None) -> DatabaseUnavailable | None:
    """What a caller is told where the server was stopped, refuses, or gave up; None for any other error."""
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    log.warning("the database does not answer: %s", error)
    return DatabaseUnavailable()


def connection_renew() -> None:
    """After hours without a question, in which the server may have been restarted: let go of a connection that broke.

    Within a transaction nothing is done: its connection would be taken for a broken one.
    """
    if not connection.in_atomic_block:
        close_old_connections()

"""Which errors mean that the database is away, and not that we have asked it for nonsense; and that it was away."""

import logging

from django.db import InterfaceError, InternalError, OperationalError, close_old_connections, connection

from ops.errors import DatabaseUnavailable

_READ_ONLY = "25006"
"""PostgreSQL's ``read_only_sql_transaction``."""
log = logging.getLogger(__name__)


def outage_of(error: BaseException | None) -> DatabaseUnavailable | None:
    """What a caller is told where the server was stopped, refuses, gave up or takes no writes; None for others.

    A server that takes none is one that another has replaced, or whose disk is full. Our connection to it works, and
    would be kept: it is let go, so that the next question goes to whoever has its name by then.
    """
    if _is_read_only(error):
        if not connection.in_atomic_block:
            connection.close()
    elif not isinstance(error, OperationalError | InterfaceError):
        return None
    log.warning("the database does not answer, or takes no writes: %s", error)
    return DatabaseUnavailable()


def _is_read_only(error: BaseException | None) -> bool:
    return isinstance(error, InternalError) and getattr(error.__cause__, "pgcode", None) == _READ_ONLY


def connection_renew() -> None:
    """After hours without a question, in which the server may have been restarted: let go of a connection that broke.

    Within a transaction nothing is done: its connection would be taken for a broken one.
    """
    if not connection.in_atomic_block:
        close_old_connections()

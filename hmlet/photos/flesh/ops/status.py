"""Asks each part of the platform whether it works, and how much it has to do, all at once and not for long."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.core.files.storage import storages
from django.db import OperationalError, connection

from ops.work import Compared, Work, backup_age_s, compared_last, work_read

log = logging.getLogger(__name__)

TIMEOUT_S = 3.0
KEPT_S = 2.0
"""Anyone may call the page, so that calling it often must not cost much."""

_lock = threading.Lock()
_last: "tuple[float, Status] | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Whether each part works, and what the database tells: None when that does not answer."""

    parts: dict[str, bool]
    told: "Told | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What there is to do, how old the last good backup is, and what the last comparison of rows with objects found;
    None where there is none."""

    work: Work
    backup_age_s: float | None
    compared: Compared | None


def status_check() -> Status:
    """At most KEPT_S old."""
    global _last
    with _lock:
        if _last is None or time.monotonic() - _last[0] > KEPT_S:
            _last = (time.monotonic(), _checked())
        return _last[1]


def _checked() -> Status:
    checks: dict[str, Callable[[], object]] = {
        "database": database_check,
        "queue": queue_check,
        "storage": storage_check,
        "workers": workers_check,
    }
    pool = ThreadPoolExecutor(len(checks) + 1, thread_name_prefix="status")
    telling = pool.submit(database_ask)
    asked = {name: pool.submit(check) for name, check in checks.items()}
    deadline = time.monotonic() + TIMEOUT_S
    parts = {}
    for name, future in asked.items():
        try:
            future.result(timeout=max(0.0, deadline - time.monotonic()))
            parts[name] = True
        except Exception as error:  # noqa: BLE001 - each client fails in its own way
            log.warning("status: %s: %s", name, error or type(error).__name__)
            parts[name] = False
    told = None
    try:
        told = telling.result(timeout=max(0.0, deadline - time.monotonic()))
    except Exception as error:  # noqa: BLE001 - whatever it is, the database tells nothing
        log.warning("status: what the database tells: %s", error or type(error).__name__)
    pool.shutdown(wait=False, cancel_futures=True)
    return Status(parts=parts, told=told)


def database_ask() -> Told:
    """What the database tells of jobs, backups and comparisons. Raises what it raises."""
    try:
        return Told(work=work_read(), backup_age_s=backup_age_s(), compared=compared_last())
    finally:
        # This thread ends; so must its connection.
        connection.close()


def database_check() -> None:
    """Raise if the database does not answer, or takes no writes."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_read_only" if connection.vendor == "postgresql" else "SELECT 'off'")
            if cursor.fetchone() != ("off",):
                raise OperationalError("the database takes no writes")
    finally:
        # This thread ends; so must its connection.
        connection.close()


def queue_check() -> None:
    """Raise if the broker does not answer."""
    from config.celery import app

    with app.connection_for_write(connect_timeout=TIMEOUT_S) as broker:
        broker.ensure_connection(max_retries=1, timeout=int(TIMEOUT_S))
        broker.default_channel.client.ping()  # type: ignore[attr-defined]


def storage_check() -> None:
    """Raise if a bucket cannot be reached."""
    for alias in ("originals", "thumbnails"):
        storages[alias].check()  # type: ignore[attr-defined]


def workers_check() -> None:
    """Raise if no worker answers."""
    from config.celery import app

    if not app.control.inspect(timeout=TIMEOUT_S - 1, limit=1).ping():
        raise TimeoutError("no worker answered")

"""What a process does before its first request or job, so that nobody waits for it then."""

import contextlib

from django.core.files.storage import storages
from django.db import DatabaseError, InterfaceError, connection
from django.urls import get_resolver
from imaging.confined import stand_by


def modules_import() -> None:
    """Load the URLs with all they import, and make the storage's clients."""
    _ = get_resolver().url_patterns
    for alias in ("originals", "thumbnails"):
        _ = getattr(storages[alias], "client", None), getattr(storages[alias], "objects", None)


def worker_warm() -> None:
    """Also connect to the database; without one the process starts all the same and says so later."""
    modules_import()
    stand_by()
    with contextlib.suppress(DatabaseError, InterfaceError):
        connection.ensure_connection()

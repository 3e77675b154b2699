"""What a process does before its first request or job, so that nobody waits for it then."""

import contextlib
import gc

from django.core.files.storage import storages
from django.db import DatabaseError, InterfaceError, connection
from django.urls import get_resolver
from imaging.confined import stand_by


def modules_import() -> None:
    """Load the URLs with all they import, and what signs requests to the storage. boto3's clients, 30 MB, wait until
    somebody needs one: what photos usually need goes without.

    What is there now stays for good. The collector leaves it alone from here on: looking at all of it takes 50 ms, and
    would give each process that is forked later a copy of its own.
    """
    _ = get_resolver().url_patterns
    for alias in ("originals", "thumbnails"):
        _ = getattr(storages[alias], "objects", None)
    gc.collect()
    gc.freeze()


def worker_warm() -> None:
    """Also connect to the database; without one the process starts all the same and says so later."""
    modules_import()
    stand_by()
    with contextlib.suppress(DatabaseError, InterfaceError):
        connection.ensure_connection()

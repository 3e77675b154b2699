"""What goes wrong with a backup or a restore, in words for whoever started the command."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import CommandError
from django.db import Error as DatabaseError
from uploads.staging import STORAGE_ERRORS

from backups.archive import ArchiveInvalid
from backups.database import DatabaseRefused
from backups.storing import NotStored


@contextmanager
def refusals_told() -> Iterator[None]:
    """Raises CommandError for what archive, database, storage and disk raise."""
    try:
        yield
    except (ArchiveInvalid, DatabaseRefused, NotStored) as error:
        raise CommandError(str(error)) from error
    except DatabaseError as error:
        raise CommandError(f"the database does not do it: {error}") from error
    except STORAGE_ERRORS as error:
        raise CommandError(_words(error)) from error


def _words(error: Exception) -> str:
    if isinstance(error, BrokenPipeError):
        return "who reads the backup went away"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        # The storage tells of its own disk by an answer.
        return f"there is no room here for what is on its way (in a cluster: backup.scratch): {error}"
    return f"the object storage does not do it: {error}"

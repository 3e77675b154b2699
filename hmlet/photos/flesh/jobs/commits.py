"""Which commits wait for the disk (PostgreSQL's synchronous_commit), and which need not.

A worker claims, renews and queues again without waiting: what a crash of the database takes back of that is found by
the reconciler and done again with the same outcome. What somebody is told of, or what deletes, waits.
"""

from typing import Any

from django.db import connection


def commits_hasten(connection: Any, **_: Any) -> None:
    """Let a new connection's commits not wait: for workers, by Django's signal ``connection_created``."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit TO off")


def commit_durably() -> None:
    """Make the transaction that one is in wait for the disk, whatever its connection does."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit TO on")

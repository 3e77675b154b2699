"""The database, out of one snapshot into an archive and back. PostgreSQL alone.

Rows travel as COPY writes them, and tables are made by migrations: those that the archive names, so that an archive of
an older version is brought to this one's tables by the migrations since. A database is made beside the live one, in a
schema of its own, and takes its place in one short transaction: whoever is killed before that has changed nothing.
"""

import gzip
import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from backups.archive import ArchiveWriter, Member, Source

SECTION = "database"
PIECE_BYTES = 8 * 1024 * 1024
_BESIDE, _OLD = "restored", "replaced"
_MIGRATIONS = "django_migrations"
# Whoever was signed in by a browser signs in again: a session that was ended since must not come back.
_LEFT_EMPTY = frozenset({"django_session"})
_TABLES = """
    SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    GROUP BY c.relname ORDER BY c.relname
"""
_NAME = re.compile(r"[a-z_][a-z0-9_]*")


class DatabaseRefused(Exception):
    """The archive's database cannot be brought into this version's tables, and why."""


@contextmanager
def snapshot() -> Iterator[None]:
    """A transaction that sees one moment, and changes nothing."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def migrations_applied() -> dict[str, list[str]]:
    """By app, what the database's tables were made by."""
    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT app, name FROM {_MIGRATIONS} ORDER BY app, name")  # noqa: S608
        for app, name in cursor.fetchall():
            found.setdefault(app, []).append(name)
    return found


def tables_read() -> dict[str, list[str]]:
    """The tables of the schema that is in use, and the columns of each that hold something of their own."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        return {name: columns for name, columns in cursor.fetchall() if name not in (_MIGRATIONS, *_LEFT_EMPTY)}


def tables_write(archive: ArchiveWriter, tables: Mapping[str, Sequence[str]]) -> None:
    """All rows, table by table, in pieces. Within ``snapshot``."""
    with connection.cursor() as cursor:
        for table, columns in tables.items():
            pieces = _Pieces(archive, table)
            with connection.wrap_database_errors:
                cursor.copy_expert(f"COPY {_copied(table, columns)} TO STDOUT", pieces)
            pieces.end()


def header_refuse(header: Mapping[str, Any]) -> None:
    """Raise DatabaseRefused unless this version's migrations can go on from the archive's."""
    known = set(MigrationLoader(None).disk_migrations)
    unknown = sorted(f"{app}.{name}" for app, name in _migrations(header) if (app, name) not in known)
    if unknown:
        raise DatabaseRefused(f"it was made by a newer version: this one does not know {', '.join(unknown[:5])}")
    for table, columns in header["tables"].items():
        if not all(map(_NAME.fullmatch, (table, *columns))):
            raise DatabaseRefused(f"it has a table that no migration makes: {table}")


def database_build(header: Mapping[str, Any], members: Iterator[Member]) -> None:
    """Make a database beside the live one of what an archive holds. ``members`` are those of its section.

    What an earlier restore left half-made is removed. Raises DatabaseRefused.
    """
    header_refuse(header)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {_BESIDE} CASCADE")
        cursor.execute(f"CREATE SCHEMA {_BESIDE}")
    with _schema(_BESIDE):
        executor = MigrationExecutor(connection)
        executor.migrate(_last(header, executor.loader))
        tables = tables_read()
        if {table: sorted(columns) for table, columns in tables.items()} != {
            table: sorted(columns) for table, columns in header["tables"].items()
        }:
            raise DatabaseRefused("its tables are not those that its migrations make")
        with transaction.atomic(), connection.cursor() as cursor:
            if tables:
                cursor.execute(f"TRUNCATE {', '.join(tables)}")
            for table, pieces in itertools.groupby(members, lambda member: member.name.partition("/")[0]):
                if table not in tables:
                    raise DatabaseRefused(f"it has rows of a table that its header does not name: {table}")
                joined = _Joined(pieces)
                try:
                    copied = _copied(table, header["tables"][table])
                    with connection.wrap_database_errors:
                        cursor.copy_expert(f"COPY {copied} FROM STDIN", io.BufferedReader(joined, PIECE_BYTES))
                except DatabaseError:
                    if joined.failure is not None:
                        raise joined.failure from None
                    raise
            _sequences_set(tables)
        # What this version's tables have that the archive's had not, and the rows that go with them.
        call_command("migrate", interactive=False, verbosity=0)


def database_built() -> AbstractContextManager[None]:
    """Within this, models are those of the database that was built and is not the live one yet."""
    return _schema(_BESIDE)


def database_swap() -> None:
    """Put the database that was built in the place of the live one, and remove that."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {_OLD} CASCADE")
        with transaction.atomic():
            cursor.execute(f"ALTER SCHEMA public RENAME TO {_OLD}")
            cursor.execute(f"ALTER SCHEMA {_BESIDE} RENAME TO public")
        cursor.execute(f"DROP SCHEMA IF EXISTS {_OLD} CASCADE")


def _migrations(header: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(app, name) for app, names in header["migrations"].items() for name in names]


def _last(header: Mapping[str, Any], loader: MigrationLoader) -> list[tuple[str, str]]:
    """Of the archive's migrations, those after which its apps have no more. Who is named twice would be taken back."""
    there = set(_migrations(header))
    nodes = loader.graph.node_map
    return sorted(
        key for key in there if not any(child.key in there and child.key[0] == key[0] for child in nodes[key].children)
    )


@contextmanager
def _schema(name: str) -> Iterator[None]:
    """Have names of tables mean those in another schema."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET search_path TO {name}")
    try:
        yield
    finally:
        # A connection that broke is not asked: the next one begins as usual.
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("RESET search_path")


def _copied(table: str, columns: Sequence[str]) -> str:
    return f"{table} ({', '.join(connection.ops.quote_name(column) for column in columns)})"


def _sequences_set(tables: Mapping[str, Sequence[str]]) -> None:
    """Have numbers go on after the highest one that there is."""
    with connection.cursor() as cursor:
        for table, columns in tables.items():
            for column in columns:
                cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [table, column])
                [sequence] = cursor.fetchone() or [None]
                if sequence:
                    cursor.execute(
                        f"SELECT setval(%s, coalesce(max({column}), 0) + 1, false) FROM {table}",  # noqa: S608
                        [sequence],
                    )


class _Pieces:
    """Takes what COPY writes, and makes members of it."""

    def __init__(self, archive: ArchiveWriter, table: str) -> None:
        self._archive = archive
        self._table = table
        self._held = bytearray()
        self._count = 0

    def write(self, content: bytes) -> int:
        self._held += content
        if len(self._held) >= PIECE_BYTES:
            self.end()
        return len(content)

    def end(self) -> None:
        if not self._held:
            return
        self._count += 1
        piece = gzip.compress(bytes(self._held), compresslevel=3, mtime=0)
        self._held.clear()
        self._archive.add(SECTION, f"{self._table}/{self._count:06}.copy.gz", len(piece), io.BytesIO(piece))


class _Joined(io.RawIOBase):
    """The rows of a table, out of its pieces."""

    def __init__(self, pieces: Iterator[Member]) -> None:
        self._pieces = pieces
        self._held = memoryview(b"")
        self.failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held:
            try:
                piece = next(self._pieces, None)
                if piece is None:
                    return 0
                self._held = memoryview(gzip.decompress(_whole(piece.content, piece.bytes)))
            except Exception as error:
                # The driver tells of it in words of its own.
                self.failure = error
                raise
        count = min(len(buffer), len(self._held))
        buffer[:count], self._held = self._held[:count], self._held[count:]
        return count


def _whole(source: Source, size: int) -> bytes:
    content = bytearray()
    while part := source.read(size - len(content) or 1):
        content += part
    return bytes(content)

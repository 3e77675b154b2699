"""A throw-away host stage while people upload to it: its processes, ports and files are at hand."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

import psycopg2
import redis

from hmlet.tests.faults.relay import started_otherwise
from hmlet.tests.faults.scene import Counts, Scene, Unanswered
from hmlet.tests.faults.victims import Victims, all_of, found
from hmlet.tests.test_host.place import Place, kill

AGED = timedelta(hours=2)
"""Older than the grace that objects without a row have."""
# One process for all of it: starting Django is what takes long.
_INSPECTION = """
import io, json
from django.core.management import CommandError, call_command
def counts():
    told = io.StringIO()
    try:
        call_command("integrity", "--deep", "--json", stdout=told)
    except CommandError as error:
        if error.returncode != 1:
            raise
    found = json.loads(told.getvalue())
    return {problem: found[problem] for problem in ("missing", "mismatched", "orphaned")}
before = counts()
from gallery.originals import objects_sweep
objects_sweep()
print("\\n" + json.dumps([before, counts()]))
"""


@dataclass(kw_only=True)
class HostScene(Scene):
    """One fault's turn on a host stage."""

    place: Place

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.place.ports()['web_port']}"

    @property
    def credentials(self) -> tuple[str, str]:
        return "admin", self.place.secret("admin_password")

    def kill(self, victims: Victims, name: str) -> None:
        kill(found(victims, self.place, name))

    def manage(self, *words: str) -> str:
        """A command of the platform's, beside its programs. Returns the last line that it printed."""
        ended = self.place.run("ht.terminal", "python", "manage.py", *words)
        assert ended.status == 0, ended.said
        return ended.out.strip().rpartition("\n")[2]

    def shell(self, code: str) -> str:
        return self.manage("shell", "--no-imports", "-c", code)

    def connection(self) -> psycopg2.extensions.connection:
        return psycopg2.connect(
            host="127.0.0.1",
            port=self.place.ports()["database_port"],
            user="hmlet",
            dbname="hmlet",
            password=self.place.secret("database_password"),
            connect_timeout=5,
        )

    def rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        try:
            with closing(self.connection()) as database, database.cursor() as cursor:
                cursor.execute(statement, values)
                return list(cursor.fetchall())
        except psycopg2.OperationalError as error:
            raise Unanswered(str(error)) from error

    def queue(self) -> redis.Redis:
        return redis.Redis(port=self.place.ports()["redis_port"], password=self.place.secret("redis_password"))

    def objects_named(self, words: str) -> list[str]:
        folder = self.place.state.data / "objects/hmlet-thumbnails"
        return [str(file) for file in folder.rglob(f"*{words}*")]

    @contextlib.contextmanager
    def asleep(self, program: str) -> Iterator[None]:
        processes = found(all_of(program), self.place, program)
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def second_beat(self) -> Iterator[None]:
        schedule = str(self.place.state.run / "beat-schedule")
        with started_otherwise(self.place, "beat", "beat-again", {schedule: f"{schedule}-again"}):
            yield

    def integrity(self) -> tuple[Counts, Counts]:
        """SHA-256 too. Nobody uploads now: what no row names by this time nobody will name."""
        then = time.time() - AGED.total_seconds()
        for file in (self.place.state.data / "objects").rglob("*"):
            if file.is_file():
                os.utime(file, (then, then))
        before, after = json.loads(self.shell(_INSPECTION))
        return Counts(**before), Counts(**after)

    def left_running(self) -> list[str]:
        return [process.name() for process in self.place.orphans()]

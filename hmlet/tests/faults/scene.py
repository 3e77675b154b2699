"""A stage while people upload to it: what a fault may do there, and what is left when it is over."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg2
import redis
from ht.errors import HtError

from hmlet.tests.faults.uploading import Record, Upload, Uploading, size_of
from hmlet.tests.faults.victims import Victims, found
from hmlet.tests.test_host.place import Place, kill
from hmlet.tests.waiting import wait_for

CLIENTS = 3
AGED = timedelta(hours=2)
"""Older than the grace that objects without a row have."""
_FINISHED_WITHIN_S = 240.0
_UPLOADED_WITHIN_S = 60.0
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
    return json.loads(told.getvalue())
before = counts()
from gallery.originals import objects_sweep
swept = objects_sweep()
print("\\n" + json.dumps({"before": before, "swept": swept, "after": counts()}))
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a fault left. ``wrong`` holds a sentence for each promise that was broken."""

    accepted: int
    refused: int
    with_thumbnail: int
    missing: int
    mismatched: int
    orphaned: int
    wrong: tuple[str, ...]


@dataclass
class Scene:
    """One fault's turn on the stage. ``expect`` collects what the fault itself finds wrong."""

    place: Place
    record: Record = field(default_factory=Record)
    wrong: list[str] = field(default_factory=list)

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.place.ports()['web_port']}"

    def uploading(self, *, clients: int = CLIENTS, web_url: str = "", label: str = "") -> Uploading:
        """People who upload until it is left. All of a scene note what they did in its one record."""
        name, password = "admin", self.place.secret("admin_password")
        return Uploading(web_url or self.web_url, name, password, clients=clients, record=self.record, label=label)

    def more_uploads(self, count: int, when: str) -> None:
        """Wait until so many more were accepted."""
        wanted = len(self.record.uploads) + count
        told = f"{count} uploads {when}; the last refusals: {[str(each)[:200] for each in self.record.failures[-3:]]}"
        wait_for(lambda: len(self.record.uploads) >= wanted, what=told, within_s=_UPLOADED_WITHIN_S)

    def kill(self, victims: Victims, name: str) -> None:
        kill(found(victims, self.place, name))

    def expect(self, true: object, otherwise: str) -> None:
        if not true:
            self.wrong.append(otherwise)

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
        with closing(self.connection()) as database, database.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def queue(self) -> redis.Redis:
        return redis.Redis(port=self.place.ports()["redis_port"], password=self.place.secret("redis_password"))

    # -- what is left

    def finished(self) -> None:
        """Wait until no job is left that waits or runs."""
        asked = "SELECT kind, state, attempts, error_code FROM jobs_job WHERE state IN ('queued', 'running')"
        deadline = time.monotonic() + _FINISHED_WITHIN_S
        while (left := self._rows_if_answered(asked)) is None or left:
            if time.monotonic() > deadline:
                self.wrong.append(f"not all jobs ended within {_FINISHED_WITHIN_S:g} s: {left}")
                return
            time.sleep(0.5)

    def outcome(self) -> Outcome:
        """Look at everything, once nobody uploads any more."""
        self.wrong += [f"an upload broke: {broken!r}" for broken in self.record.broken]
        self.wrong += [f"told to be a mistake: {error}" for error in self.record.failures if not error.transient]
        with_thumbnail = self._with_thumbnail(self.record.uploads)
        accepted = len(self.record.uploads)
        self.expect(with_thumbnail == accepted, f"{accepted - with_thumbnail} accepted photos have no thumbnail")
        self._age_objects()
        told = json.loads(self.shell(_INSPECTION))
        before, after = told["before"], told["after"]
        for problem in ("missing", "mismatched"):
            self.expect(before[problem] == after[problem] == 0, f"{problem}: {before[problem]}, {after[problem]}")
        self.expect(after["orphaned"] == 0, f"{after['orphaned']} orphaned objects outlive the sweep")
        return Outcome(
            accepted=accepted,
            refused=len(self.record.failures),
            with_thumbnail=with_thumbnail,
            missing=before["missing"],
            mismatched=before["mismatched"],
            orphaned=before["orphaned"],
            wrong=tuple(self.wrong),
        )

    def _with_thumbnail(self, uploads: Sequence[Upload]) -> int:
        count = 0
        with self.place.client() as client:
            for upload in uploads:
                try:
                    photo = client.photos.get(upload.photo_id)
                    size_of(client.photos.download_thumbnail(photo))
                except (HtError, OSError) as error:
                    self.wrong.append(f"{upload.name}: {error}")
                else:
                    count += 1
        return count

    def _age_objects(self) -> None:
        """Nobody uploads now: what no row names by this time nobody will name."""
        then = time.time() - AGED.total_seconds()
        for file in (self.place.state.data / "objects").rglob("*"):
            if file.is_file():
                os.utime(file, (then, then))

    def _rows_if_answered(self, statement: str) -> list[tuple[object, ...]] | None:
        try:
            return self.rows(statement)
        except psycopg2.OperationalError:
            return None

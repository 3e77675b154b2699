"""Jobs: the work that the platform does after it has answered, each with its state, its past and its pictures."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from ht.answers import Fields, Json
from ht.connection import Connection
from ht.errors import JobFailed, JobNotDone, NotFound, NoThumbnail
from ht.pages import iterate_pages
from ht.paths import path_in
from ht.retry import Pauses

JobId: TypeAlias = str

PATH = "/api/v1/jobs/"


@dataclass(frozen=True, kw_only=True)
class JobFailure:
    """Why a job, or its last attempt so far, failed: ``code`` for programs, ``message`` for people, as ``str``.

    ``retryable``: whether the same may go well another time.
    """

    code: str
    message: str
    retryable: bool

    @classmethod
    def from_json(cls, value: Json) -> JobFailure:
        fields = Fields(value, what="failure of a job")
        return cls(code=fields.text("code"), message=fields.text("message"), retryable=fields.flag("retryable"))

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """``event`` is "queued", "started", "done", "failed" (that attempt; ``code`` and ``message`` say why) or
    "cancelled". A job that waits for another attempt is queued at a time to come."""

    event: str
    at: datetime | None
    attempt: int
    code: str = ""
    message: str = ""

    @classmethod
    def from_json(cls, value: Json) -> JobEvent:
        fields = Fields(value, what="event of a job")
        return cls(
            event=fields.text("event"),
            at=fields.moment_or_none("at"),
            attempt=fields.integer("attempt"),
            code=fields.text_or_none("code") or "",
            message=fields.text_or_none("message") or "",
        )


@dataclass(frozen=True, kw_only=True)
class JobPicture:
    """A file: ``bytes`` long, ``width`` by ``height`` pixels.

    ``path`` of an original is its name as it was submitted; of a thumbnail, where the API redirects to it.
    """

    path: str
    bytes: int
    width: int
    height: int

    @classmethod
    def from_json(cls, value: Json) -> JobPicture:
        fields = Fields(value, what="picture of a job")
        return cls(
            path=fields.text("path"),
            bytes=fields.integer("bytes"),
            width=fields.integer("width"),
            height=fields.integer("height"),
        )


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as the server describes it.

    ``kind`` is "thumbnail" (a photo's), "file_thumbnail" (of an image that becomes no photo) or another; ``state`` is
    "queued", "running", "done", "failed" or "cancelled". ``name`` is that of the file as it was submitted. ``original``
    and ``thumbnail`` are None where they are not known, not yet, or not any more. Times are aware.
    """

    id: JobId
    kind: str
    state: str
    name: str = ""
    username: str | None = None
    attempts: int = 0
    created: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    failure: JobFailure | None = None
    timeline: tuple[JobEvent, ...] = ()
    original: JobPicture | None = None
    thumbnail: JobPicture | None = None

    @classmethod
    def from_json(cls, value: Json) -> Job:
        """Reads an answer; ignores unknown fields, raises AnswerNotUnderstood for missing ones and wrong types."""
        fields = Fields(value, what="job")
        failure, original, thumbnail = map(fields.value_or_none, ("failure", "original", "thumbnail"))
        return cls(
            id=fields.text("id"),
            kind=fields.text("kind"),
            state=fields.text("state"),
            name=fields.text_or_none("name") or "",
            username=fields.text_or_none("username"),
            attempts=fields.integer("attempts"),
            created=fields.moment_or_none("created"),
            started=fields.moment_or_none("started"),
            finished=fields.moment_or_none("finished"),
            failure=None if failure is None else JobFailure.from_json(failure),
            timeline=tuple(map(JobEvent.from_json, fields.items("timeline"))),
            original=None if original is None else JobPicture.from_json(original),
            thumbnail=None if thumbnail is None else JobPicture.from_json(thumbnail),
        )


class Jobs:
    """``client.jobs``: your own jobs; everyone's for staff. Each method raises the errors of ``ht.errors``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def iterate(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        owner: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Iterator[Job]:
        """Jobs one by one, newest first, a page asked for when it is needed.

        ``owner``: "me", or a username, which is for staff. Times are aware. Raises Invalid for a state or kind that is
        none.

        Example::

            for job in client.jobs.iterate(state="failed"):
                print(job.name, job.failure)
        """
        moments = {"created_after": created_after, "created_before": created_before}
        wanted = {"state": state, "kind": kind, "owner": owner}
        query = {name: value for name, value in wanted.items() if value is not None}
        query |= {name: moment.isoformat() for name, moment in moments.items() if moment is not None}
        yield from map(Job.from_json, iterate_pages(self._connection, PATH, query, what="page of jobs"))

    def list(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        owner: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> builtins.list[Job]:
        """All jobs of all pages; filters as for ``iterate``."""
        return [
            *self.iterate(
                state=state, kind=kind, owner=owner, created_after=created_after, created_before=created_before
            )
        ]

    def get(self, job: Job | JobId) -> Job:
        """The job as it is now. Raises NotFound, for another's too."""
        return Job.from_json(self._connection.request("GET", _path_of(job)))

    def retry(self, job: Job | JobId) -> Job:
        """Has a job tried again that failed or was cancelled. Raises Conflict for any other, NotFound."""
        return Job.from_json(self._connection.request("POST", f"{_path_of(job)}retry/"))

    def cancel(self, job: Job | JobId) -> Job:
        """Cancels a job that waits or runs: nothing comes of it. Raises Conflict for one that has ended, NotFound."""
        return Job.from_json(self._connection.request("POST", f"{_path_of(job)}cancel/"))

    def thumbnail(self, job: Job | JobId) -> bytes:
        """The bytes of the thumbnail that the job made. Raises NoThumbnail when there is none, NotFound.

        Example::

            Path("small.jpg").write_bytes(client.jobs.thumbnail(job))
        """
        try:
            return self._connection.fetch(self._connection.destination(f"{_path_of(job)}thumbnail/"))
        except NotFound as error:
            if error.code != "no_thumbnail":
                raise
            raise NoThumbnail(error.message) from None

    def wait_until_done(self, job: Job | JobId, timeout_s: float = 60.0) -> Job:
        """The job once it is done. Raises JobFailed for one that failed or was cancelled, or JobNotDone after
        ``timeout_s`` seconds.

        The time is looked at between requests: a server that falls silent may take up to the client's own ``timeout_s``
        longer.
        """
        pauses = Pauses(self._connection.clock, timeout_s)
        while True:
            current = self.get(job)
            if current.state == "done":
                return current
            if current.state in {"failed", "cancelled"}:
                raise JobFailed(current)
            if not pauses.pause():
                raise JobNotDone(current, timeout_s)


def _path_of(job: Job | JobId) -> str:
    return path_in(PATH, job.id if isinstance(job, Job) else job, missing="The job has no id")

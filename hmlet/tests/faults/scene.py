"""A stage while people upload to it, wherever it runs: what is asked of it, and what is left when a fault is over."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from ht.api_clients.photos import PhotosApiClient
from ht.errors import HtError

from hmlet.tests.faults.uploading import Record, Upload, Uploading, size_of
from hmlet.tests.waiting import wait_for

CLIENTS = 3
Check = Callable[[], None]
"""What a fault looks at once all jobs have ended."""
_STANDS_STILL_S = 240.0
_UPLOADED_WITHIN_S = 60.0
_UNFINISHED = "SELECT kind, state, attempts, error_code FROM jobs_job WHERE state IN ('queued', 'running')"


class Unanswered(Exception):
    """The database cannot be asked just now."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What ``manage.py integrity`` found."""

    missing: int
    mismatched: int
    orphaned: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a fault left. ``wrong`` holds a sentence for each promise that was broken, ``told`` what is worth knowing
    besides."""

    accepted: int
    refused: int
    with_thumbnail: int
    counts: Counts
    wrong: tuple[str, ...]
    told: tuple[str, ...]


@dataclass(kw_only=True)
class Scene(ABC):
    """One fault's turn on a stage. ``expect`` collects what the fault itself finds wrong, ``told`` what it measured."""

    record: Record = field(default_factory=Record)
    wrong: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    # -- the stage

    @property
    @abstractmethod
    def web_url(self) -> str: ...

    @property
    @abstractmethod
    def credentials(self) -> tuple[str, str]:
        """The name and password of whoever uploads."""

    @abstractmethod
    def shell(self, code: str) -> str:
        """Python beside the platform's programs, in Django. Returns the last line that it printed."""

    @abstractmethod
    def rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """What the database answers, ids and times as it likes. Raises Unanswered."""

    @abstractmethod
    def objects_named(self, words: str) -> list[str]:
        """Renditions whose keys hold these, past the storage."""

    @abstractmethod
    def asleep(self, program: str) -> AbstractContextManager[None]:
        """Nothing of the program does anything meanwhile."""

    @abstractmethod
    def second_beat(self) -> AbstractContextManager[None]:
        """Another beat beside the first."""

    @abstractmethod
    def integrity(self) -> tuple[Counts, Counts]:
        """What is wrong, and what still is when the sweep has been through."""

    @abstractmethod
    def left_running(self) -> list[str]:
        """Processes that nobody looks after any more."""

    # -- what happens

    def client(self) -> PhotosApiClient:
        return PhotosApiClient(self.web_url, *self.credentials)

    def uploading(self, *, clients: int = CLIENTS, web_url: str = "", label: str = "") -> Uploading:
        """People who upload until it is left. All of a scene note what they did in its one record."""
        return Uploading(web_url or self.web_url, *self.credentials, clients=clients, record=self.record, label=label)

    def more_uploads(self, count: int, when: str) -> None:
        """Wait until so many more were accepted."""
        wanted = len(self.record.uploads) + count
        told = f"{count} uploads {when}; the last refusals: {[str(each)[:200] for each in self.record.failures[-3:]]}"
        wait_for(lambda: len(self.record.uploads) >= wanted, what=told, within_s=_UPLOADED_WITHIN_S)

    def expect(self, true: object, otherwise: str) -> None:
        if not true:
            self.wrong.append(otherwise)

    # -- what is left

    def finished(self) -> None:
        """Wait until no job is left that waits or runs. As long as they get fewer, however slow the machine."""
        fewest, deadline = math.inf, time.monotonic() + _STANDS_STILL_S
        while (left := self._unfinished()) is None or left:
            if left is not None and len(left) < fewest:
                fewest, deadline = len(left), time.monotonic() + _STANDS_STILL_S
            if time.monotonic() > deadline:
                self.wrong.append(f"no job ended for {_STANDS_STILL_S:g} s: {left}")
                return
            time.sleep(0.5)

    def outcome(self) -> Outcome:
        """Look at everything, once nobody uploads any more."""
        self.wrong += [f"an upload broke: {broken!r}" for broken in self.record.broken]
        self.wrong += [f"told to be a mistake: {error}" for error in self.record.failures if not error.transient]
        with_thumbnail = self._with_thumbnail(self.record.uploads)
        accepted = len(self.record.uploads)
        self.expect(with_thumbnail == accepted, f"{accepted - with_thumbnail} accepted photos have no thumbnail")
        before, after = self.integrity()
        self.expect(before.missing == after.missing == 0, f"missing: {before.missing}, {after.missing}")
        self.expect(before.mismatched == after.mismatched == 0, f"mismatched: {before.mismatched}, {after.mismatched}")
        self.expect(after.orphaned == 0, f"{after.orphaned} orphaned objects outlive the sweep")
        if stray := self.left_running():
            self.wrong.append(f"left running: {stray}")
        return Outcome(
            accepted=accepted,
            refused=len(self.record.failures),
            with_thumbnail=with_thumbnail,
            counts=before,
            wrong=tuple(self.wrong),
            told=tuple(self.told),
        )

    def _with_thumbnail(self, uploads: Sequence[Upload]) -> int:
        count = 0
        with self.client() as client:
            for upload in uploads:
                try:
                    photo = client.photos.get(upload.photo_id)
                    size_of(client.photos.download_thumbnail(photo))
                except (HtError, OSError) as error:
                    self.wrong.append(f"{upload.name}: {error}")
                else:
                    count += 1
        return count

    def _unfinished(self) -> list[tuple[object, ...]] | None:
        try:
            return self.rows(_UNFINISHED)
        except Unanswered:
            return None

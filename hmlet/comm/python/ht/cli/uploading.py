"""``ht photos upload``: many files, each posted once however often the command is repeated."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TypeAlias

from ht.api_clients.photos import Photo, PhotosApiClient
from ht.api_clients.transfers import Uploaded, photo_of_file, upload_many
from ht.bodies import SliceBody
from ht.cli.output import Progress
from ht.cli.receipts import Receipt, Receipts, renewed
from ht.errors import ConnectionFailed, HtError, NotFound, NotSignedIn, PhotoFailed, PhotoNotReady, Unsendable
from ht.multipart import opened_image

Moved: TypeAlias = Callable[[int, int], None]

WAIT_STEP_S = 2.0


class NotTried(HtError):
    """The user has had enough, or what befell another file would befall this one."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What each file is to become. ``wait_s``: how long its thumbnails are waited for, None for not at all."""

    caption: str
    draft: bool
    parallel: int
    wait_s: float | None


class Uploading:
    """Posts files and tells ``progress``; ``there_before`` holds those whose photo was there already."""

    def __init__(self, client: PhotosApiClient, receipts: Receipts, wanted: Wanted, progress: Progress) -> None:
        self._client = client
        self._receipts = receipts
        self._wanted = wanted
        self._progress = progress
        self._stop = threading.Event()
        self.there_before: set[Path] = set()

    def run(self, paths: Sequence[Path]) -> list[Uploaded]:
        """One outcome for each path, in their order. Raises KeyboardInterrupt, soon after the user asked for it."""
        with self._stopped_by_signal():
            return upload_many(
                paths,
                create=lambda photo, direct, _key, _progress: self._told(photo, direct),
                parallel=self._wanted.parallel,
                photo_of=lambda path: replace(
                    photo_of_file(path), caption=self._wanted.caption, draft=self._wanted.draft
                ),
                on_progress=None,
            )

    def _told(self, photo: Photo, direct: bool) -> Photo:
        path = Path(str(photo.image))
        remark = "not uploaded"
        try:
            created = self._uploaded(path, photo, direct)
            remark = "there already" if path in self.there_before else "uploaded"
            return created if self._wanted.wait_s is None else self._waited(created, self._wanted.wait_s)
        except PhotoFailed:
            remark += ", no thumbnail can be made of it"
            raise
        except (ConnectionFailed, NotSignedIn) as error:
            if isinstance(error, NotSignedIn) or not error.may_have_arrived:
                self._stop.set()
            raise
        finally:
            self._progress.ended(str(path), remark)

    def _waited(self, photo: Photo, wait_s: float) -> Photo:
        """In short steps: in between the user may have had enough."""
        deadline_s = time.monotonic() + wait_s
        while True:
            self._refuse_to_go_on()
            left_s = deadline_s - time.monotonic()
            try:
                return self._client.photos.wait_until_ready(photo, timeout_s=max(0.0, min(left_s, WAIT_STEP_S)))
            except PhotoNotReady as error:
                if left_s <= WAIT_STEP_S:
                    raise PhotoNotReady(error.photo, wait_s) from None

    def _refuse_to_go_on(self) -> None:
        if self._stop.is_set():
            raise NotTried("Not tried any more")

    def _uploaded(self, path: Path, photo: Photo, direct: bool) -> Photo:
        def moved(done: int, total: int) -> None:
            self._refuse_to_go_on()
            self._progress.moved(str(path), done, total)

        moved(0, path.stat().st_size if path.is_file() else 0)
        with opened_image(path) as file:
            sha256 = SliceBody(file, offset=0, size=file.size, sent=None).sha256()
        try:
            receipt = self._receipts.of(sha256=sha256, name=photo.name, caption=photo.caption, draft=photo.draft)
            if receipt.photo is not None:
                try:
                    there = self._client.photos.get(receipt.photo)
                except NotFound:
                    receipt = renewed(receipt)
                    receipt.save()
                else:
                    self.there_before.add(path)
                    return there
            created = self._sent(receipt, photo, direct, moved)
            replace(receipt, upload=None, photo=str(created.id)).save()
        except OSError as error:
            raise Unsendable(f"What was uploaded cannot be noted down: {error}") from None
        return created

    def _sent(self, receipt: Receipt, photo: Photo, direct: bool, moved: Moved) -> Photo:
        if not direct:
            return self._client.photos.create(photo, key=receipt.key, progress=moved)
        if receipt.upload is not None:
            try:
                return self._gone_on_with(receipt.upload, photo, moved)
            except NotFound:
                pass  # it has expired: from the beginning
        assert photo.image is not None  # noqa: S101 photo_of_file gave it
        upload = self._client.uploads.create(photo.image)
        replace(receipt, upload=upload.id).save()
        return self._gone_on_with(upload.id, photo, moved)

    def _gone_on_with(self, upload_id: str, photo: Photo, moved: Moved) -> Photo:
        assert photo.image is not None  # noqa: S101
        self._client.uploads.send(upload_id, photo.image, progress=moved)
        return self._client.uploads.finalise(upload_id, photo)

    @contextmanager
    def _stopped_by_signal(self) -> Iterator[None]:
        """What is being sent would otherwise be sent to its end before the process ends."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stop.set()
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

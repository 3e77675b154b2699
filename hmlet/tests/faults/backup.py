"""A backup while people post and delete, and what a stage is that was restored from it."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ht.errors import HtError

from hmlet.tests.background import Background
from hmlet.tests.faults.catalogue import Fault
from hmlet.tests.faults.host_scene import HostScene
from hmlet.tests.faults.scene import CLIENTS, Check, Counts
from hmlet.tests.faults.uploading import PAUSE_S, Record, Upload
from hmlet.tests.test_host.place import COMMAND_TIMEOUT_S, Place, place_of
from hmlet.tests.waiting import wait_for

UPLOADERS = 8
DELETERS = 3
POSTED_BEFORE = 24
RESTORED_WITHIN_S = 900.0
"""Thumbnails of all photos are made anew meanwhile."""


class _Deleting(Background):
    """Threads that delete every other photo of ``posted``, the oldest first, until this is left: some before the rows
    are read, some between rows and objects. ``gone`` holds the ids of all that were tried."""

    def __init__(self, scene: HostScene, posted: Record) -> None:
        self.gone: set[str] = set()
        self._turns = itertools.count(0, 2)
        super().__init__(lambda _: self._delete(scene, posted), DELETERS)

    def _delete(self, scene: HostScene, posted: Record) -> None:
        with scene.client() as client:
            for turn in self._turns:
                while not self.over.wait(PAUSE_S):
                    if turn < len(posted.uploads):
                        break
                else:
                    return
                upload = posted.uploads[turn]
                self.gone.add(upload.photo_id)
                try:
                    client.photos.delete(upload.photo_id)
                except HtError as error:
                    scene.wrong.append(f"{upload.name} is not deleted: {error}")


def _under_load(scene: HostScene) -> Check:
    posted = Record()
    folder = tempfile.TemporaryDirectory(prefix="plb-")
    archive = Path(folder.name) / "under-load.tar.age"
    with _posting(scene, posted):
        wait_for(lambda: len(posted.uploads) >= POSTED_BEFORE, what="photos to back up", within_s=120)
        before = [*scene.record.uploads, *posted.uploads]
        gone = _taken_meanwhile(scene, archive, posted)
    mistakes = [*posted.broken, *(failure for failure in posted.failures if not failure.transient)]
    scene.expect(not mistakes, f"refused as if they were wrong: {mistakes}")
    kept = [upload for upload in before if upload.photo_id not in gone]
    scene.expect(len(kept) < len(before), "nothing of what is backed up was deleted meanwhile")

    def check() -> None:
        with folder:
            _compare_restored(scene, archive, kept)

    return check


@contextlib.contextmanager
def _posting(scene: HostScene, posted: Record) -> Iterator[None]:
    """As many more people as make eight; theirs are the photos that may be deleted."""
    more = HostScene(place=scene.place, record=posted)
    with more.uploading(clients=UPLOADERS - CLIENTS, label="backed up "):
        yield


def _taken_meanwhile(scene: HostScene, archive: Path, posted: Record) -> set[str]:
    """The ids of what was deleted."""
    with _Deleting(scene, posted) as deleting, scene.place.begin("ht.backup", str(archive)) as backup:
        out, err = backup.communicate(timeout=COMMAND_TIMEOUT_S)
    assert backup.returncode == 0, out + err
    return deleting.gone


def _compare_restored(scene: HostScene, archive: Path, kept: list[Upload]) -> None:
    """In an empty stage: all that was accepted before and not deleted, and nothing that is not whole."""
    with (
        tempfile.TemporaryDirectory(prefix="plr-") as states,
        place_of(Place(checkout=scene.place.checkout, states=Path(states))) as other,
    ):
        other.deploy()
        key = str(scene.place.backup_key)
        with other.begin("ht.restore", "--identity", key, str(archive)) as restore:
            out, err = restore.communicate(timeout=RESTORED_WITHIN_S)
        assert restore.returncode == 0, out + err
        restored = HostScene(place=other, record=Record(uploads=kept))
        restored.finished()
        asked = "SELECT p.id::text, o.sha256 FROM gallery_photo p JOIN gallery_original o ON o.id = p.original_id"
        rows = {str(photo): digest for photo, digest in restored.rows(asked)}
        lost = [upload.name for upload in kept if rows.get(upload.photo_id) != upload.sha256]
        scene.expect(not lost, f"not in the backup, or not with their bytes: {lost}")
        outcome = restored.outcome()
        scene.wrong += [f"restored: {sentence}" for sentence in outcome.wrong]
        scene.expect(outcome.counts == Counts(missing=0, mismatched=0, orphaned=0), f"restored: {outcome.counts}")


FAULTS = (Fault(name="backup under load", run=_under_load),)

"""kill -9, at any moment and at the two that matter most: an object without its row, a row without its message."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import redis
from ht.api_clients.photos import Photo
from ht.errors import HtError

from hmlet.tests.faults.catalogue import Fault
from hmlet.tests.faults.cluster_scene import COMPONENTS, ClusterScene
from hmlet.tests.faults.host_scene import AGED, HostScene
from hmlet.tests.faults.scene import Check
from hmlet.tests.faults.victims import Victims, all_children, all_of, found, main_process, one_child
from hmlet.tests.pictures import distinct, photo_bytes
from hmlet.tests.test_host.place import kill
from hmlet.tests.waiting import wait_for

VICTIMS: dict[str, Victims] = {
    "worker child": one_child("worker"),
    "all below the worker": all_children("worker"),
    "worker": main_process("worker"),
    "web process": one_child("web"),
    "web": main_process("web"),
    "beat": main_process("beat"),
    "database": main_process("postgresql"),
    "database backend": one_child("postgresql"),
    "storage": main_process("storage"),
}


def _killed(name: str, victims: Victims) -> Fault:
    def run(scene: HostScene) -> None:
        scene.kill(victims, name)

    def in_cluster(scene: ClusterScene) -> None:
        scene.kill(name)

    return Fault(name=f"kill -9: {name}", run=run, in_cluster=in_cluster if name in COMPONENTS else None)


def _queue_lost(scene: HostScene) -> None:
    scene.kill(main_process("redis"), "redis")
    wait_for(lambda: _flushed(scene), what="the queue is back and empty")


def _queue_lost_in_cluster(scene: ClusterScene) -> None:
    scene.kill("queue")
    wait_for(scene.queue_flushed, what="the queue is back and empty", within_s=120)


def _flushed(scene: HostScene) -> bool:
    with closing(scene.queue()) as queue:
        try:
            return bool(queue.flushall())
        except redis.RedisError:
            return False


def _killed_before_commit(scene: HostScene) -> Check:
    """The rows' table is locked against writing, so the object is there and its row cannot be."""
    name, image = _own("before commit")
    with closing(scene.connection()) as database:
        database.cursor().execute("LOCK TABLE gallery_original IN SHARE MODE")
        with _posting(scene, name, image):
            wait_for(lambda: _objects_of(scene, len(image)), what="the object is written")
            kill(found(all_of("web"), scene.place, "web"))
        database.rollback()
    (left,) = _objects_of(scene, len(image))
    there = scene.rows("SELECT count(*) FROM gallery_photo WHERE name = %s", name)
    scene.expect(there == [(0,)], "the photo is there although nothing was committed")
    then = time.time() - AGED.total_seconds()
    os.utime(left, (then, then))
    scene.manage("sweep_objects")
    scene.expect(not left.exists(), "the sweep left the object that no row names")

    def check() -> None:
        scene.expect(not _objects_of(scene, len(image)), "the object that no row names is there again")

    return check


def _killed_before_publication(scene: HostScene) -> Check:
    """The queue is stopped, so the photo is committed and its message cannot be sent; and what the queue's socket holds
    goes with the queue."""
    name, image = _own("before publication")
    queue = found(main_process("redis"), scene.place, "redis")
    queue[0].send_signal(signal.SIGSTOP)
    with _posting(scene, name, image):
        asked = "SELECT count(*) FROM gallery_photo WHERE name = %s"
        wait_for(lambda: scene.rows(asked, name) == [(1,)], what="the photo is committed")
        kill(found(all_of("web"), scene.place, "web"))
    kill(queue)

    def check() -> None:
        state = "SELECT state FROM gallery_original JOIN gallery_photo p ON original_id = gallery_original.id"
        found_ = scene.rows(f"{state} WHERE p.name = %s", name)
        scene.expect(found_ == [("ready",)], f"the photo whose message was never sent is {found_}")

    return check


def _own(name: str) -> tuple[str, bytes]:
    """A photo that no client of the load posts, of a length that none of theirs has."""
    name = f"{name} {time.time_ns()}"
    return name, distinct(photo_bytes(977, (400, 300)), f"{name} {secrets.token_hex(secrets.randbelow(900) + 100)}")


@contextlib.contextmanager
def _posting(scene: HostScene, name: str, image: bytes) -> Iterator[None]:
    """A photo is posted meanwhile, by somebody who hears nothing back."""
    with scene.place.client() as client:
        next(iter(client.photos.iterate(owner="me")), None)  # signed in

        def post() -> None:
            with contextlib.suppress(HtError):
                client.photos.create(Photo(name=name, image=image))

        thread = threading.Thread(target=post)
        thread.start()
        yield
        thread.join()


def _objects_of(scene: HostScene, size: int) -> list[Path]:
    """The originals of so many bytes, past the storage."""
    folder = scene.place.state.data / "objects/hmlet-originals"
    return [file for file in folder.rglob("*") if file.is_file() and file.stat().st_size == size]


def _stopped_under_load(name: str) -> Fault:
    """SIGTERM, as a roll-out sends it: nothing that has begun is cut off."""

    def run(scene: HostScene) -> Check:
        begun = scene.rows("SELECT now()")[0][0]
        for _ in range(2):
            psutil.Process(scene.place.pids()[name]).terminate()
            scene.more_uploads(3, f"after {name} was stopped")

        def check() -> None:
            again = scene.rows("SELECT kind, attempts FROM jobs_job WHERE created >= %s AND attempts > 1", begun)
            scene.expect(again == [], f"jobs were begun more than once: {again}")
            names = {str(row[0]) for row in scene.rows("SELECT name FROM gallery_photo WHERE created >= %s", begun)}
            unanswered = names - {upload.name for upload in scene.record.uploads}
            scene.expect(not unanswered, f"photos whose upload was cut off before its answer: {sorted(unanswered)}")

        return check

    return Fault(name=f"SIGTERM under load: {name}", run=run)


FAULTS = (
    *(_killed(name, victims) for name, victims in VICTIMS.items()),
    Fault(name="kill -9: queue, with FLUSHALL", run=_queue_lost, in_cluster=_queue_lost_in_cluster),
    Fault(name="kill -9: web, object written, not committed", run=_killed_before_commit, quick=True),
    Fault(name="kill -9: web, committed, not published", run=_killed_before_publication, quick=True),
    *(_stopped_under_load(name) for name in ("web", "worker", "beat")),
)

"""What the queue may do: say everything five times, tell of what is gone, be told twice by two beats."""

from __future__ import annotations

from ht.api_clients.photos import Photo

from hmlet.tests.faults.catalogue import Fault
from hmlet.tests.faults.scene import Check, Scene
from hmlet.tests.pictures import photo_bytes

_FIVE_TIMES = """
from jobs.models import Job
from jobs.services import job_publish
for job in Job.objects.order_by("-created")[:40]:
    for _ in range(5):
        job_publish(job.id)
"""
_OF_SUBJECT = """
from jobs.services import job_publish
for _ in range(5):
    for job_id in {ids!r}:
        job_publish(job_id)
"""


def _five_times(scene: Scene) -> Check:
    begun = _now(scene)
    scene.shell(_FIVE_TIMES)
    scene.more_uploads(3, "after each message came five times more")
    scene.shell(_FIVE_TIMES)
    return lambda: _once(scene, begun)


def _of_deleted(scene: Scene) -> Check:
    """The worker sleeps while a photo is posted and deleted and its messages are sent once more."""
    with scene.asleep("worker"), scene.client() as client:
        photo = client.photos.create(Photo(name=f"deleted {_now(scene)}", image=photo_bytes(5150)))
        asked = "SELECT original_id::text FROM gallery_photo WHERE id = %s"
        ((original,),) = scene.rows(asked, str(photo.id))
        client.photos.delete(photo)
        jobs = scene.rows("SELECT id::text FROM jobs_job WHERE subject = %s", original)
        scene.shell(_OF_SUBJECT.format(ids=[row[0] for row in jobs]))

    def check() -> None:
        left = scene.rows("SELECT id FROM gallery_original WHERE id = %s", original)
        scene.expect(left == [], "the original of a deleted photo is there")
        ends = scene.rows("SELECT kind, state FROM jobs_job WHERE subject = %s AND state <> 'done'", original)
        scene.expect(ends == [], f"jobs of a deleted photo ended otherwise: {ends}")
        files = scene.objects_named(str(original).replace("-", "")[2:])
        scene.expect(files == [], "renditions of a deleted photo are there")

    return check


def _two_beats(scene: Scene) -> Check:
    begun = _now(scene)
    with scene.second_beat():
        scene.more_uploads(10, "under two beats")
    return lambda: _once(scene, begun)


def _once(scene: Scene, begun: object) -> None:
    again = scene.rows("SELECT kind, attempts FROM jobs_job WHERE created >= %s AND attempts <> 1", begun)
    scene.expect(again == [], f"jobs that were not begun once: {again}")
    twice = scene.rows(
        "SELECT kind, subject FROM jobs_job WHERE created >= %s AND kind <> 'purge'"
        " GROUP BY kind, subject HAVING count(*) > 1",
        begun,
    )
    scene.expect(twice == [], f"work that was asked for twice: {twice}")


def _now(scene: Scene) -> object:
    return scene.rows("SELECT now()")[0][0]


FAULTS = (
    Fault(name="each message five times", run=_five_times, in_cluster=_five_times),
    Fault(name="messages of a deleted photo", run=_of_deleted, in_cluster=_of_deleted),
    Fault(name="two beats", run=_two_beats, in_cluster=_two_beats),
)

"""Two hundred people who upload at once, over lines that are slow."""

from __future__ import annotations

import time

from ht.api_clients.photos import PhotosApiClient

from hmlet.tests.background import Background
from hmlet.tests.faults.catalogue import Fault
from hmlet.tests.faults.cluster_scene import ClusterScene
from hmlet.tests.faults.uploading import Record, upload
from hmlet.tests.pictures import distinct, grainy, jpeg, landscape

PEOPLE = 200
GROWTH_MB = 64.0
"""Of a pod of web meanwhile: less than its share of what the people send."""
_SIZE = (1600, 1200)
_PIECE_PAUSE_S = 0.8
"""Between pieces of 64 KB."""
_SILENCE_S = 300.0
"""For so long people wait for their answers, who come one after the other once all has been sent."""


def _slowly(scene: ClusterScene) -> None:
    image = jpeg(grainy(landscape(11, _SIZE), 11), quality=92)
    record = Record()
    before = most = scene.memory_mb("web")
    with PhotosApiClient(scene.web_url, *scene.credentials, timeout_s=_SILENCE_S, retries=0) as client:

        def person(number: int) -> None:
            name = f"slow upload {number} of {time.time_ns()}"
            try:
                upload(client, record, name, distinct(image, name), progress=lambda *_: time.sleep(_PIECE_PAUSE_S))
            except BaseException as error:  # noqa: BLE001 - told below, in whose thread it means something
                record.broken.append(error)

        try:
            with Background(person, PEOPLE):
                while len(record.uploads) + len(record.failures) + len(record.broken) < PEOPLE:
                    most = max(most, scene.memory_mb("web"))
        finally:
            scene.record.uploads += record.uploads
    after = scene.memory_mb("web")
    sent = PEOPLE * len(image) / 2**20
    scene.told.append(
        f"{sent:.0f} MB sent; the largest pod of web: {before:.0f} MB before, {most:.0f} at most, {after:.0f} after"
    )
    scene.expect(len(record.uploads) == PEOPLE, f"not taken: {[*record.failures, *record.broken][:3]} and such")
    scene.expect(most - before < GROWTH_MB, f"web grew by {most - before:.0f} MB, which may be {GROWTH_MB:g}")


FAULTS = (Fault(name=f"{PEOPLE} slow uploads at once", in_cluster=_slowly),)

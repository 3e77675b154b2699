"""One fault's turn: people upload, it happens, they go on; then everything is looked at."""

from __future__ import annotations

from dataclasses import replace

import psutil

from hmlet.tests.faults.catalogue import Fault
from hmlet.tests.faults.scene import Outcome, Scene
from hmlet.tests.test_host.place import Place

UPLOADS_BEFORE, UPLOADS_AFTER = 3, 3


def tried(place: Place, fault: Fault) -> Outcome:
    """What the fault left on the stage. What breaks on the way is told as one more thing that is wrong."""
    scene = Scene(place=place)
    check = None
    # The names of one fault's photos are not those of another's.
    with scene.uploading(label=f"{fault.name}, "):
        try:
            scene.more_uploads(UPLOADS_BEFORE, "before the fault")
            check = fault.run(scene)
            scene.more_uploads(UPLOADS_AFTER, "after the fault")
        except (AssertionError, psutil.Error, OSError) as error:
            scene.wrong.append(f"{type(error).__name__}: {error}")
    scene.finished()
    if check is not None:
        check()
    outcome = scene.outcome()
    stray = [process.name() for process in place.orphans()]
    return replace(outcome, wrong=(*outcome.wrong, f"left running: {stray}")) if stray else outcome

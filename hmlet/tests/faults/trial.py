"""One fault's turn: people upload, it happens, they go on; then everything is looked at."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from typing import TypeVar

import psutil
from ht.errors import HtError
from pl.errors import PlError

from hmlet.tests.faults.scene import Check, Outcome, Scene, Unanswered

UPLOADS_BEFORE, UPLOADS_AFTER = 3, 3
_BROKE = (AssertionError, psutil.Error, OSError, subprocess.SubprocessError, HtError, PlError, Unanswered)
S = TypeVar("S", bound=Scene)


def tried(scene: S, name: str, run: Callable[[S], Check | None]) -> Outcome:
    """What the fault left on the stage. What breaks on the way is told as one more thing that is wrong."""
    check = None
    # The names of one fault's photos are not those of another's.
    with scene.uploading(label=f"{name}, "), _told(scene):
        scene.more_uploads(UPLOADS_BEFORE, "before the fault")
        check = run(scene)
        scene.more_uploads(UPLOADS_AFTER, "after the fault")
    scene.finished()
    if check is not None:
        with _told(scene):
            check()
    return scene.outcome()


@contextlib.contextmanager
def _told(scene: Scene) -> Iterator[None]:
    try:
        yield
    except _BROKE as error:
        scene.wrong.append(f"{type(error).__name__}: {error}")

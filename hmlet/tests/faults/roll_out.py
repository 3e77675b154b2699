"""The version before beside this one, on one database, queue and storage."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hmlet.tests.faults.catalogue import Fault
from hmlet.tests.faults.host_scene import HostScene
from hmlet.tests.faults.relay import free_port, listens, started_otherwise
from hmlet.tests.test_host.place import CHECKOUT
from hmlet.tests.waiting import wait_for

FLESH = "hmlet/photos/flesh"


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=CHECKOUT, capture_output=True, check=True).stdout


def _version_before() -> str:
    """The commit before the last one that changed the database's tables; empty where the history does not say."""
    try:
        last = _git("log", "-1", "--format=%H", "--", f":(glob){FLESH}/*/migrations/*.py").decode().strip()
        return _git("rev-parse", "--verify", f"{last}^").decode().strip() if last else ""
    except (subprocess.CalledProcessError, FileNotFoundError):
        return ""


def _left_out() -> str:
    return "" if _version_before() else "needs the history: git fetch --unshallow"


@contextlib.contextmanager
def _code_of(commit: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="plo-") as folder:
        with tarfile.open(fileobj=io.BytesIO(_git("archive", commit, FLESH))) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder) / FLESH


def _side_by_side(scene: HostScene) -> None:
    """Requests go to either web, jobs to either worker; the tables are the new version's."""
    place, port = scene.place, free_port()
    here = f"127.0.0.1:{place.ports()['web_port']}"
    metrics = {"PROMETHEUS_MULTIPROC_DIR": str(place.state.run / "metrics-web-before")}
    with contextlib.ExitStack() as stack:
        before = {"cwd": str(stack.enter_context(_code_of(_version_before())))}
        moved = {here: f"127.0.0.1:{port}"}
        stack.enter_context(started_otherwise(place, "web", "web-before", moved, env=metrics, **before))
        stack.enter_context(started_otherwise(place, "worker", "worker-before", {}, **before))
        wait_for(lambda: listens(port), what="the version before listens")
        scene.more_uploads(3, "to the new version beside the old one")
        with scene.uploading(web_url=f"http://127.0.0.1:{port}", label="old "):
            old = len([upload for upload in scene.record.uploads if upload.name.startswith("old ")])
            wait_for(
                lambda: len([each for each in scene.record.uploads if each.name.startswith("old ")]) >= old + 8,
                what="uploads to the old version",
                within_s=60,
            )


FAULTS = (Fault(name="old and new version side by side", run=_side_by_side, left_out=_left_out),)

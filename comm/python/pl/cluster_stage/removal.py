"""The releases of a stage in a cluster that is not ours: removed without the volumes, the namespace and the cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from pl.cluster.api import Api
from pl.cluster.platform import Release
from pl.errors import Interrupted, PlError
from pl.release.deployed import History, histories
from pl.release.repair import end_hooks, remove
from pl.release.running import end_survivors
from pl.release.target import Target
from pl.steps import Step, run_steps

_REMOVED_WITHIN_S = 300.0


def installed(api: Api, namespace: str) -> dict[str, History]:
    """The releases that the toolkit made there, by name."""
    return {name: history for name, history in sorted(histories(api, namespace).items()) if history.is_ours}


def volumes(api: Api, namespace: str) -> list[str]:
    """Claims of the namespace, with their sizes."""
    found, _ = api.list(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims")
    sizes = {item["metadata"]["name"]: item["spec"]["resources"]["requests"]["storage"] for item in found}
    return [f"{name} ({size})" for name, size in sorted(sizes.items())]


def remove_releases(target: Target, releases: Sequence[Release], say: Callable[[str], None]) -> None:
    """Remove what is installed, each release before those that it needs; the caller holds the stage's lock.

    Raises StepsFailed with ReleaseStuck, and Interrupted.
    """
    end_survivors(target.folder)
    interrupted = threading.Event()
    found = installed(target.api, target.namespace)
    needed_by = {name: [one.name for one in releases if name in one.needs] for name in found}

    def removing(name: str) -> Step:
        def run() -> str:
            if interrupted.is_set():
                raise Interrupted(f"{name} was not removed")
            end_hooks(target, found[name].latest)
            remove(target, name, found[name], timeout_s=_REMOVED_WITHIN_S, interrupted=interrupted)
            return "removed"

        return Step(name=name, run=run, needs=tuple(user for user in needed_by[name] if user in found))

    run_steps([removing(name) for name in found], _Said(say), interrupted=interrupted)


class _Said:
    """A line for each release that is gone."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def started(self, name: str) -> None: ...

    def done(self, name: str, remark: str, duration_s: float) -> None:
        self._say(f"{name}: {remark} ({duration_s:.1f} s)")

    def failed(self, name: str, error: PlError) -> None:
        self._say(f"{name}: {error.what}")

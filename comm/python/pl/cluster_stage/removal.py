"""The releases of a stage in a cluster that is not ours: removed without the volumes, the namespace and the cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pl.cluster.api import Api
from pl.cluster.platform import Release
from pl.cluster_env import ExistingEnv
from pl.errors import Interrupted, PlError, StageUnsupported
from pl.release.changes import is_kept
from pl.release.deployed import History, histories
from pl.release.repair import end_hooks, remove
from pl.release.running import end_survivors
from pl.release.target import Target
from pl.steps import Step, run_steps

_REMOVED_WITHIN_S = 300.0


def installed(api: Api, namespace: str) -> dict[str, History]:
    """The releases that the toolkit made there, by name."""
    return {name: history for name, history in sorted(histories(api, namespace).items()) if history.is_ours}


def must_be_allowed(env: ExistingEnv) -> None:
    """Raises StageUnsupported where the stage is never destroyed."""
    if not env.may_be_destroyed:
        raise StageUnsupported(
            f"{env.stage} is never destroyed by a command",
            why=f"may_be_destroyed is off in env_{env.stage}.py: nothing was done",
            hint="to take a release away for good, take it out of the platform and deploy",
        )


def what_dies(api: Api, namespace: str) -> list[str]:
    """For people, what goes: releases, and the volumes that no release says to keep."""
    return [
        *(
            f"the release {name} (revision {history.latest.number}) in {api.access.context}, namespace {namespace}"
            for name, history in installed(api, namespace).items()
        ),
        *(f"the volume {claim} with all that is in it" for claim in _volumes(api, namespace).dying),
    ]


def what_stays(api: Api, namespace: str) -> list[str]:
    claims = ", ".join(_volumes(api, namespace).staying)
    return [f"the namespace {namespace} with its Secrets", f"volumes: {claims or 'none'}"]


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


@dataclass(frozen=True, kw_only=True)
class _Volumes:
    """The claims of a namespace with their sizes, by what becomes of them without the releases."""

    dying: tuple[str, ...]
    staying: tuple[str, ...]


def _volumes(api: Api, namespace: str) -> _Volumes:
    """A claim goes with its release unless that says to keep it; those of StatefulSets belong to no release."""
    found, _ = api.list(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims")
    owned = {
        obj["metadata"]["name"]
        for history in installed(api, namespace).values()
        for obj in history.latest.manifest().objects
        if obj["kind"] == "PersistentVolumeClaim" and not is_kept(obj)
    }
    sizes = {item["metadata"]["name"]: item["spec"]["resources"]["requests"]["storage"] for item in found}
    said = {name: f"{name} ({size})" for name, size in sorted(sizes.items())}
    return _Volumes(
        dying=tuple(text for name, text in said.items() if name in owned),
        staying=tuple(text for name, text in said.items() if name not in owned),
    )


class _Said:
    """A line for each release that is gone."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def started(self, name: str) -> None: ...

    def done(self, name: str, remark: str, duration_s: float) -> None:
        self._say(f"{name}: {remark} ({duration_s:.1f} s)")

    def failed(self, name: str, error: PlError) -> None:
        self._say(f"{name}: {error.what}")

"""Looks at a namespace while a release is on its way, names why it does not come up, and keeps the logs.

It asks for the whole of what it judges every time, and does not follow changes: nothing is missed when the server
restarts, and twenty pods are a few milliseconds. Which pods are the release's follows from who owns them, not labels.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pl.cluster.api import Object
from pl.errors import ApiRefused, ClusterAway, WatchLost
from pl.release.causes import Symptom, symptoms
from pl.release.fields import Ref
from pl.release.snapshot import Before, Snapshot, pod_key, pods_of
from pl.release.target import Target

LOOK_EVERY_S = 0.7

_FAILURES = "failures"
_KEPT_FAILURES = 10
_TAIL_LINES = 40
_LOG_LINES = 5000
_KINDS = {
    "pods": ("v1", "Pod"),
    "replica_sets": ("apps/v1", "ReplicaSet"),
    "jobs": ("batch/v1", "Job"),
    "claims": ("v1", "PersistentVolumeClaim"),
    "events": ("v1", "Event"),
}


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why a release does not come up: a line, and the last lines of the log that says more, if one does."""

    what: str
    detail: str = ""


class Watch:
    """Begun before anything is changed: pods and events that are there then are not the release's doing.

    With ``judges_old_pods``, for a release that is only waited for, pods that are there are judged as well.
    """

    def __init__(
        self, target: Target, release: str, objects: Iterable[Object], *, judges_old_pods: bool = False
    ) -> None:
        self._target = target
        self._release = release
        self._family = frozenset(Ref.of(obj, target.namespace) for obj in objects)
        self._seen: dict[str, float] = {}
        self._last = self._snapshot()
        self._before = Before.of(self._last)
        if judges_old_pods:
            self._before = replace(self._before, pods=frozenset())
        self.blind = ""
        """Why it could not look, the last time that it could not."""

    def look(self) -> Cause | None:
        """The cause, once there is one beyond doubt."""
        try:
            self._last = self._snapshot()
        except (ClusterAway, ApiRefused) as error:
            # helm goes on without us, and its end is what counts.
            self.blind = str(error)
            return None
        now = time.monotonic()
        found = symptoms(self._last, self._family, self._before)
        pods = pods_of(self._last, self._family, self._before)
        keys = [*(symptom.key for symptom in found), *(pod_key(pod) for pod in pods)]
        self._seen = {key: self._seen.get(key, now) for key in keys}
        for symptom in found:
            lasted_s = now - self._seen[symptom.since or symptom.key]
            if symptom.patience_s is not None and lasted_s >= symptom.patience_s:
                return self._cause(symptom)
        return None

    def at_last(self) -> Cause | None:
        """The likeliest cause when time is up: what is wrong now, or was when it last looked."""
        for _ in range(2):
            found = symptoms(self._last, self._family, self._before)
            if found:
                return self._cause(found[0])
            self.look()
        return None

    def save(self, *, said: str = "") -> Path | None:
        """Write the logs of the release's new pods, the events and ``said`` below the state; returns the folder.

        None where there is nothing to write.
        """
        pods = pods_of(self._last, self._family, self._before)
        texts = {f"{name}.log": text for pod in pods for name, text in self._logs(pod)}
        names = {pod["metadata"]["name"] for pod in pods} | {ref.name for ref in self._family}
        events = [_event_line(event) for event in self._last.events if _about(event, names)]
        texts["events.txt"] = "\n".join(sorted(events))
        texts["helm.txt"] = said
        texts = {name: text for name, text in texts.items() if text.strip()}
        if not texts:
            return None
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        folder = self._target.folder / _FAILURES / f"{stamp}-{self._release}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
        for old in sorted(folder.parent.iterdir())[:-_KEPT_FAILURES]:
            shutil.rmtree(old, ignore_errors=True)
        return folder

    def _snapshot(self) -> Snapshot:
        api, namespace = self._target.api, self._target.namespace
        return Snapshot(
            **{name: tuple(api.list(api.path_of(kind, namespace=namespace))[0]) for name, kind in _KINDS.items()}
        )

    def _cause(self, symptom: Symptom) -> Cause:
        if not symptom.container:
            return Cause(what=symptom.what, detail=symptom.detail)
        lines = self._log(symptom.pod, symptom.container, previous=symptom.previous, tail_lines=_TAIL_LINES)
        return Cause(what=symptom.what, detail="\n".join(lines))

    def _logs(self, pod: Object) -> Iterable[tuple[str, str]]:
        name = pod["metadata"]["name"]
        status = pod.get("status") or {}
        for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            called = container["name"]
            yield f"{name}.{called}", "\n".join(self._log(name, called, tail_lines=_LOG_LINES))
            if container.get("restartCount"):
                lines = self._log(name, called, previous=True, tail_lines=_LOG_LINES)
                yield f"{name}.{called}.previous", "\n".join(lines)

    def _log(self, pod: str, container: str, *, previous: bool = False, tail_lines: int) -> Sequence[str]:
        """Empty where there is none: one that never started, or is gone."""
        try:
            with self._target.api.logs(
                self._target.namespace, pod, container, previous=previous, tail_lines=tail_lines
            ) as stream:
                return [line.decode(errors="replace") for line in stream]
        except (ApiRefused, ClusterAway, WatchLost):
            return []


def _about(event: Object, names: set[str]) -> bool:
    name = str(event["involvedObject"].get("name", ""))
    return name in names or any(name.startswith(f"{one}-") for one in names)


def _event_line(event: Object) -> str:
    when = event.get("lastTimestamp") or event.get("eventTime") or ""
    about = event["involvedObject"]
    return f"{when} {about.get('kind')}/{about.get('name')} {event.get('reason')}: {event.get('message')}"

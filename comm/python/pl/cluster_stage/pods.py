"""Pods as people know them: a short name, whether they are well, and why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pl.cluster.api import Api, Object
from pl.cluster.platform import ClusterPlatform
from pl.errors import UsageError

COMPONENT = "app.kubernetes.io/component"
RELEASE = "app.kubernetes.io/instance"
_KEEPS_NAMES = "statefulset.kubernetes.io/pod-name"
_BEGINNING = frozenset({"ContainerCreating", "PodInitializing"})


def list_pods(api: Api, namespace: str, *, labels: str = "") -> list[Object]:
    found, _ = api.list(api.path_of(("v1", "Pod"), namespace=namespace), labels=labels)
    return found


def named(pods: Sequence[Object], platform: ClusterPlatform, names: Sequence[str]) -> list[Object]:
    """The pods of the named components, releases and apps, or those with one of these (short) names; all without names.

    Raises UsageError for a name that nothing has: a release without pods is no mistake.
    """
    for name in names:
        if not is_name(pods, platform, name):
            shown = sorted({*map(component, pods), *map(release, pods), *_parts(platform)} - {""})
            raise UsageError(f"nothing here is called {name!r}", why=f"names: {', '.join(shown)}")
    wanted = _spelt_out(platform, names)
    return [pod for pod in pods if not names or wanted.intersection(_names(pod))]


def is_name(pods: Sequence[Object], platform: ClusterPlatform, name: str) -> bool:
    """Whether a pod, a component, a release or an app is called so."""
    return name in _parts(platform) or any(name in _names(pod) for pod in pods)


def short_name(pod: Object) -> str:
    """``web-x7k2p``: the component and what tells its pods apart; the whole name where pods keep theirs."""
    name = str(pod["metadata"]["name"])
    if not component(pod) or _KEEPS_NAMES in _labels(pod):
        return name
    return f"{component(pod)}-{name.rpartition('-')[2]}"


def component(pod: Object) -> str:
    return _labels(pod).get(COMPONENT, "")


def release(pod: Object) -> str:
    return _labels(pod).get(RELEASE, "")


def is_leaving(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_over(pod: Object) -> bool:
    """Whether it was to end, and did, well or badly: the pods of Jobs."""
    return _status(pod).get("phase") in ("Succeeded", "Failed")


def is_ready(pod: Object) -> bool:
    """Whether requests may be sent to it."""
    ready = any(said["type"] == "Ready" and said["status"] == "True" for said in _status(pod).get("conditions") or ())
    return ready and not is_leaving(pod)


def restarts(pod: Object) -> int:
    return sum(int(said.get("restartCount") or 0) for said in container_statuses(pod))


def images(pod: Object) -> list[str]:
    """What its containers run, without registry: ``hmlet-web:1a2b3c``."""
    found = (str(container["image"]).rpartition("/")[2] for container in pod["spec"]["containers"])
    return list(dict.fromkeys(found))


def container_statuses(pod: Object) -> Iterator[Mapping[str, Any]]:
    """Of all its containers, those that prepare first."""
    status = _status(pod)
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def why_unwell(pod: Object) -> str:
    """In a few words; empty for a pod that is ready or has done its work."""
    status = _status(pod)
    if is_leaving(pod):
        return "ends"
    if status.get("phase") == "Succeeded" or is_ready(pod):
        return ""
    if status.get("reason"):
        return f"{status['reason']}: {status.get('message') or ''}".rstrip(": ")
    for said in container_statuses(pod):
        why = _why_stopped(said)
        if why:
            return f"{said['name']}: {why}"
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            return f"not scheduled: {condition.get('message') or condition.get('reason') or 'no node yet'}"
    return "not ready" if status.get("phase") == "Running" else "starts"


def moment(text: str) -> datetime:
    """A time as the cluster writes it."""
    return datetime.fromisoformat(text)


def _why_stopped(said: Mapping[str, Any]) -> str:
    waiting = said["state"].get("waiting") or {}
    reason = str(waiting.get("reason") or "")
    if reason == "CrashLoopBackOff":
        return f"crashes again and again, {_ending(said.get('lastState', {}).get('terminated') or {})}"
    if reason and reason not in _BEGINNING:
        about = waiting.get("message") or said.get("image") or ""
        return f"{reason}: {about}".rstrip(": ")
    ended = said["state"].get("terminated") or {}
    return _ending(ended) if ended.get("exitCode") else ""


def _ending(ended: Mapping[str, Any]) -> str:
    reason = str(ended.get("reason") or "")
    said = f"ended with status {ended.get('exitCode', '?')}"
    return said if reason in ("", "Error") else f"{said} ({reason})"


def _spelt_out(platform: ClusterPlatform, names: Sequence[str]) -> set[str]:
    """The names, and for those of apps the releases of each."""
    return {*names, *(part.name for part in platform.releases if part.app and part.app in names)}


def _parts(platform: ClusterPlatform) -> set[str]:
    return {name for part in platform.releases for name in (part.name, part.app) if name}


def _names(pod: Object) -> set[str]:
    return {pod["metadata"]["name"], short_name(pod), component(pod), release(pod)} - {""}


def _labels(pod: Object) -> dict[str, str]:
    labels: dict[str, str] = pod["metadata"].get("labels") or {}
    return labels


def _status(pod: Object) -> Mapping[str, Any]:
    status: Mapping[str, Any] = pod.get("status") or {}
    return status

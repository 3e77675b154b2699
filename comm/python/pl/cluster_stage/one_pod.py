"""A pod that runs one program to its end: its lines, its exit status, and nothing of it afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pl.cluster.api import Api, Object
from pl.cluster_stage import pods
from pl.cluster_stage.logs import Place, stamped
from pl.errors import ClusterAway, PodFailed, WatchLost

_LOOK_EVERY_S = 0.5
_STARTS_WITHIN_S = 180.0
_AWAY_FOR_S = 60.0
_HOPELESS = ("ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError")
_PULL_FAILED = ("ErrImagePull", "ImagePullBackOff")


def run_pod(api: Api, namespace: str, pod: Object, *, what: str, on_line: Callable[[str], None]) -> int:
    """Make a pod of one container, tell what that says, and return its exit status. ``what`` is what people call it.

    Raises PodFailed where it could not be started, or did not end by itself.
    """
    collection = api.path_of(("v1", "Pod"), namespace=namespace)
    created = api.create(collection, pod)
    path = f"{collection}/{created['metadata']['name']}"
    try:
        _wait_until_started(api, path, what)
        for line in _said(api, namespace, path, pod["spec"]["containers"][0]["name"], what):
            on_line(line)
        return _status(api, path, what)
    finally:
        api.delete(path, uid=str(created["metadata"]["uid"]))


def _wait_until_started(api: Api, path: str, what: str) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while True:
        pod = _seen(api, path, what)
        state: Mapping[str, Any] = next((said["state"] for said in pods.container_statuses(pod)), {})
        if "running" in state or "terminated" in state or pods.is_over(pod):
            return
        reason = str((state.get("waiting") or {}).get("reason") or "")
        # A pull may fail once for a passing reason. When the cluster begins to pause between pulls, it has tried twice.
        if reason in _HOPELESS or reason == _PULL_FAILED[1] or time.monotonic() > deadline:
            raise PodFailed(f"{what} could not be started", why=pods.why_unwell(pod))
        time.sleep(_LOOK_EVERY_S)


def _said(api: Api, namespace: str, path: str, container: str, what: str) -> Iterator[str]:
    """What the container prints until it ends, over connections that break."""
    place = Place()
    name = path.rpartition("/")[2]
    away_since = 0.0
    while True:
        over = False
        try:
            over = pods.is_over(_seen(api, path, what))
            with api.logs(namespace, name, container, since=place.resume(), follow=not over, timestamps=True) as log:
                for stamp, text in map(stamped, log):
                    # What has no timestamp is no line of the program, but the node's excuse for ending the stream.
                    if stamp and place.is_new(stamp):
                        yield text
            away_since = 0.0
        except (ClusterAway, WatchLost):
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > _AWAY_FOR_S:
                raise
            over = False
        if over:
            return
        time.sleep(_LOOK_EVERY_S)


def _status(api: Api, path: str, what: str) -> int:
    pod = _seen(api, path, what)
    ended = next((said["state"].get("terminated") for said in pods.container_statuses(pod)), None) or {}
    reason = str(ended.get("reason") or (pod.get("status") or {}).get("reason") or "")
    if "exitCode" not in ended or reason not in ("Completed", "Error"):
        raise PodFailed(f"{what} did not come to an end", why=reason or pods.why_unwell(pod))
    return int(ended["exitCode"])


def _seen(api: Api, path: str, what: str) -> Object:
    pod = api.get(path)
    if pod is None:
        raise PodFailed(f"the pod of {what} was deleted by somebody else")
    return pod

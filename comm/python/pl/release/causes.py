"""Why a release does not come up, from what the cluster says of its pods: pure, over one look at the namespace.

What may pass by itself has patience: a first crash, a slow registry, a volume that is being made. What the release did
not bring about (pods and events that were there before) is never its cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pl.cluster.api import Object
from pl.release.fields import Ref
from pl.release.snapshot import Before, Snapshot, makers, named, new_events, owner_of, pod_key, pods_of, uid_of

_AT_ONCE_S = 0.0
_SHORT_S = 3.0
_LONG_S = 6.0
_PULL_S = 8.0  # since the pod came; a lookup that fails takes ten, and a second try ten more

_NEVER_PULLS = (
    "not found",
    "manifest unknown",
    "denied",
    "unauthorized",
    "authorization failed",
    "no match for platform",
)
_IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff"})
_START_REASONS = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun"}
)
_MOUNT_EVENTS = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
_NODE_IS_LATE = "cache: timed out waiting for the condition"
"""A busy node has not heard of a Secret or ConfigMap yet, be it there or not. It tries again, and then says which."""
_SANDBOX_EVENTS = frozenset({"FailedCreatePodSandBox"})
_SCALES_UP = "TriggeredScaleUp"


@dataclass(frozen=True, kw_only=True)
class Symptom:
    """Something wrong. It is a cause when it lasted ``patience_s``; None is for what is normal until the very end.

    ``since`` is the key of a pod when the time counts from its coming. ``detail`` are the cluster's own words; ``pod``
    and ``container`` are whose log says more, ``previous`` whether that of the run before.
    """

    key: str
    what: str
    patience_s: float | None
    since: str = ""
    detail: str = ""
    pod: str = ""
    container: str = ""
    previous: bool = False


def symptoms(snapshot: Snapshot, family: frozenset[Ref], before: Before) -> list[Symptom]:
    """All that is wrong with a release whose objects, hooks among them, are ``family``; the most telling first."""
    events = new_events(snapshot, before)
    pods = pods_of(snapshot, family, before)
    found = [
        *_of_jobs(snapshot, family, before, pods),
        *_of_refused_pods(snapshot, family, events),
        *(symptom for pod in pods for symptom in _of_pod(pod, snapshot, events)),
    ]
    return sorted(found, key=lambda symptom: symptom.patience_s is None)


def _of_jobs(snapshot: Snapshot, family: frozenset[Ref], before: Before, pods: Iterable[Object]) -> Iterator[Symptom]:
    for job in snapshot.jobs:
        name = job["metadata"]["name"]
        if ("Job", name) not in named(family) or uid_of(job) in before.jobs:
            continue
        failed = next((one for one in _conditions(job) if one["type"] == "Failed" and one["status"] == "True"), None)
        if failed is None:
            continue
        own = [pod for pod in pods if owner_of(pod) == ("Job", name)]
        last = max(own, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)
        ended = _ended_badly(last) if last else None
        why = ended[1] if ended else failed.get("message") or failed.get("reason", "")
        yield Symptom(
            key=f"job {uid_of(job)}",
            what=f"Job/{name} failed: {why}",
            patience_s=_AT_ONCE_S,
            pod=last["metadata"]["name"] if last else "",
            container=ended[0] if ended else "",
        )


def _of_refused_pods(snapshot: Snapshot, family: frozenset[Ref], events: Iterable[Object]) -> Iterator[Symptom]:
    """Pods that the server would not have: there is nothing to look at but events of who wanted to make them."""
    members = makers(snapshot, family)
    for event in events:
        about = event["involvedObject"]
        if event.get("reason") != "FailedCreate" or (about.get("kind"), about.get("name")) not in members:
            continue
        message = event.get("message", "")
        violates = "violates PodSecurity" in message
        owner = members[about["kind"], about["name"]]
        what = "Pod Security refuses its pods" if violates else "its pods are refused"
        yield Symptom(
            key=f"refused {owner}",
            what=f"{owner}: {what}: {message}",
            patience_s=_AT_ONCE_S if violates else _LONG_S,
        )


def _of_pod(pod: Object, snapshot: Snapshot, events: list[Object]) -> Iterator[Symptom]:
    name = pod["metadata"]["name"]
    own = [event for event in events if event["involvedObject"].get("uid") == uid_of(pod)]
    yield from _of_scheduling(pod, snapshot, own, events)
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        yield from _of_container(pod, container)
    for event in own:
        if event.get("reason") in _MOUNT_EVENTS | _SANDBOX_EVENTS and status.get("phase") == "Pending":
            message = str(event.get("message"))
            late = _NODE_IS_LATE in message
            yield Symptom(
                key=f"{'late' if late else 'mount'} {uid_of(pod)}",
                what=f"Pod/{name} cannot start: {message}",
                patience_s=None if late else _LONG_S,
            )
    if status.get("phase") == "Running" and not _is_ready(pod):
        yield _unready(pod, own)


def _of_scheduling(pod: Object, snapshot: Snapshot, own: list[Object], events: list[Object]) -> Iterator[Symptom]:
    condition = next((one for one in _conditions(pod) if one["type"] == "PodScheduled"), {})
    if condition.get("status") != "False":
        return
    name = pod["metadata"]["name"]
    for claim in _pending_claims(pod, snapshot):
        said = [event for event in events if event["involvedObject"].get("uid") == uid_of(claim)]
        failed = [event.get("message", "") for event in said if event.get("type") == "Warning"]
        if failed:
            yield Symptom(
                key=f"claim {uid_of(claim)}",
                what=f"PersistentVolumeClaim/{claim['metadata']['name']} is pending: {failed[-1]}",
                patience_s=_SHORT_S,
            )
    # An autoscaler that brings another node takes minutes, and is right.
    waits = any(event.get("reason") == _SCALES_UP for event in own)
    yield Symptom(
        key=f"unscheduled {uid_of(pod)}",
        what=f"Pod/{name} is {_of_reason(condition)}: {condition.get('message', '')}",
        patience_s=None if waits else _LONG_S if "PersistentVolumeClaim" in condition.get("message", "") else _SHORT_S,
    )


def _of_container(pod: Object, container: Object) -> Iterator[Symptom]:
    name, called, state = pod["metadata"]["name"], container["name"], container.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    restarts = container.get("restartCount", 0)
    who = f"Pod/{name}, container {called}"
    if reason in _IMAGE_REASONS:
        hopeless = reason not in _PULL_REASONS or any(words in message for words in _NEVER_PULLS)
        yield Symptom(
            key=f"image {name} {called}",
            # The two alternate, and the second one is what people know.
            what=f"{'ImagePullBackOff' if reason in _PULL_REASONS else reason}: the image {container.get('image')} "
            f"cannot be pulled ({who})",
            detail=message,
            patience_s=_AT_ONCE_S if hopeless else _PULL_S,
            since=pod_key(pod),
        )
    elif reason in _START_REASONS:
        yield Symptom(key=f"start {name} {called}", what=f"{reason}: {message} ({who})", patience_s=_SHORT_S)
    elif reason == "CrashLoopBackOff" or (ended.get("exitCode") and restarts):
        last = ended or (container.get("lastState") or {}).get("terminated") or {}
        yield Symptom(
            key=f"crash {name} {called}",
            what=f"CrashLoop: {who} ends with {_ending(last)}, and did so {restarts + 1} times",
            patience_s=_AT_ONCE_S,
            pod=name,
            container=called,
            # While it waits, the log is still that of the run that ended.
        )
    elif "running" in state and restarts >= 2:
        last = (container.get("lastState") or {}).get("terminated") or {}
        yield Symptom(
            key=f"crash {name} {called}",
            what=f"CrashLoop: {who} ended with {_ending(last)} {restarts} times",
            patience_s=_SHORT_S,
            pod=name,
            container=called,
            previous=True,
        )


def _unready(pod: Object, own: list[Object]) -> Symptom:
    probes = [event.get("message", "") for event in own if event.get("reason") == "Unhealthy"]
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    container = next((one["name"] for one in statuses if not one.get("ready")), "")
    name = pod["metadata"]["name"]
    return Symptom(
        key=f"unready {uid_of(pod)}",
        what=f"Pod/{name} runs and is not ready" + (f": {probes[-1]}" if probes else ""),
        patience_s=None,
        pod=name,
        container=container,
    )


def _ended_badly(pod: Object) -> tuple[str, str] | None:
    """The container of a pod that ended with an error, and how."""
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        for state in (container.get("state") or {}, container.get("lastState") or {}):
            ended = state.get("terminated") or {}
            if ended.get("exitCode"):
                return container["name"], _ending(ended)
    return None


def _ending(ended: Mapping[str, object]) -> str:
    reason = str(ended.get("reason") or "")
    status = f"exit status {ended.get('exitCode', 'unknown')}"
    return f"{reason} ({status})" if reason not in ("", "Error", "Completed") else status


def _of_reason(condition: Mapping[str, str]) -> str:
    return "unschedulable" if condition.get("reason") == "Unschedulable" else condition.get("reason", "unscheduled")


def _pending_claims(pod: Object, snapshot: Snapshot) -> list[Object]:
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    names = {(volume.get("persistentVolumeClaim") or {}).get("claimName") for volume in volumes}
    return [
        claim
        for claim in snapshot.claims
        if claim["metadata"]["name"] in names and (claim.get("status") or {}).get("phase") == "Pending"
    ]


def _conditions(obj: Object) -> list[Object]:
    return (obj.get("status") or {}).get("conditions") or []


def _is_ready(pod: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in _conditions(pod))

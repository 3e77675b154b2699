"""What a stage consists of now: releases, workloads, pods, where requests go, volumes. One LIST a kind, all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TypeVar

from pl.cluster.api import Api, Object
from pl.cluster.platform import ClusterPlatform
from pl.cluster_stage import pods
from pl.durations import brief
from pl.release.deployed import History, histories
from pl.stage import Status, Table

NOT_INSTALLED = "not installed"
_KINDS = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("v1", "Pod"),
    ("v1", "Service"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("v1", "PersistentVolumeClaim"),
)
_OF_SERVICE = "kubernetes.io/service-name"

Fact = Mapping[str, object]
T = TypeVar("T")


def cluster_status(api: Api, platform: ClusterPlatform) -> Status:
    """Healthy is a stage whose every release is deployed and whose every workload has all its pods, all of them ready.

    ``facts`` has ``releases``, ``workloads``, ``pods``, ``endpoints`` and ``volumes``, each a list of objects. Raises
    ClusterAway, ApiRefused.
    """
    with ThreadPoolExecutor(max_workers=len(_KINDS) + 1) as pool:
        installed = pool.submit(_on_own_connection, api, lambda: histories(api, platform.namespace))
        listed = list(pool.map(lambda kind: _on_own_connection(api, lambda: _all(api, kind, platform)), _KINDS))
        releases = _releases(platform, installed.result())
    deployments, stateful_sets, found, services, slices, claims = listed
    workloads = [_workload(obj) for obj in (*deployments, *stateful_sets)]
    running = [_pod(pod) for pod in found if (pod.get("status") or {}).get("phase") != "Succeeded"]
    endpoints = [_endpoint(service, slices) for service in services]
    volumes = [_volume(claim) for claim in claims]
    return Status(
        healthy=all(part["healthy"] for part in (*releases, *workloads)),
        tables=tuple(table for table in _tables(releases, workloads, running, endpoints, volumes) if table.rows),
        facts={
            "releases": releases,
            "workloads": workloads,
            "pods": running,
            "endpoints": endpoints,
            "volumes": volumes,
        },
    )


def _on_own_connection(api: Api, ask: Callable[[], T]) -> T:
    try:
        return ask()
    finally:
        api.close()


def _all(api: Api, kind: tuple[str, str], platform: ClusterPlatform) -> list[Object]:
    found, _ = api.list(api.path_of(kind, namespace=platform.namespace))
    return sorted(found, key=lambda obj: str(obj["metadata"]["name"]))


def _releases(platform: ClusterPlatform, installed: Mapping[str, History]) -> list[Fact]:
    """Those of the checkout in its order, then others that a deploy made."""
    planned = [release.name for release in platform.releases]
    others = sorted(name for name, history in installed.items() if history.is_ours and name not in planned)
    return [_release(name, installed.get(name), planned=name in planned) for name in (*planned, *others)]


def _release(name: str, history: History | None, *, planned: bool) -> Fact:
    if history is None:
        return {"name": name, "status": NOT_INSTALLED, "healthy": False}
    latest = history.latest
    content = latest.content()
    return {
        "name": name,
        "status": latest.status if planned else f"{latest.status}, no longer part of the checkout",
        "healthy": latest.status == "deployed",
        "revision": latest.number,
        "chart_version": str(content["chart"]["metadata"]["version"]),
        "deployed": pods.moment(content["info"]["last_deployed"]).astimezone(UTC).isoformat(timespec="seconds"),
    }


def _workload(obj: Object) -> Fact:
    wanted = int(obj["spec"].get("replicas", 1))
    status = obj.get("status") or {}
    ready = int(status.get("readyReplicas") or 0)
    updated = int(status.get("updatedReplicas") or 0)
    seen = int(status.get("observedGeneration") or 0) >= int(obj["metadata"].get("generation") or 0)
    healthy = seen and ready >= wanted and updated >= wanted
    return {
        "name": f"{obj['kind'].lower()}/{obj['metadata']['name']}",
        "release": pods.release(obj),
        "wanted": wanted,
        "ready": ready,
        "updated": updated,
        "healthy": healthy,
        "why": "" if healthy else _why_incomplete(status, seen=seen, wanted=wanted, updated=updated),
    }


def _why_incomplete(status: Mapping[str, object], *, seen: bool, wanted: int, updated: int) -> str:
    """What the pods do not say themselves: those that could not even be made."""
    conditions = status.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message") or condition.get("reason"))
    if not seen or updated < wanted:
        return "is being rolled out"
    return "waits for its pods"


def _pod(pod: Object) -> Fact:
    status = pod.get("status") or {}
    return {
        "name": pod["metadata"]["name"],
        "short_name": pods.short_name(pod),
        "release": pods.release(pod),
        "component": pods.component(pod),
        "phase": status.get("phase") or "Unknown",
        "ready": pods.is_ready(pod),
        "why": pods.why_unwell(pod),
        "restarts": pods.restarts(pod),
        "created": pod["metadata"]["creationTimestamp"],
        "images": pods.images(pod),
    }


def _endpoint(service: Object, slices: Iterable[Object]) -> Fact:
    """A Service, and how many addresses answer behind it."""
    name = str(service["metadata"]["name"])
    own = [found for found in slices if (found["metadata"].get("labels") or {}).get(_OF_SERVICE) == name]
    addresses = Counter(
        bool((endpoint.get("conditions") or {}).get("ready", True))
        for found in own
        for endpoint in found.get("endpoints") or ()
    )
    spec = service["spec"]
    return {
        "name": name,
        "release": pods.release(service),
        "type": spec.get("type") or "ClusterIP",
        "ports": [_port(port) for port in spec.get("ports") or ()],
        "ready": addresses[True],
        "not_ready": addresses[False],
    }


def _port(port: Mapping[str, object]) -> str:
    node_port = port.get("nodePort")
    return f"{port['port']}:{node_port}" if node_port else str(port["port"])


def _volume(claim: Object) -> Fact:
    status = claim.get("status") or {}
    asked = claim["spec"].get("resources", {}).get("requests", {}).get("storage", "")
    return {
        "name": claim["metadata"]["name"],
        "release": pods.release(claim),
        "phase": status.get("phase") or "Pending",
        "size": (status.get("capacity") or {}).get("storage") or asked,
        "class": claim["spec"].get("storageClassName") or "",
    }


def _tables(
    releases: Sequence[Fact],
    workloads: Sequence[Fact],
    running: Sequence[Fact],
    endpoints: Sequence[Fact],
    volumes: Sequence[Fact],
) -> Iterable[Table]:
    now = datetime.now(UTC)
    yield Table(
        header=("release", "status", "revision", "chart", "deployed"),
        rows=tuple(
            (
                str(release["name"]),
                str(release["status"]),
                str(release.get("revision") or ""),
                str(release.get("chart_version") or ""),
                _ago(release.get("deployed"), now),
            )
            for release in releases
        ),
    )
    yield Table(
        header=("workload", "ready", "remark"),
        rows=tuple(
            (str(found["name"]), f"{found['ready']}/{found['wanted']}", str(found["why"])) for found in workloads
        ),
    )
    yield Table(
        header=("pod", "state", "restarts", "age", "image"),
        rows=tuple(
            (
                str(pod["short_name"]),
                "ready" if pod["ready"] else str(pod["why"]),
                str(pod["restarts"]),
                _age(pod["created"], now),
                " ".join(map(str, _texts(pod["images"]))),
            )
            for pod in running
        ),
    )
    yield Table(
        header=("service", "type", "ports", "answering"),
        rows=tuple(
            (str(found["name"]), str(found["type"]), " ".join(_texts(found["ports"])), _answering(found))
            for found in endpoints
        ),
    )
    yield Table(
        header=("volume", "state", "size", "class"),
        rows=tuple(
            (str(found["name"]), str(found["phase"]).lower(), str(found["size"]), str(found["class"]))
            for found in volumes
        ),
    )


def _answering(endpoint: Fact) -> str:
    ready, not_ready = endpoint["ready"], endpoint["not_ready"]
    return f"{ready or 'none'}{f', {not_ready} not ready' if not_ready else ''}"


def _texts(value: object) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else []


def _ago(when: object, now: datetime) -> str:
    return f"{_age(when, now)} ago" if when else ""


def _age(when: object, now: datetime) -> str:
    return brief(max(0.0, (now - pods.moment(str(when))).total_seconds()))

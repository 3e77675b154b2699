"""Whether a kind cluster really works, and not only answers: what it said before it was stopped is not believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pl.cluster.api import Api, Object
from pl.errors import ApiRefused, ClusterAway

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def why_not_ready(api: Api, nodes: Mapping[str, datetime]) -> str:
    """What is still missing, or nothing. ``nodes`` are the nodes' names, and since when each runs.

    A node is believed when it has renewed its lease since then, a pod of the cluster's DNS when it was started since.
    Raises ClusterAway where waiting is of no use.
    """
    try:
        return (
            _nodes(api, nodes)
            or _storage_class(api)
            or _service_account(api)
            or _dns(api, min(nodes.values(), default=datetime.now(UTC)))
        )
    except ClusterAway as error:
        if not error.passing:
            raise
        return f"its API server does not answer: {error.why}"
    except ApiRefused as error:
        return f"{error.what}: {error.why}"


def _nodes(api: Api, nodes: Mapping[str, datetime]) -> str:
    found = {str(node["metadata"]["name"]): node for node in api.list("/api/v1/nodes")[0]}
    leases, _ = api.list("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")
    renewed = {str(lease["metadata"]["name"]): moment(lease["spec"].get("renewTime")) for lease in leases}
    for name, since in nodes.items():
        node = found.get(name)
        if node is None:
            return f"the node {name} has not joined"
        last = renewed.get(name)
        if last is None or last < since:
            return f"the node {name} has not reported since it was started"
        ready = _condition(node, "Ready")
        if ready.get("status") != "True":
            return f"the node {name} is not ready: {ready.get('message') or 'it has not said why'}"
    return ""


def _storage_class(api: Api) -> str:
    classes, _ = api.list("/apis/storage.k8s.io/v1/storageclasses")
    return "" if default_class(classes) else "there is no default StorageClass"


def default_class(classes: Sequence[Object]) -> str:
    """The name of the default storage class, or nothing."""
    for item in classes:
        if (item["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true":
            return str(item["metadata"]["name"])
    return ""


def _service_account(api: Api) -> str:
    found = api.get("/api/v1/namespaces/default/serviceaccounts/default")
    return "" if found else "the namespace default has no service account yet"


def _dns(api: Api, since: datetime) -> str:
    pods, _ = api.list("/api/v1/namespaces/kube-system/pods", labels="k8s-app=kube-dns")
    if not pods:
        return "the cluster's DNS has no pods"
    if any(_condition(pod, "Ready").get("status") == "True" and _started(pod) >= since for pod in pods):
        return ""
    return "the cluster's DNS is not ready"


def _started(pod: Object) -> datetime:
    """When its containers last started; the beginning of time while one does not run."""
    states = [status.get("state") or {} for status in pod["status"].get("containerStatuses") or ()]
    started = [moment((state.get("running") or {}).get("startedAt")) for state in states]
    return min((at or datetime.min.replace(tzinfo=UTC) for at in started), default=datetime.min.replace(tzinfo=UTC))


def _condition(obj: Object, kind: str) -> Object:
    conditions = obj.get("status", {}).get("conditions") or []
    return next((condition for condition in conditions if condition["type"] == kind), {})


def moment(text: object) -> datetime | None:
    """A time as clusters and engines write it, with up to nine digits of a second; None where there is none."""
    if not isinstance(text, str) or not text:
        return None
    return datetime.fromisoformat(text)

"""The namespace that a project's releases are in: its pods are held to what Kubernetes calls restricted."""

from __future__ import annotations

from pl.cluster.api import Api, Object

MANAGER = "pl"
"""Whom the cluster names as the owner of what the toolkit writes itself."""

_STANDARD = "pod-security.kubernetes.io/"


def ensure_namespace(api: Api, name: str) -> bool:
    """Have the namespace, with Pod Security ``restricted`` enforced. Whether anything was written."""
    if not namespace_fault(api, name):
        return False
    api.apply(_path(name), _namespace(name), manager=MANAGER)
    return True


def namespace_fault(api: Api, name: str) -> str:
    """Why the namespace is not as it is wanted; empty when it is. Changes nothing."""
    found = api.get(_path(name))
    if found is None:
        return "not there"
    labels = found["metadata"].get("labels") or {}
    wanted = _namespace(name)["metadata"]["labels"]
    return "" if wanted.items() <= labels.items() else "does not enforce restricted pods"


def _path(name: str) -> str:
    return f"/api/v1/namespaces/{name}"


def _namespace(name: str) -> Object:
    labels = {f"{_STANDARD}{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}

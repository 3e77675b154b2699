"""The namespace that a project's releases are in: its pods are held to what Kubernetes calls restricted."""

from __future__ import annotations

from pl.cluster.api import Api, Object

MANAGER = "pl"
"""Whom the cluster names as the owner of what the toolkit writes itself."""

_STANDARD = "pod-security.kubernetes.io/"


def ensure_namespace(api: Api, name: str) -> bool:
    """Have the namespace, with Pod Security ``restricted`` enforced. Whether anything was written."""
    path = f"/api/v1/namespaces/{name}"
    wanted = _namespace(name)
    found = api.get(path)
    labels = (found or {}).get("metadata", {}).get("labels") or {}
    if found is not None and wanted["metadata"]["labels"].items() <= labels.items():
        return False
    api.apply(path, wanted, manager=MANAGER)
    return True


def _namespace(name: str) -> Object:
    labels = {f"{_STANDARD}{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}

"""Whether a workload does what it should, by its own status."""

from __future__ import annotations

from pl.cluster.api import Object

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})


def why_not_ready(obj: Object) -> str:
    """Empty when it is ready, and for what is never anything else."""
    if obj.get("kind") not in WORKLOADS:
        return ""
    status = obj.get("status") or {}
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return "the cluster has not seen its last change yet"
    if obj["kind"] == "DaemonSet":
        wanted, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
        available = status.get("numberAvailable", 0)
    else:
        wanted = (obj.get("spec") or {}).get("replicas", 1)
        available = status.get("availableReplicas", 0)
        updated = status.get("updatedReplicas", 0)
    if updated < wanted:
        return f"{updated} of {wanted} pods are of the new kind"
    if available < wanted:
        return f"{available} of {wanted} pods are available"
    return ""

"""What Kubernetes' Pod Security Standard ``restricted`` asks of a pod, and the charts of their own accord."""

from __future__ import annotations

from hmlet.tests.test_kind.rendering import Tree, containers


def assert_restricted(owner: str, pod: Tree) -> None:
    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True, owner
    assert spec["securityContext"]["runAsUser"] > 0, owner
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, owner
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), owner
    for volume in spec["volumes"]:
        allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
        assert set(volume) - {"name"} <= allowed, owner
    for container in containers(pod):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, owner
        assert context["capabilities"] == {"drop": ["ALL"]}, owner
        assert context["readOnlyRootFilesystem"] is True, owner

"""Pods as people know them: names, and why they are not well."""

from pathlib import Path
from typing import Any

import pytest
from pl.cluster.platform import ClusterPlatform, Release
from pl.cluster_stage import pods
from pl.errors import UsageError

PLATFORM = ClusterPlatform(
    namespace="shop",
    images=(),
    secrets=(),
    releases=(
        Release(name="backend", chart=Path("chart"), app="photos"),
        Release(name="redis", chart=Path("chart")),
    ),
    inside={},
    host_names=(),
    edge="",
)


def pod(
    name: str = "backend-web-5ff85-x7k2p", *, status: dict[str, Any] | None = None, **labels: str
) -> dict[str, Any]:
    given = {"component": "web", "instance": "backend", **labels}
    return {
        "metadata": {"name": name, "labels": {f"app.kubernetes.io/{key}": value for key, value in given.items()}},
        "spec": {"containers": [{"name": "web", "image": "127.0.0.1:5000/team/hmlet-web:1a2b"}]},
        "status": status or {},
    }


def stopped(**state: Any) -> dict[str, Any]:
    return {"phase": "Pending", "containerStatuses": [{"name": "web", "image": "web:1", "state": state}]}


def test_a_pod_is_called_by_its_component_and_the_end_of_its_name() -> None:
    assert pods.short_name(pod()) == "web-x7k2p"


def test_a_pod_that_keeps_its_name_is_called_by_it() -> None:
    keeper = pod("postgresql-0", component="database")
    keeper["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = "postgresql-0"
    assert pods.short_name(keeper) == "postgresql-0"


def test_images_are_shown_without_their_registry() -> None:
    assert pods.images(pod()) == ["hmlet-web:1a2b"]


def test_pods_are_named_by_component_release_app_and_by_themselves() -> None:
    found = [pod(), pod("redis-0", component="queue", instance="redis")]
    for name in ("web", "backend", "photos", "web-x7k2p", "backend-web-5ff85-x7k2p"):
        assert pods.named(found, PLATFORM, [name]) == found[:1]
    assert pods.named(found, PLATFORM, []) == found


def test_a_release_without_pods_is_no_mistake() -> None:
    assert pods.named([pod()], PLATFORM, ["redis"]) == []


def test_a_name_that_nothing_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError) as refused:
        pods.named([pod()], PLATFORM, ["wep"])
    assert refused.value.why == "names: backend, photos, redis, web"


def test_a_ready_pod_and_one_that_did_its_work_are_well() -> None:
    ready = pod(status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
    assert pods.why_unwell(ready) == ""
    assert pods.why_unwell(pod(status={"phase": "Succeeded"})) == ""


def test_a_ready_pod_that_is_to_go_gets_no_requests() -> None:
    leaving = pod(status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T15:00:00Z"
    assert not pods.is_ready(leaving)
    assert pods.why_unwell(leaving) == "ends"


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (stopped(waiting={"reason": "ContainerCreating"}), "starts"),
        (
            stopped(waiting={"reason": "ImagePullBackOff", "message": 'Back-off pulling image "web:2"'}),
            'web: ImagePullBackOff: Back-off pulling image "web:2"',
        ),
        (stopped(waiting={"reason": "ErrImageNeverPull"}), "web: ErrImageNeverPull: web:1"),
        (stopped(terminated={"exitCode": 3, "reason": "Error"}), "web: ended with status 3"),
        (stopped(terminated={"exitCode": 137, "reason": "OOMKilled"}), "web: ended with status 137 (OOMKilled)"),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient cpu"}],
            },
            "not scheduled: 0/1 nodes: Insufficient cpu",
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on disk"}, "Evicted: low on disk"),
        ({"phase": "Running"}, "not ready"),
    ],
)
def test_a_pod_that_is_not_well_says_why(status: dict[str, Any], why: str) -> None:
    assert pods.why_unwell(pod(status=status)) == why


def test_a_container_that_crashes_again_and_again_says_how_it_ended_last() -> None:
    status = stopped(waiting={"reason": "CrashLoopBackOff"})
    status["containerStatuses"][0]["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error"}}
    assert pods.why_unwell(pod(status=status)) == "web: crashes again and again, ended with status 1"

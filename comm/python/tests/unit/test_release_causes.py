"""Why a release does not come up: each cause by its name, and nothing that was there before or may pass."""

import copy
from typing import Any

import pytest
from pl.release.causes import Symptom, symptoms
from pl.release.fields import Ref
from pl.release.snapshot import Before, Snapshot, pods_of

Object = dict[str, Any]

FAMILY = frozenset(
    Ref(group=group, kind=kind, namespace="n", name=name)
    for group, kind, name in (
        ("apps", "Deployment", "web"),
        ("apps", "StatefulSet", "db"),
        ("batch", "Job", "migrate"),
        ("", "Service", "web"),
    )
)
REPLICA_SET = {
    "metadata": {
        "name": "web-7f",
        "uid": "rs",
        "ownerReferences": [{"kind": "Deployment", "name": "web", "controller": True}],
    }
}


def pod(name: str = "web-7f-x", owner: tuple[str, str] = ("ReplicaSet", "web-7f"), **status: Any) -> Object:
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{"kind": owner[0], "name": owner[1], "controller": True}],
        },
        "spec": {},
        "status": {"phase": "Pending", "conditions": [], **status},
    }


def container(state: Object, **more: Any) -> list[Object]:
    return [{"name": "web", "image": "hmlet-web:1", "ready": False, "restartCount": 0, "state": state, **more}]


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, "message": message}}


def ended(status: int, reason: str = "Error") -> Object:
    return {"terminated": {"exitCode": status, "reason": reason}}


def event(reason: str, message: str, about: Object, *, count: int = 1, type: str = "Warning") -> Object:
    return {
        "metadata": {"uid": f"{reason}-{about.get('uid') or about.get('name')}"},
        "involvedObject": about,
        "reason": reason,
        "message": message,
        "count": count,
        "type": type,
    }


def about(obj: Object, kind: str = "Pod") -> Object:
    return {"kind": kind, "name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


def found(*pods: Object, before: Before | None = None, **parts: Any) -> list[Symptom]:
    snapshot = Snapshot(pods=pods, **{"replica_sets": (REPLICA_SET,), **parts})
    return symptoms(snapshot, FAMILY, before or Before())


def only(*pods: Object, **parts: Any) -> Symptom:
    (symptom,) = found(*pods, **parts)
    return symptom


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
def test_an_image_that_is_not_there_is_named_at_once(reason: str) -> None:
    symptom = only(pod(containerStatuses=container(waiting(reason, "manifest for hmlet-web:1 not found"))))
    assert symptom.what.startswith("ImagePullBackOff: the image hmlet-web:1 cannot be pulled")
    assert symptom.detail == "manifest for hmlet-web:1 not found"
    assert symptom.patience_s == 0


def test_a_registry_that_does_not_answer_is_given_the_time_that_a_lookup_takes() -> None:
    symptom = only(pod(containerStatuses=container(waiting("ErrImagePull", "dial tcp: i/o timeout"))))
    assert symptom.patience_s is not None
    assert 5 < symptom.patience_s < 15
    assert symptom.since == "pod uid-web-7f-x"


def test_a_first_crash_is_no_cause() -> None:
    assert only(pod(phase="Running", containerStatuses=container(ended(1)))).patience_s is None


def test_a_crash_that_repeats_is_named_with_whose_log_to_read() -> None:
    last = {"lastState": ended(3), "restartCount": 1}
    symptom = found(pod(phase="Running", containerStatuses=container(waiting("CrashLoopBackOff"), **last)))[0]
    assert symptom.what == "CrashLoop: Pod/web-7f-x, container web ends with exit status 3, and did so 2 times"
    assert (symptom.pod, symptom.container, symptom.previous) == ("web-7f-x", "web", False)
    assert symptom.patience_s == 0


def test_what_ran_out_of_memory_is_called_so() -> None:
    last = {"lastState": ended(137, "OOMKilled"), "restartCount": 2}
    symptom = found(pod(phase="Running", containerStatuses=container({"running": {}}, **last)))[0]
    assert "OOMKilled (exit status 137)" in symptom.what
    assert symptom.previous


def test_an_init_container_counts() -> None:
    assert "cannot be pulled" in only(pod(initContainerStatuses=container(waiting("InvalidImageName", "bad")))).what


def unscheduled(message: str) -> Object:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod(conditions=[condition])


def test_a_pod_that_fits_nowhere_is_named_with_the_reason() -> None:
    symptom = only(unscheduled("0/1 nodes are available: 1 Insufficient cpu."))
    assert symptom.what == "Pod/web-7f-x is unschedulable: 0/1 nodes are available: 1 Insufficient cpu."
    assert symptom.patience_s is not None


def test_a_node_that_is_on_its_way_is_waited_for() -> None:
    waits = unscheduled("0/1 nodes are available: 1 Insufficient cpu.")
    scaling = event("TriggeredScaleUp", "pod triggered scale-up", about(waits), type="Normal")
    assert only(waits, events=(scaling,)).patience_s is None


def test_a_volume_that_is_not_made_is_named_before_the_pod_that_waits_for_it() -> None:
    waits = unscheduled("pod has unbound immediate PersistentVolumeClaims")
    waits["spec"] = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
    claim = {"metadata": {"name": "data", "uid": "c"}, "status": {"phase": "Pending"}}
    said = event("ProvisioningFailed", 'storageclass "x" not found', about(claim, "PersistentVolumeClaim"))
    first = found(waits, claims=(claim,), events=(said,))[0]
    assert first.what == 'PersistentVolumeClaim/data is pending: storageclass "x" not found'


def job(*, failed: bool, uid: str = "job") -> Object:
    conditions = [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "limit"}]
    return {"metadata": {"name": "migrate", "uid": uid}, "status": {"conditions": conditions if failed else []}}


def test_a_failed_migration_is_named_with_its_log() -> None:
    tried = pod("migrate-1", ("Job", "migrate"), phase="Failed", containerStatuses=container(ended(7)))
    symptom = only(tried, jobs=(job(failed=True),))
    assert symptom.what == "Job/migrate failed: exit status 7"
    assert (symptom.pod, symptom.container) == ("migrate-1", "web")


def test_a_migration_that_is_tried_again_has_not_failed() -> None:
    tried = pod("migrate-1", ("Job", "migrate"), phase="Failed", containerStatuses=container(ended(7)))
    assert found(tried, jobs=(job(failed=False),)) == []


def test_a_migration_that_failed_in_an_earlier_deploy_is_no_cause() -> None:
    assert found(jobs=(job(failed=True),), before=Before(jobs=frozenset({"job"}))) == []


@pytest.mark.parametrize(
    ("kind", "name", "called"), [("ReplicaSet", "web-7f", "Deployment/web"), ("StatefulSet", "db", "StatefulSet/db")]
)
def test_pods_that_pod_security_refuses_are_named_by_who_wants_them(kind: str, name: str, called: str) -> None:
    message = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
    symptom = only(events=(event("FailedCreate", message, {"kind": kind, "name": name, "uid": "u"}),))
    assert symptom.what.startswith(f"{called}: Pod Security refuses its pods")
    assert "runAsNonRoot" in symptom.what
    assert symptom.patience_s == 0


def test_a_quota_may_be_free_a_moment_later() -> None:
    said = event("FailedCreate", "exceeded quota", {"kind": "ReplicaSet", "name": "web-7f", "uid": "u"})
    assert (only(events=(said,)).patience_s or 0) > 0


def test_a_missing_key_of_a_secret_is_named() -> None:
    symptom = only(pod(containerStatuses=container(waiting("CreateContainerConfigError", 'secret "s" not found'))))
    assert symptom.what.startswith('CreateContainerConfigError: secret "s" not found')


def test_a_volume_that_cannot_be_mounted_is_named() -> None:
    stuck = pod(containerStatuses=container(waiting("ContainerCreating")))
    assert (
        "cannot start: no such secret"
        in only(stuck, events=(event("FailedMount", "no such secret", about(stuck)),)).what
    )


def test_a_node_that_has_not_heard_of_a_secret_yet_is_no_cause_before_the_end() -> None:
    stuck = pod(containerStatuses=container(waiting("ContainerCreating")))
    message = (
        'MountVolume.SetUp failed for volume "s" : failed to sync secret cache: timed out waiting for the condition'
    )
    late, missing = (event("FailedMount", text, about(stuck)) for text in (message, "no such secret"))
    assert only(stuck, events=(late,)).patience_s is None
    assert {symptom.patience_s is None for symptom in found(stuck, events=(late, missing))} == {True, False}


def test_a_pod_that_never_gets_ready_is_a_cause_only_at_the_end_with_its_probe() -> None:
    slow = pod(phase="Running", containerStatuses=container({"running": {}}))
    probe = event("Unhealthy", "Readiness probe failed: HTTP 500", about(slow))
    symptom = only(slow, events=(probe,))
    assert symptom.what == "Pod/web-7f-x runs and is not ready: Readiness probe failed: HTTP 500"
    assert symptom.patience_s is None
    assert symptom.container == "web"


def test_who_is_sure_comes_before_who_is_only_not_ready() -> None:
    slow = pod(phase="Running", containerStatuses=container({"running": {}}))
    bad = pod("web-7f-y", containerStatuses=container(waiting("InvalidImageName", "bad")))
    assert "InvalidImageName" in found(slow, bad)[0].what


def test_pods_of_before_and_of_others_and_those_that_end_are_nobodys_cause() -> None:
    status: Any = {"containerStatuses": container(waiting("InvalidImageName", "bad"))}
    old, other, going = pod(**status), pod("other", ("ReplicaSet", "other-1"), **status), pod("going", **status)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    before = Before.of(Snapshot(pods=(old,)))
    assert found(old, other, going, before=before) == []
    assert pods_of(Snapshot(pods=(old, other, going), replica_sets=(REPLICA_SET,)), FAMILY, before) == []


def test_an_event_of_before_counts_only_when_it_came_again() -> None:
    message = 'violates PodSecurity "restricted:latest"'
    said = event("FailedCreate", message, {"kind": "ReplicaSet", "name": "web-7f", "uid": "u"}, count=3)
    before = Before.of(Snapshot(events=(said,)))
    assert found(events=(said,), before=before) == []
    again = copy.deepcopy(said)
    again["count"] = 4
    assert len(found(events=(again,), before=before)) == 1

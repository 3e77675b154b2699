"""What the toolkit itself keeps in a namespace: the namespace, Secrets, and the Lease of a deploy."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import Kind
from pl.cluster import lock
from pl.cluster.api import Api
from pl.cluster.namespace import ensure_namespace
from pl.cluster.platform import SecretObject
from pl.cluster.secret_objects import digests, ensure_secrets, stale_secrets
from pl.env import Secret
from pl.errors import ApiRefused, StateBusy

NAMESPACE = "objects"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{lock.NAME}"


@pytest.fixture(scope="module")
def api(kind_cluster: Kind) -> Iterator[Api]:
    ensure_namespace(kind_cluster.api, NAMESPACE)
    yield kind_cluster.api
    kind_cluster.api.delete(f"/api/v1/namespaces/{NAMESPACE}")


def test_a_namespace_is_put_right_and_otherwise_left_alone(api: Api) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}"
    assert not ensure_namespace(api, NAMESPACE)
    api.patch(path, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged", "mine": "1"}}})
    assert ensure_namespace(api, NAMESPACE)
    labels = (api.get(path) or {})["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["mine"] == "1"


def test_a_pod_that_is_not_restricted_is_refused(api: Api) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root", "namespace": NAMESPACE},
        "spec": {"containers": [{"name": "c", "image": "x", "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(ApiRefused, match="403") as caught:
        api.create(f"/api/v1/namespaces/{NAMESPACE}/pods", pod)
    assert "PodSecurity" in caught.value.message


def test_secrets_are_written_when_they_differ_and_go_when_they_are_not_wanted(api: Api, tmp_path: Path) -> None:
    password = Secret(tmp_path / "password")
    password.path.write_text("hunter2")
    one = SecretObject(name="one", keys={"password": password, "user": "me"})
    two = SecretObject(name="two", keys={"a": "b"})
    foreign = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "foreign"}, "data": {}}
    api.create(SECRETS, foreign)
    assert set(ensure_secrets(api, NAMESPACE, (one, two))) == {"one", "two"}
    version = (api.get(f"{SECRETS}/one") or {})["metadata"]["resourceVersion"]
    assert ensure_secrets(api, NAMESPACE, (one, two)) == ()
    before = digests((one, two))
    password.path.write_text("hunter3")
    assert digests((one, two))["one"] != before["one"]
    assert digests((one, two))["two"] == before["two"]
    assert stale_secrets(api, NAMESPACE, (one,)) == ("one", "two")
    assert (api.get(f"{SECRETS}/one") or {})["metadata"]["resourceVersion"] == version
    assert ensure_secrets(api, NAMESPACE, (one,)) == ("one", "two")
    assert api.get(f"{SECRETS}/two") is None
    assert api.get(f"{SECRETS}/foreign") is not None
    assert "hunter" not in str(before)


def test_a_second_deploy_waits_and_is_told_for_whom(api: Api) -> None:
    said: list[str] = []
    order: list[str] = []
    waits = threading.Event()

    def second() -> None:
        with lock.held(api, NAMESPACE, say=lambda text: (said.append(text), waits.set())[0], holder="second"):
            order.append("second")

    thread = threading.Thread(target=second)
    with lock.held(api, NAMESPACE, say=said.append, holder="first") as ours:
        thread.start()
        assert waits.wait(20)
        assert ours()
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]
    assert "first" in said[0]
    assert not (api.get(LEASE) or {})["spec"].get("holderIdentity")


def test_a_deploy_that_waited_too_long_says_who_holds_it(api: Api) -> None:
    with (
        lock.held(api, NAMESPACE, say=lambda _: None, holder="somebody@elsewhere"),
        pytest.raises(StateBusy, match="somebody@elsewhere"),
        lock.held(api, NAMESPACE, say=lambda _: None, wait_s=0.1),
    ):
        raise AssertionError


def test_a_lease_whose_holder_died_is_taken_over(api: Api) -> None:
    with lock.held(api, NAMESPACE, say=lambda _: None, holder="dead"):
        kept = api.get(LEASE)
    assert kept
    spec = {"holderIdentity": "dead", "leaseDurationSeconds": 1, "renewTime": "2020-01-01T00:00:00.000000Z"}
    api.patch(LEASE, {"spec": spec})
    began = time.monotonic()
    with lock.held(api, NAMESPACE, say=lambda _: None, holder="next"):
        assert (api.get(LEASE) or {})["spec"]["holderIdentity"] == "next"
    assert time.monotonic() - began < 10

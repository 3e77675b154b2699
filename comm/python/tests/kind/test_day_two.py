"""Day two in a cluster: what there is, what it says, commands and ports inside, tests in a pod, skaffold dev."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clusters import CHECKOUT, Kind, eventually
from pl.cluster.api import Api
from pl.cluster.platform import ClusterPlatform, Inside, Release
from pl.cluster_stage import pods
from pl.cluster_stage.in_cluster_tests import run_suite
from pl.cluster_stage.inside import run_inside, terminal
from pl.cluster_stage.kubectl import Kubectl
from pl.cluster_stage.logs import merged
from pl.cluster_stage.status import cluster_status
from pl.errors import CommandFailed, PodFailed, StageDown, UsageError
from pl.stage import LogLine
from pl.tools.install import program

BASE = "valkey/valkey:8.1"
COUNTS = 'i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.2; done & trap "exit 0" TERM; wait'
SERVES = 'exec valkey-server --port 8000 --bind 0.0.0.0 --save "" --protected-mode no'
CONFINED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
FORWARDS = """
import sys
from pathlib import Path
from pl.cluster.api import Api
from pl.cluster_stage.forward import forward
from pl.cluster_stage.kubectl import Kubectl
program, kubeconfig, namespace, *words = sys.argv[1:]
kubectl = Kubectl(program=Path(program), kubeconfig=Path(kubeconfig), namespace=namespace)
forward(kubectl, Api.of(Path(kubeconfig)), words[0], words[1:], say=lambda text: print(text, flush=True))
"""


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A namespace that enforces what ours do, and workloads in it."""

    api: Api
    namespace: str
    image: str
    kubectl: Kubectl

    @property
    def platform(self) -> ClusterPlatform:
        return ClusterPlatform(
            namespace=self.namespace,
            images=(),
            secrets=(),
            releases=(Release(name="backend", chart=Path("chart"), app="photos"),),
            inside={},
            host_names=(),
            edge="",
        )

    def run(self, name: str, command: str, *, image: str = "", replicas: int = 1) -> Inside:
        """A Deployment of the release ``backend`` whose component is ``name``, with a Service on port 8000."""
        labels = {pods.COMPONENT: name, pods.RELEASE: "backend"}
        container = {
            "name": "main",
            "image": image or self.image,
            "command": ["sh", "-c", command],
            "ports": [{"name": "http", "containerPort": 8000}],
            "securityContext": CONFINED,
        }
        spec = {
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        }
        self._make(
            "apps/v1",
            "Deployment",
            f"backend-{name}",
            labels,
            {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        )
        ports = [{"name": "http", "port": 8000, "targetPort": "http"}]
        self._make("v1", "Service", f"backend-{name}", labels, {"selector": labels, "ports": ports})
        return Inside(workload=f"deployment/backend-{name}", container="main")

    def pods(self, name: str) -> list[dict[str, Any]]:
        return pods.list_pods(self.api, self.namespace, labels=f"{pods.COMPONENT}={name}")

    def ready(self, name: str, count: int = 1) -> bool:
        return eventually(lambda: len([pod for pod in self.pods(name) if pods.is_ready(pod)]) == count)

    def delete(self, pod: dict[str, Any]) -> None:
        self.api.delete(f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}")

    def _make(self, version: str, kind: str, name: str, labels: dict[str, str], spec: dict[str, Any]) -> None:
        metadata = {"name": name, "namespace": self.namespace, "labels": labels}
        obj = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
        self.api.apply(self.api.path_of(obj), obj, manager="tests")


@pytest.fixture
def shop(kind_cluster: Kind, shell_image: str, request: pytest.FixtureRequest) -> Iterator[Shop]:
    api = kind_cluster.api
    namespace = f"shop-{abs(hash(request.node.name)) % 10**6}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.create(
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}},
    )
    kubectl = Kubectl(program=program(CHECKOUT, "kubectl"), kubeconfig=kind_cluster.kubeconfig, namespace=namespace)
    yield Shop(api=api, namespace=namespace, image=shell_image, kubectl=kubectl)
    api.delete(f"/api/v1/namespaces/{namespace}")


@pytest.fixture(scope="session")
def shell_image(kind_cluster: Kind, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image that runs the shell command that it is given, in the registry of the cluster."""
    reference = f"{kind_cluster.registry}/shell:1"
    folder = tmp_path_factory.mktemp("shell")
    text = f'FROM {BASE}\nUSER 10001:10001\nENTRYPOINT ["sh", "-c"]\nCMD ["exit 0"]\n'
    (folder / "Dockerfile").write_text(text, encoding="utf-8")
    for words in (("build", "--quiet", "--tag", reference, str(folder)), ("push", "--quiet", reference)):
        subprocess.run(["docker", *words], check=True, capture_output=True)
    return reference


# -- status


def _answering(shop: Shop) -> list[int]:
    facts = json.loads(json.dumps(cluster_status(shop.api, shop.platform).facts))
    return [endpoint["ready"] for endpoint in facts["endpoints"]]


def test_status_is_healthy_only_when_releases_are_deployed_and_names_what_is_not(shop: Shop) -> None:
    shop.run("web", COUNTS, replicas=2)
    assert shop.ready("web", 2)
    # Who answers is written down a moment after who is ready.
    assert eventually(lambda: _answering(shop) == [2])
    status = cluster_status(shop.api, shop.platform)
    assert not status.healthy
    facts = json.loads(json.dumps(status.facts))
    assert facts["releases"] == [{"name": "backend", "status": "not installed", "healthy": False}]
    (workload,) = facts["workloads"]
    assert (workload["name"], workload["ready"], workload["healthy"]) == ("deployment/backend-web", 2, True)
    (endpoint,) = facts["endpoints"]
    assert (endpoint["name"], endpoint["ready"]) == ("backend-web", 2)


def test_status_names_an_image_that_cannot_be_had(shop: Shop) -> None:
    shop.run("web", COUNTS, image=f"{shop.image}-nowhere")
    assert eventually(lambda: "nowhere" in json.dumps(cluster_status(shop.api, shop.platform).facts["pods"]))
    (pod,) = json.loads(json.dumps(cluster_status(shop.api, shop.platform).facts["pods"]))
    assert eventually(lambda: "Pull" in pods.why_unwell(shop.pods("web")[0])), pod


def test_status_names_what_keeps_pods_from_being_made(shop: Shop) -> None:
    shop.run("web", COUNTS)
    path = shop.api.path_of(("apps/v1", "Deployment"), namespace=shop.namespace, name="backend-web")
    shop.api.patch(path, {"spec": {"template": {"spec": {"securityContext": {"runAsNonRoot": None}}}}})

    def remark() -> str:
        (workload,) = json.loads(json.dumps(cluster_status(shop.api, shop.platform).facts["workloads"]))
        return str(workload["why"])

    assert eventually(lambda: "PodSecurity" in remark()), remark()


# -- logs


def numbers(lines: list[LogLine], source: str) -> list[int]:
    return [int(line.text.split()[1]) for line in lines if line.source == source]


def test_past_lines_of_all_pods_come_in_the_order_of_their_times(shop: Shop) -> None:
    shop.run("web", COUNTS, replicas=2)
    shop.run("worker", COUNTS)
    assert shop.ready("web", 2)
    assert shop.ready("worker")
    assert eventually(lambda: len(list(merged(shop.api, shop.platform, ["web"], lines=4, follow=False))) == 8)
    lines = list(merged(shop.api, shop.platform, ["web"], lines=4, follow=False))
    assert {line.source for line in lines} == {pods.short_name(pod) for pod in shop.pods("web")}
    for source in {line.source for line in lines}:
        counted = numbers(lines, source)
        assert counted == list(range(counted[0], counted[0] + 4))


def test_a_wrong_name_is_refused_before_anything_is_read(shop: Shop) -> None:
    with pytest.raises(UsageError, match="wep"):
        merged(shop.api, shop.platform, ["wep"], lines=1, follow=False)


class Following:
    """Reads in a thread, so that a test can wait for what it reads."""

    def __init__(self, shop: Shop) -> None:
        self.lines: list[LogLine] = []
        self._over = threading.Event()
        self._stream = merged(shop.api, shop.platform, ["photos"], lines=1, follow=True)
        self._failed: queue.Queue[BaseException] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._stream:
            self.lines.append(line)
            if self._over.is_set():
                return

    def end(self) -> None:
        self._over.set()

    def has_read(self, source: str, count: int) -> bool:
        return eventually(lambda: len(numbers(self.lines, source)) >= count)


def test_following_goes_on_over_restarts_and_new_pods_and_repeats_nothing(shop: Shop) -> None:
    inside = shop.run("web", COUNTS)
    assert shop.ready("web")
    (first,) = shop.pods("web")
    following = Following(shop)
    name = pods.short_name(first)
    assert following.has_read(name, 5)

    run_inside(shop.kubectl, shop.api, inside, ["sh", "-c", "kill -TERM 1"])
    assert eventually(lambda: numbers(following.lines, name)[-1:] == [1] or 1 in numbers(following.lines, name)[5:])
    assert following.has_read(name, len(numbers(following.lines, name)) + 5)
    counted = numbers(following.lines, name)
    began = counted.index(1, 1)
    assert counted[began:] == list(range(1, len(counted) - began + 1))
    assert counted[:began] == list(range(counted[0], counted[0] + began))

    shop.delete(first)
    assert eventually(lambda: any(line.source != name for line in following.lines))
    second = next(line.source for line in following.lines if line.source != name)
    assert following.has_read(second, 5)
    counted = numbers(following.lines, second)
    assert counted == list(range(1, len(counted) + 1))
    following.end()


# -- inside


def test_a_command_inside_gets_input_and_gives_its_output(shop: Shop) -> None:
    inside = shop.run("web", COUNTS)
    assert shop.ready("web")
    said = run_inside(shop.kubectl, shop.api, inside, ["sh", "-c", "cat; id -u"], input="given\n")
    assert said == "given\n10001\n"


def test_a_command_inside_that_fails_is_told_with_its_own_words(shop: Shop) -> None:
    inside = shop.run("web", COUNTS)
    assert shop.ready("web")
    with pytest.raises(CommandFailed) as failed:
        run_inside(shop.kubectl, shop.api, inside, ["sh", "-c", "echo no such thing >&2; exit 3"])
    assert (failed.value.status, failed.value.output) == (3, "no such thing")


def test_a_command_on_the_terminal_passes_its_status_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = shop.run("web", COUNTS)
    assert shop.ready("web")
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert terminal(shop.kubectl, shop.api, inside, ["sh", "-c", "exit 7"]) == 7


def test_without_a_ready_pod_the_reason_is_told(shop: Shop) -> None:
    inside = shop.run("web", "echo no database; exit 1")
    assert eventually(lambda: any(pods.restarts(pod) for pod in shop.pods("web")))
    with pytest.raises(StageDown) as down:
        run_inside(shop.kubectl, shop.api, inside, ["true"])
    assert "ended with status 1" in down.value.why


# -- forward


def test_a_forwarded_port_goes_on_to_the_pod_that_replaces_the_first(shop: Shop) -> None:
    shop.run("web", SERVES)
    assert shop.ready("web")
    (first,) = shop.pods("web")
    argv = [sys.executable, "-c", FORWARDS, str(shop.kubectl.program), str(shop.kubectl.kubeconfig), shop.namespace]
    with subprocess.Popen([*argv, "web"], stdout=subprocess.PIPE, text=True, start_new_session=True) as forwarding:
        try:
            assert forwarding.stdout is not None
            address = forwarding.stdout.readline().split()[0]
            port = int(address.rpartition(":")[2])
            assert eventually(lambda: answers(port))
            shop.delete(first)
            assert "goes on" in forwarding.stdout.readline() or "goes on" in forwarding.stdout.readline()
            assert eventually(lambda: answers(port))
        finally:
            forwarding.send_signal(signal.SIGINT)
    assert not answers(port)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


# -- tests in a pod


def in_pod(shop: Shop, command: str, *, image: str = "") -> tuple[int, list[str]]:
    lines: list[str] = []
    status = run_suite(shop.api, shop.namespace, "photos", image or shop.image, [command], on_line=lines.append)
    return status, lines


def test_a_suite_in_a_pod_is_heard_and_its_status_passed_on(shop: Shop) -> None:
    status, lines = in_pod(shop, "for i in 1 2 3; do echo test $i; sleep 0.5; done; id -u; touch /tmp/x; exit 3")
    assert status == 3
    assert lines == ["test 1", "test 2", "test 3", "10001"]
    assert eventually(lambda: not shop.pods("tests"))


def test_a_suite_whose_image_cannot_be_had_says_so_and_leaves_no_pod(shop: Shop) -> None:
    with pytest.raises(PodFailed) as failed:
        in_pod(shop, "exit 0", image=f"{shop.image}-nowhere")
    assert "nowhere" in failed.value.why
    assert eventually(lambda: not shop.pods("tests"))


def test_a_suite_that_is_killed_for_its_memory_did_not_pass(shop: Shop) -> None:
    with pytest.raises(PodFailed) as failed:
        in_pod(shop, "tail /dev/zero; exit 0")
    assert "OOMKilled" in failed.value.why


# -- skaffold dev

TOY_SERVER = """
import signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(Path("views/answer.txt").read_bytes())

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
HTTPServer(("", 8000), Answer).serve_forever()
"""
TOY_DOCKERFILE = """
FROM python:3.11-slim-bookworm
WORKDIR /srv/toy
ARG SOURCE_OWNER=0
COPY --chown=$SOURCE_OWNER . .
USER 10001:10001
CMD ["python", "-u", "server.py"]
"""
TOY_WORKLOAD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: toy}
spec:
  selector: {matchLabels: {app: toy}}
  template:
    metadata: {labels: {app: toy}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: toy
          image: {{ .Values.image }}
          readinessProbe: {httpGet: {path: /, port: 8000}, periodSeconds: 1}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: {{ not .Values.development }}
            capabilities: {drop: [ALL]}
"""
DEVELOPS = """
import sys
from pathlib import Path
from pl.cluster.api import Api
from pl.cluster.platform import ClusterPlatform, Development, Image, Release
from pl.cluster_stage.develop import Bench, develop
checkout, toy, kubeconfig, registry, namespace = sys.argv[1:]
toy = Path(toy)
platform = ClusterPlatform(
    namespace=namespace, secrets=(), inside={}, host_names=(), edge="",
    images=(Image(name="toy", context=toy / "flesh"),),
    releases=(
        Release(
            name="toy", chart=toy / "chart", app="toy", images={"image": "toy"}, development={"development": True}
        ),
    ),
    development={
        "toy": Development(folder="/srv/toy", files=("views/*.txt",), arguments={"SOURCE_OWNER": "10001"})
    },
)
bench = Bench(
    checkout=Path(checkout), access=Api.of(Path(kubeconfig)).access, registry=registry, folder=toy / "bench"
)
sys.exit(develop(bench, platform, "toy", references={"toy": "unused"}, digests={}))
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    for name, text in {
        "flesh/server.py": TOY_SERVER,
        "flesh/Dockerfile": TOY_DOCKERFILE,
        "flesh/views/answer.txt": "one",
        "chart/Chart.yaml": "{apiVersion: v2, name: toy, version: 1.0.0}",
        "chart/values.yaml": '{image: "", development: false}',
        "chart/templates/toy.yaml": TOY_WORKLOAD,
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_a_file_that_is_saved_is_served_without_a_new_pod_and_ctrl_c_ends_it(
    kind_cluster: Kind, shop: Shop, toy: Path
) -> None:
    inside = Inside(workload="deployment/toy", container="toy")
    arguments = [str(CHECKOUT), str(toy), str(kind_cluster.kubeconfig), kind_cluster.registry, shop.namespace]
    log = toy / "log"
    ask = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8000').read().decode(), end='')"
    with log.open("w") as sink:
        working = subprocess.Popen(
            [sys.executable, "-c", DEVELOPS, *arguments], stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        watches = eventually(lambda: "Watching for changes" in log.read_text(), within_s=180)
        assert watches, log.read_text()
        before = pods.list_pods(shop.api, shop.namespace, labels="app=toy")
        (toy / "flesh/views/answer.txt").write_text("two", encoding="utf-8")
        served = eventually(lambda: run_inside(shop.kubectl, shop.api, inside, ["python", "-c", ask]) == "two")
        assert served, log.read_text()
        after = pods.list_pods(shop.api, shop.namespace, labels="app=toy")
        assert [pod["metadata"]["uid"] for pod in after] == [pod["metadata"]["uid"] for pod in before]
    finally:
        os.killpg(working.pid, signal.SIGINT)
        working.wait(60)
    assert pods.list_pods(shop.api, shop.namespace, labels="app=toy"), "what was worked on is left for a deploy"

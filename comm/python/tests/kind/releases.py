"""A place to try releases in: a namespace of a real cluster, the chart ``serve``, and eyes for all that is written."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pl.cluster.api import Api, Object
from pl.cluster.connections import Connections, Request
from pl.cluster.platform import ClusterPlatform, Release
from pl.errors import PlError
from pl.release.apply import apply
from pl.release.deployed import History, histories
from pl.release.helm import Helm
from pl.release.plan import Plan, plan
from pl.release.target import Target

SERVE = Path(__file__).parent / "charts/serve"
PYTHON_PATH = Path(__file__).resolve().parents[2]
TIMEOUT_S = 90.0
IMAGES = ("nginxinc/nginx-unprivileged:1.26", "valkey/valkey:8.1")

_WRITTEN = (
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("v1", "Secret"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
)


@dataclass
class Told:
    """A progress that remembers."""

    done_: dict[str, str] = field(default_factory=dict)
    failures: dict[str, PlError] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)

    def started(self, name: str) -> None:
        self.begun.append(name)

    def done(self, name: str, remark: str, duration_s: float) -> None:
        self.done_[name] = remark

    def failed(self, name: str, error: PlError) -> None:
        self.failures[name] = error


@dataclass(frozen=True, kw_only=True)
class Place:
    """One namespace, with a state of its own."""

    kubeconfig: Path
    helm: Path
    namespace: str
    folder: Path
    registry: str
    api: Api

    @classmethod
    def made(cls, kubeconfig: Path, helm: Path, folder: Path, *, registry: str) -> Place:
        """In a namespace of its own, which goes when the place is left."""
        api, namespace = Api.of(kubeconfig), f"t-{uuid.uuid4().hex[:8]}"
        api.create("/api/v1/namespaces", dict(confined(namespace)))
        return cls(kubeconfig=kubeconfig, helm=helm, namespace=namespace, folder=folder, registry=registry, api=api)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.api.delete(f"/api/v1/namespaces/{self.namespace}")

    @property
    def broken_image(self) -> str:
        """One that its registry, which is there, does not have."""
        return f"{self.registry}/no-such-image:no-such-tag"

    def target(self) -> Target:
        helm = Helm(
            program=self.helm,
            version="4.3.1",
            kubeconfig=self.kubeconfig,
            namespace=self.namespace,
            home=self.folder / "helm",
        )
        return Target(api=self.api, helm=helm, kube_version="1.34.10", folder=self.folder)

    def plan(self, *releases: Release, **options: Any) -> Plan:
        return plan(platform(*releases), self.target(), references={}, digests={}, **options)

    def deploy(self, *releases: Release, timeout_s: float = TIMEOUT_S, **options: Any) -> Told:
        told = Told()
        apply(self.plan(*releases, **options), self.target(), told, timeout_s=timeout_s)
        return told

    def history(self, release: str) -> History | None:
        return histories(self.api, self.namespace, release).get(release)

    def statuses(self, release: str) -> list[str]:
        history = self.history(release)
        return [revision.status for revision in history.revisions] if history else []

    def path(self, kind: str, name: str, api_version: str = "v1") -> str:
        return self.api.path_of((api_version, kind), namespace=self.namespace, name=name)

    def deployment(self, name: str) -> str:
        return self.path("Deployment", name, "apps/v1")

    def there(self, path: str) -> Object:
        found = self.api.get(path)
        assert found is not None, path
        return found

    def pods(self) -> dict[str, str]:
        """Names and uids of those that do not end."""
        found, _ = self.api.list(self.path("Pod", ""))
        return {
            pod["metadata"]["name"]: pod["metadata"]["uid"]
            for pod in found
            if not pod["metadata"].get("deletionTimestamp")
        }

    def written(self) -> dict[str, str]:
        """By object, what moves when somebody writes it, and not when a controller only tells its status."""
        return {
            name: f"{metadata['uid']} {metadata.get('generation') or metadata['resourceVersion']}"
            for name, metadata in self._metadata()
        }

    def versions(self) -> dict[str, str]:
        """By object, what moves with any write at all."""
        return {name: metadata["resourceVersion"] for name, metadata in self._metadata()}

    def _metadata(self) -> Iterator[tuple[str, Object]]:
        for api_version, kind in _WRITTEN:
            for obj in self.api.list(self.path(kind, "", api_version))[0]:
                # The cluster's own, put into every namespace some time after it was made.
                if obj["metadata"]["name"] != "kube-root-ca.crt":
                    yield f"{kind}/{obj['metadata']['name']}", obj["metadata"]

    @contextmanager
    def polled(self, service: str) -> Iterator[list[str]]:
        """A client that asks a Service all the time, and the list of what was wrong with the answers."""
        target = f"/api/v1/namespaces/{self.namespace}/services/{service}:http/proxy/"
        connections = Connections(self.api.access)
        wrong: list[str] = []
        over = threading.Event()
        answers = 0

        def ask() -> None:
            nonlocal answers
            while not over.wait(0.02):
                try:
                    answer = connections.send(Request(method="GET", target=target, accept="*/*"))
                except PlError as error:
                    wrong.append(str(error))
                else:
                    answers += 1
                    if answer.status != 200:
                        wrong.append(f"{answer.status} {answer.body[:200]!r}")

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield wrong
        finally:
            over.set()
            thread.join()
        assert answers > 10

    @contextmanager
    def deploying(
        self, *releases: Release, timeout_s: float = TIMEOUT_S, locks: bool = False
    ) -> Iterator[subprocess.Popen[str]]:
        """A deploy in a process of its own, to be killed or interrupted. Its output ends with the error, if any.

        It ``locks`` the namespace as a stage does. One that is killed leaves that to run out, which tests do not await.
        """
        spec = {
            "kubeconfig": str(self.kubeconfig),
            "helm": str(self.helm),
            "namespace": self.namespace,
            "folder": str(self.folder),
            "registry": self.registry,
            "timeout_s": timeout_s,
            "locks": locks,
            "releases": [
                {"name": one.name, "needs": list(one.needs), "settings": dict(one.settings)} for one in releases
            ],
        }
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("deploying.py")), json.dumps(spec)],
            env={"PYTHONPATH": str(PYTHON_PATH), "PATH": "/usr/bin:/bin", "HOME": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def until(
        self, condition: Callable[[], object], what: str, *, within_s: float = 60.0, every_s: float = 0.05
    ) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"never came: {what}"
            time.sleep(every_s)


def serve(name: str = "web", *, needs: Sequence[str] = (), **values: object) -> Release:
    return Release(name=name, chart=SERVE, settings=values, needs=tuple(needs))


def platform(*releases: Release) -> ClusterPlatform:
    """What belongs to the stage, and not to its releases, is not looked at by plans."""
    whole = ClusterPlatform.__new__(ClusterPlatform)
    object.__setattr__(whole, "releases", releases)
    object.__setattr__(whole, "images", ())
    return whole


def confined(name: str) -> Mapping[str, Any]:
    """A namespace as all of the platform's are."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}

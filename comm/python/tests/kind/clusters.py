"""Throw-away stages with kind clusters, for the tests of this folder."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pl.cluster.api import Api
from pl.cluster.kind import KindCluster
from pl.cluster_env import KindEnv
from pl.env import load
from pl.errors import PlError

CHECKOUT = Path(__file__).parents[4]
PROJECT = "sample"

ENV = """
from pl.cluster_env import KindEnv
from pl.env import Port, Secret, chosen_port, generated_secret


class SampleEnv(KindEnv):
    code = "sa"
    emoji = "🧪"
    namespace = "sample"
    web_port: Port = chosen_port()
    password: Secret = generated_secret()
"""
KIND_CONFIG = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
  - role: control-plane
    extraPortMappings:
      - containerPort: 30080
        hostPort: ${PL_WEB_PORT}
        listenAddress: 127.0.0.1
"""


class Quiet:
    """Progress that nobody watches."""

    def started(self, name: str) -> None: ...
    def done(self, name: str, remark: str, duration_s: float) -> None: ...
    def failed(self, name: str, error: PlError) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """A project with stages, in an instance and a state of this run alone."""

    checkout: Path
    instance: str

    def of(self, stage: str, said: list[str] | None = None) -> KindCluster:
        env = load(self.checkout, project=PROJECT, stage=stage, instance=self.instance)
        assert isinstance(env, KindEnv)
        return KindCluster(env, (said if said is not None else []).append)

    @contextlib.contextmanager
    def destroyed_after(self, stage: str) -> Iterator[KindCluster]:
        try:
            yield self.of(stage)
        finally:
            self.of(stage).destroy()


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The cluster of the run."""

    cluster: KindCluster
    api: Api
    clusters: Clusters
    stage: str = "local"

    @property
    def env(self) -> KindEnv:
        """As it is now: a test may have moved the registry to another port."""
        return self.clusters.of(self.stage).env

    @property
    def kubeconfig(self) -> Path:
        return self.cluster.state.kubeconfig

    @property
    def registry(self) -> str:
        """Where images are pushed to, and pulled from by pods: HOST:PORT."""
        return self.env.registry


def eventually(true: Callable[[], bool], *, within_s: float = 60.0) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True

"""One kind cluster for all tests of this folder, made and destroyed by the toolkit itself in a state of its own."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pl.cluster.api import Api
from pl.cluster.kind import KindCluster
from pl.cluster_env import KindEnv
from pl.env import load
from pl.errors import PlError

CHECKOUT = Path(__file__).parents[4]
PROJECT = "sample"

_ENV = """
from pl.cluster_env import KindEnv
from pl.env import Port, Secret, chosen_port, generated_secret


class SampleEnv(KindEnv):
    code = "sa"
    emoji = "🧪"
    namespace = "sample"
    web_port: Port = chosen_port()
    password: Secret = generated_secret()
"""
_KIND = """\
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
    env: KindEnv

    @property
    def kubeconfig(self) -> Path:
        return self.cluster.state.kubeconfig

    @property
    def registry(self) -> str:
        """Where images are pushed to, and pulled from by pods: HOST:PORT."""
        return self.env.registry


@pytest.fixture(scope="session")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    """A checkout with a project of two kind stages, ``local`` and ``test``, with the tools of the real one."""
    _sweep()
    checkout = tmp_path_factory.mktemp("checkout")
    for shared in (".deps", "comm"):
        (checkout / shared).symlink_to(CHECKOUT / shared)
    for stage in ("local", "test"):
        folder = checkout / PROJECT / "envs" / stage
        folder.mkdir(parents=True)
        (folder / "kind.yaml").write_text(_KIND, encoding="utf-8")
        (checkout / PROJECT / f"env_{stage}.py").write_text(_ENV, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patched.delenv("KUBECONFIG", raising=False)
        yield Clusters(checkout=checkout, instance=f"t{os.getpid()}")


@pytest.fixture(scope="session")
def kind_cluster(clusters: Clusters) -> Iterator[Kind]:
    """A cluster with its registry. Tests use namespaces of their own in it, and leave it running."""
    with clusters.destroyed_after("local") as cluster:
        cluster.bootstrap(Quiet())
        yield Kind(cluster=cluster, api=cluster.connect(), env=cluster.env)


def _sweep() -> None:
    """Remove what a run left that was killed: its process id is in every name."""
    pattern = re.compile(rf"{PROJECT}-(?:local|test)-t(\d+)(?:-(?:control-plane|registry))?")
    for thing, listing, removal in (
        ("container", ("ps", "-a", "--format", "{{.Names}}"), ("rm", "-f", "-v")),
        ("volume", ("volume", "ls", "--format", "{{.Name}}"), ("volume", "rm")),
        ("network", ("network", "ls", "--format", "{{.Name}}"), ("network", "rm")),
    ):
        names = subprocess.run(["docker", *listing], check=True, capture_output=True, text=True).stdout.split()
        for name in names:
            match = pattern.fullmatch(name)
            if match and not Path("/proc", match[1]).exists():
                print(f"removing the {thing} {name}, which a killed run left")  # noqa: T201
                subprocess.run(["docker", *removal, name], check=True, capture_output=True)

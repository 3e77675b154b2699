"""One kind cluster for all tests of this folder, made and destroyed by the toolkit itself in a state of its own."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clusters import CHECKOUT, ENV, KIND_CONFIG, PROJECT, Clusters, Kind, Quiet
from pl.tools.install import program
from releases import IMAGES, Place


@pytest.fixture(scope="session")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    """A checkout with a project of three kind stages, with the tools of the real one."""
    _sweep()
    checkout = tmp_path_factory.mktemp("checkout")
    for shared in (".deps", "comm"):
        (checkout / shared).symlink_to(CHECKOUT / shared)
    for stage in ("local", "test", "remote"):
        folder = checkout / PROJECT / "envs" / stage
        folder.mkdir(parents=True)
        (folder / "kind.yaml").write_text(KIND_CONFIG, encoding="utf-8")
        (checkout / PROJECT / f"env_{stage}.py").write_text(ENV, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patched.delenv("KUBECONFIG", raising=False)
        yield Clusters(checkout=checkout, instance=f"t{os.getpid()}")


@pytest.fixture(scope="session")
def kind_cluster(clusters: Clusters) -> Iterator[Kind]:
    """A cluster with its registry. Tests use namespaces of their own in it, and leave it running."""
    with clusters.destroyed_after("local") as cluster:
        cluster.bootstrap(Quiet())
        yield Kind(cluster=cluster, api=cluster.connect(), clusters=clusters)


@pytest.fixture(scope="session")
def places(kind_cluster: Kind) -> Callable[[Path], Place]:
    """Makes a place to try releases in, whose state is a folder: a namespace, with the images of ``serve`` at hand."""
    kind, helm = (program(CHECKOUT, name) for name in ("kind", "helm"))
    load: list[str | Path] = [kind, "load", "docker-image", "--name", kind_cluster.env.cluster, *IMAGES]
    subprocess.run(
        load, check=True, capture_output=True, env={**os.environ, "KUBECONFIG": str(kind_cluster.kubeconfig)}
    )
    return lambda folder: Place.made(kind_cluster.kubeconfig, helm, folder, registry=kind_cluster.registry)


@pytest.fixture(scope="module")
def module_place(places: Callable[[Path], Place], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with places(tmp_path_factory.mktemp("state")) as place:
        yield place


@pytest.fixture
def function_place(places: Callable[[Path], Place], tmp_path: Path) -> Iterator[Place]:
    with places(tmp_path / "state") as place:
        yield place


def _sweep() -> None:
    """Remove what a run left that was killed: its process id is in every name."""
    pattern = re.compile(rf"{PROJECT}-(?:local|test|remote|booting)-t(\d+)(?:-(?:control-plane|registry))?")
    for listing, removal in (
        ("ps -a --format {{.Names}}", "rm -f -v"),
        ("volume ls --format {{.Name}}", "volume rm"),
        ("network ls --format {{.Name}}", "network rm"),
    ):
        listed = subprocess.run(["docker", *listing.split()], check=True, capture_output=True, text=True)
        for name in listed.stdout.split():
            match = pattern.fullmatch(name)
            if match and not Path("/proc", match[1]).exists():
                subprocess.run(["docker", *removal.split(), name], check=True, capture_output=True)

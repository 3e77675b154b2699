"""The releases of each cluster stage as the toolkit renders them: no cluster, but helm itself."""

from __future__ import annotations

import copy
import functools
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pl.cluster.platform import Release
from pl.env import load
from pl.errors import ReleaseInvalid
from pl.release.helm import Helm, values_text
from pl.release.manifest import Manifest
from pl.release.render import Renderer
from pl.release.values import Values, merged
from pl.tools.install import known, program

from hmlet.env_comm import HmletClusterEnv
from hmlet.in_cluster import platform

CHECKOUT = Path(__file__).resolve().parents[3]
STAGES = ("test", "local", "stage", "prod")
RELEASES = ("postgresql", "redis", "minio", "backend", "frontend")
KUBE_VERSION = "1.34.0"
Tree = dict[str, Any]


@functools.cache
def releases(stage: str, *, installed: tuple[str, ...] = RELEASES[:3]) -> Mapping[str, Release]:
    """What the stage's platform is made of, by name. No secret is read: only names of Secrets stand in a release."""
    env = load(CHECKOUT, project="hmlet", stage=stage, instance="charts")
    assert isinstance(env, HmletClusterEnv)
    # A field of the class, as env_STAGE.py would set it.
    object.__setattr__(env, "installed", installed)
    object.__setattr__(env, "backup_recipients", ("age1examplerecipient",))
    return {release.name: release for release in platform(env).releases}


def values(release: Release, changes: Mapping[str, Any] | None = None) -> Values:
    """The release's values, with ``changes`` (by paths with dots) laid over them."""
    names = {*release.images.values(), *release.secrets.values()}
    whole = merged(release, references={}, digests={name: f"digest of {name}" for name in names})
    tree = copy.deepcopy(whole.tree)
    for path, value in (changes or {}).items():
        put(tree, path, value)
    return Values(tree=tree, origins=(("this test", tree),))


def put(tree: Tree, path: str, value: object) -> None:
    *above, last = path.split(".")
    for key in above:
        tree = tree.setdefault(key, {})
    tree[last] = value


def _helm(home: Path) -> Helm:
    return Helm(
        program=program(CHECKOUT, "helm"),
        version=known(CHECKOUT)["helm"].version,
        kubeconfig=home / "none",
        namespace="hmlet",
        home=home,
    )


def rendered(stage: str, name: str, changes: Mapping[str, Any] | None = None, **how: Any) -> Manifest:
    """Raises ReleaseInvalid."""
    return rendered_release(releases(stage, **how)[name], changes)


def rendered_release(release: Release, changes: Mapping[str, Any] | None = None) -> Manifest:
    """Raises ReleaseInvalid."""
    with tempfile.TemporaryDirectory() as folder:
        renderer = Renderer(_helm(Path(folder)), Path(folder) / "kept", kube_version=KUBE_VERSION)
        return renderer.render(release, values(release, changes), is_upgrade=False)


@functools.cache
def rendered_once(stage: str, name: str) -> tuple[Tree, ...]:
    """All objects, hooks among them, of a release as it is. Not to be changed."""
    manifest = rendered(stage, name)
    return (*manifest.objects, *manifest.hooks)


def rendered_text(stage: str, name: str) -> str:
    """What helm itself prints."""
    release = releases(stage)[name]
    with tempfile.TemporaryDirectory() as folder:
        text = values_text(values(release).tree)
        result = _helm(Path(folder)).render(name, release.chart, text, kube_version=KUBE_VERSION, is_upgrade=True)
    assert result.status == 0, result.stderr
    return result.stdout


def refusal(stage: str, name: str, changes: Mapping[str, Any]) -> str:
    """What is said of values that are none."""
    try:
        rendered(stage, name, changes)
    except ReleaseInvalid as error:
        return str(error)
    raise AssertionError(f"{name} takes {dict(changes)}")


def pods(objects: Iterator[Tree] | tuple[Tree, ...]) -> dict[str, Tree]:
    """Pod templates (``metadata`` and ``spec``) by the kind and name of what makes them."""
    found = {}
    for one in objects:
        spec = one.get("spec") or {}
        if one["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if isinstance(spec, dict) and "template" in spec:
            found[f"{one['kind']}/{one['metadata']['name']}"] = spec["template"]
    return found


def containers(pod: Tree) -> list[Tree]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def one(objects: tuple[Tree, ...], kind: str, name: str) -> Tree:
    (found,) = (each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name)
    return found

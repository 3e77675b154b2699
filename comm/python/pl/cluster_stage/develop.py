"""Working on an app in the cluster: skaffold dev, over the release that is deployed.

What skaffold installs are revisions of the same releases, with the values of a deploy and a few on top. Nothing of it
is beside the releases, and whoever deploys afterwards, be it days after a crash, puts them back to what they were.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pl import proc
from pl.cluster.kubeconfig import Access
from pl.cluster.platform import ClusterPlatform, Development, Image, Release
from pl.errors import StageUnsupported
from pl.files import write_whole
from pl.release.values import merged, overlaid
from pl.tools.install import known, program

_API_VERSION = "skaffold/v4beta13"
_WITHIN = "10m"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where an app is worked on. ``folder``, in the stage's state, holds what skaffold is told and what it keeps."""

    checkout: Path
    access: Access
    registry: str
    folder: Path

    def helm_flags(self) -> list[str]:
        """As a deploy has them: fields that somebody changed by hand are no obstacle."""
        major = int(known(self.checkout)["helm"].version.removeprefix("v").split(".")[0])
        return ["--server-side=true", "--force-conflicts"] if major >= 4 else []


def develop(
    bench: Bench,
    platform: ClusterPlatform,
    app: str,
    *,
    references: Mapping[str, str],
    digests: Mapping[str, str],
) -> int:
    """Build, deploy and watch an app's files until Ctrl-C; returns skaffold's exit status.

    Its releases are left as they were worked on last: a deploy puts them back. ``references`` and ``digests`` are those
    that a deploy would use. Raises StageUnsupported for an app of which nothing can be worked on, ToolMissing.
    """
    releases = developed(platform, app)
    bench.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = bench.folder / "skaffold.yaml"
    values = {
        release.name: overlaid(merged(release, references=references, digests=digests).tree, release.development)
        for release in releases
    }
    files = {name: bench.folder / f"{name}.values.json" for name in values}
    for name, tree in values.items():
        write_whole(files[name], json.dumps(tree, indent=1))
    told = configuration(platform, releases, files, helm_flags=bench.helm_flags())
    write_whole(config, json.dumps(told, indent=1))
    words: list[str | Path] = [
        "dev",
        "--filename",
        config,
        "--kube-context",
        bench.access.context,
        "--default-repo",
        bench.registry,
    ]
    # It has to end without uninstalling what was there before it.
    words += ["--cleanup=false", "--namespace", platform.namespace, "--detect-minikube=false"]
    # How long it waits for further files after a change; as much is lost with each.
    words += ["--watch-poll-interval", "200"]
    return proc.attach(
        [program(bench.checkout, "skaffold"), *words],
        env=_variables(bench),
        cwd=bench.folder,
        death_signal=signal.SIGINT,
    )


def developed(platform: ClusterPlatform, app: str) -> list[Release]:
    """The releases of an app with an image that can be worked on. Raises StageUnsupported where there is none."""
    found = [
        release
        for release in platform.releases
        if release.app == app and any(image in platform.development for image in release.images.values())
    ]
    if not found:
        raise StageUnsupported(
            f"nothing of {app} can be worked on in the cluster",
            why="the project says so for these images: " + (", ".join(platform.development) or "none"),
        )
    return found


def configuration(
    platform: ClusterPlatform, releases: Sequence[Release], values: Mapping[str, Path], *, helm_flags: Sequence[str]
) -> dict[str, object]:
    """What skaffold is told. ``values`` are the files of each release's values."""
    images = {image.name: image for image in platform.images}
    used = dict.fromkeys(image for release in releases for image in release.images.values())
    artifacts = [_artifact(images[name], platform.development[name]) for name in used if name in platform.development]
    return {
        "apiVersion": _API_VERSION,
        "kind": "Config",
        "build": {
            "tagPolicy": {"inputDigest": {}},
            "local": {"push": True, "useBuildkit": True, "concurrency": 0},
            "artifacts": artifacts,
        },
        "deploy": {
            "helm": {
                "flags": {"upgrade": [*helm_flags, "--timeout", _WITHIN]},
                "releases": [
                    {
                        "name": release.name,
                        "chartPath": str(release.chart),
                        "namespace": platform.namespace,
                        "valuesFiles": [str(values[release.name])],
                        "setValueTemplates": {
                            path: f"{{{{.IMAGE_FULLY_QUALIFIED_{image.replace('-', '_')}}}}}"
                            for path, image in release.images.items()
                            if image in platform.development
                        },
                        "skipBuildDependencies": True,
                    }
                    for release in releases
                ],
            }
        },
    }


def _artifact(image: Image, development: Development) -> dict[str, object]:
    artifact: dict[str, object] = {
        "image": image.name,
        "context": str(image.context),
        "docker": {
            "dockerfile": image.dockerfile,
            **({"target": image.target} if image.target else {}),
            "buildArgs": {**image.arguments, **development.arguments},
        },
    }
    if development.files:
        artifact["sync"] = {
            "manual": [{"src": pattern, "dest": development.folder} for pattern in development.files],
            **({"hooks": _told(development.after)} if development.after else {}),
        }
    return artifact


def _told(command: Sequence[str]) -> dict[str, object]:
    return {"after": [{"container": {"command": list(command)}}]}


def _variables(bench: Bench) -> dict[str, str]:
    """The caller's, for Docker's sake and for programs that fetch credentials, less what would lead elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE", "SKAFFOLD_"))}
    settings = bench.folder / "config"
    # A cluster that is local to skaffold's mind would have its images loaded, and not pulled from the registry.
    write_whole(
        settings,
        json.dumps(
            {
                "global": {
                    "collect-metrics": False,
                    "survey": {"disable-prompt": True},
                    "update-check": False,
                },
                "kubeContexts": [{"kube-context": bench.access.context, "local-cluster": False}],
            }
        ),
    )
    helm = {f"HELM_{part.upper()}_HOME": str(bench.folder / "helm" / part) for part in ("cache", "config", "data")}
    return {
        **kept,
        **helm,
        "KUBECONFIG": str(bench.access.file),
        # skaffold calls helm, kubectl and docker by name.
        "PATH": os.pathsep.join([str(program(bench.checkout, "helm").parent), kept.get("PATH", os.defpath)]),
        "DOCKER_BUILDKIT": "1",
        "SKAFFOLD_CACHE_FILE": str(bench.folder / "cache"),
        "SKAFFOLD_CONFIG": str(settings),
        "SKAFFOLD_INTERACTIVE": "false",
        "SKAFFOLD_UPDATE_CHECK": "false",
    }

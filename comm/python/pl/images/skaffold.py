"""skaffold.yaml, the one list of a project's images, and skaffold, which builds and pushes what stands in it.

Each image's tag comes by a variable of its own: IMAGE_TAG_HMLET_WEB is that of ``hmlet-web``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pl import proc
from pl.cluster.platform import Image
from pl.errors import ImagesInvalid
from pl.files import write_whole

FILE = "skaffold.yaml"
_OWN_CONFIG = """# pl's, for skaffold alone: it asks no questions and tells nobody.
global:
  collect-metrics: false
  survey:
    disable-prompt: true
  update-check: false
"""


def images_of(file: Path) -> tuple[Image, ...]:
    """The artifacts of a skaffold.yaml. Raises ImagesInvalid with all that is wrong."""
    import yaml

    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ImagesInvalid(str(file), [str(error)]) from None
    build = content.get("build") if isinstance(content, dict) else None
    artifacts = build.get("artifacts") if isinstance(build, dict) else None
    if not isinstance(artifacts, list) or not artifacts:
        raise ImagesInvalid(str(file), ["build.artifacts: the images are to be listed there"])
    mistakes: list[str] = []
    images = [
        _image(file.parent, f"build.artifacts[{number}]", item, mistakes) for number, item in enumerate(artifacts)
    ]
    names = [image.name for image in images]
    mistakes += [f"build.artifacts: {name} is there twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if mistakes:
        raise ImagesInvalid(str(file), mistakes)
    return tuple(images)


def tag_variable(image: str) -> str:
    """The variable that holds an image's tag."""
    return f"IMAGE_TAG_{image.replace('-', '_').upper()}"


def environment(state: Path, tags: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables for skaffold: tags by image, and whatever it keeps below ``state``.

    It gets no kubeconfig: a context named like a local cluster's would keep it from pushing.
    """
    folder = state / "skaffold"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = folder / "config"
    if not config.exists() or config.read_text(encoding="utf-8") != _OWN_CONFIG:
        write_whole(config, _OWN_CONFIG)
    return {
        **environ,
        **{tag_variable(name): tag for name, tag in tags.items()},
        "BUILDKIT_PROGRESS": "plain",
        "DOCKER_BUILDKIT": "1",
        "KUBECONFIG": os.devnull,
        "SKAFFOLD_CACHE_FILE": str(folder / "cache"),
        "SKAFFOLD_CONFIG": str(config),
        "SKAFFOLD_INTERACTIVE": "false",
        "SKAFFOLD_UPDATE_CHECK": "false",
    }


def build(
    program: Path,
    file: Path,
    image: str,
    *,
    registry: str,
    platform: str,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
) -> proc.Result:
    """Build one image of ``file`` and push it to ``registry``. Each line that it says is told as it comes.

    skaffold's own cache is left out: it knows neither modes nor base images, and what is to be built was asked before.
    """
    words: list[str | Path] = ["build", "--filename", file, "--build-image", image, "--default-repo", registry]
    words += ["--cache-artifacts=false", "--detect-minikube=false"]
    words += ["--platform", platform] if platform else []
    return proc.follow([program, *words], env=env, cwd=file.parent, on_line=on_line)


def _image(root: Path, place: str, item: Any, mistakes: list[str]) -> Image:
    item = item if isinstance(item, dict) else {}
    docker = item.get("docker") or {}
    name = str(item.get("image") or "")
    if not name or "/" in name or ":" in name:
        mistakes.append(f"{place}.image: a name without a registry and without a tag is wanted, not {name!r}")
    context = root / str(item.get("context") or ".")
    if not context.is_dir():
        mistakes.append(f"{place}.context: there is no folder {context}")
    return Image(
        name=name,
        context=context,
        dockerfile=str(docker.get("dockerfile") or "Dockerfile"),
        target=str(docker.get("target") or ""),
        arguments={str(key): str(value) for key, value in (docker.get("buildArgs") or {}).items()},
    )

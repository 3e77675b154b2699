"""Images that others publish, made ready to be pulled from the stage's own registry.

The engine's image is what counts: a tag of the registry carries its id, so an image that was pulled anew gets another
name, and one that is there is never sent again. Going through the registry spares ``kind load``, which sends every time
and fails on images of several platforms in newer engines (kind#3795).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pl.cluster.engine import Engine
from pl.errors import CommandFailed, RegistryAway
from pl.files import write_whole
from pl.images import engine_images
from pl.images.registry import holds
from pl.steps import Progress, Step, run_steps

_MEMORY = "third-party-images.json"
_DIGITS = 12
_LONGEST_TAG = 128
_PUSH_WITHIN_S = 1800.0


def references(upstream: Sequence[str], *, registry: str, state: Path, engine: Engine | None = None) -> dict[str, str]:
    """By its upstream reference, what each image is called in ``registry``, there or not. Nothing is changed.

    One that neither the engine nor this stage ever had has no id yet, and is named by its upstream tag alone.
    Raises EngineAway.
    """
    engine = engine or Engine()
    remembered = _remembered(state)
    return {name: _reference(name, registry, remembered, engine) for name in upstream}


def below(mirror: str, name: str) -> str:
    """What an image is called in a mirror that keeps others' images under the names of their registries:
    ``postgres:18`` is MIRROR/docker.io/library/postgres:18.
    """
    first, _, rest = name.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        return f"{mirror}/{name}"
    return f"{mirror}/docker.io/{name if rest else f'library/{name}'}"


def ensure_mirrored(
    upstream: Sequence[str],
    *,
    registry: str,
    state: Path,
    say: Callable[[str], None],
    progress: Progress,
    engine: Engine | None = None,
) -> dict[str, str]:
    """See to it that each image can be pulled from ``registry``; returns what ``references`` does.

    One that the engine has is sent once and never pulled; one that it has not is pulled, unless the registry has the
    one that was used here before. Raises StepsFailed with a failure for each that could not be had, EngineAway,
    RegistryAway.
    """
    engine = engine or Engine()
    names = list(dict.fromkeys(upstream))
    found = references(names, registry=registry, state=state, engine=engine)
    missing = [name for name in names if not holds(found[name], engine)]
    there = {name: reference for name, reference in found.items() if name not in missing}

    def bring(name: str) -> Step:
        def run() -> str:
            engine_images.bring([name], engine, say)
            found[name] = _named(name, registry, engine_images.identity(name, engine))
            if not holds(found[name], engine):
                _send(name, found[name], registry, engine)
            there[name] = found[name]
            return found[name].rpartition(":")[2]

        return Step(name=f"image {name}", run=run)

    try:
        run_steps([bring(name) for name in missing], progress)
    finally:
        _remember(state, there)
    return found


def _reference(name: str, registry: str, remembered: Mapping[str, str], engine: Engine) -> str:
    identity = engine_images.identity(name, engine)
    before = remembered.get(name, "")
    if not identity and before.startswith(f"{registry}/"):
        return before
    return _named(name, registry, identity)


def _named(name: str, registry: str, identity: str) -> str:
    path, tag = _parts(name)
    digits = identity.removeprefix("sha256:")[:_DIGITS]
    return f"{registry}/mirror/{path}:{f'{tag[: _LONGEST_TAG - _DIGITS - 1]}-{digits}' if digits else tag}"


def _parts(name: str) -> tuple[str, str]:
    """A reference's path and tag: ``quay.io/minio/minio:X`` is at ``quay.io/minio/minio``, whatever its digest."""
    name, _, digest = name.partition("@")
    path, _, tag = name.rpartition(":")
    if not path or "/" in tag:
        path, tag = name, digest.replace(":", "-") or "latest"
    # A port in the name of a host would be no path.
    return path.replace(":", "-"), tag


def _send(name: str, reference: str, registry: str, engine: Engine) -> None:
    engine.run("tag", name, reference)
    try:
        engine.run("push", "--quiet", reference, timeout_s=_PUSH_WITHIN_S)
    except CommandFailed as error:
        raise RegistryAway(registry, why=error.output.strip()) from None
    finally:
        # The name was for the push alone; the image keeps its own.
        engine.run("rmi", reference, check=False)


def _remember(state: Path, there: Mapping[str, str]) -> None:
    before = _remembered(state)
    now = before | dict(there)
    if now != before:
        write_whole(state / _MEMORY, json.dumps(now, indent=1, sort_keys=True) + "\n")


def _remembered(state: Path) -> dict[str, str]:
    try:
        content = json.loads((state / _MEMORY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in content.items()} if isinstance(content, dict) else {}

"""Images in the engine: brought there when they are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pl.cluster.engine import Engine
from pl.errors import CommandFailed, PullFailed

_PULL_WITHIN_S = 1800.0


def bring(references: Sequence[str], engine: Engine, say: Callable[[str], None]) -> None:
    """Pull what the engine does not have; what it has is left as it is. Raises PullFailed, EngineAway."""
    for reference in references:
        if identity(reference, engine):
            continue
        say(f"pulling {reference}")
        try:
            engine.run("pull", "--quiet", reference, timeout_s=_PULL_WITHIN_S)
        except CommandFailed as error:
            raise PullFailed(reference, why=error.output.strip()) from None


def published_identity(reference: str, engine: Engine) -> str:
    """What an image is known by wherever it was pulled: the digest that its registry gave. Its id where it was never in
    one; empty where the engine has none of that name. Raises EngineAway.

    An id depends on the processor that an image was pulled for, and on how the engine stores images.
    """
    found = engine.inspect("image", reference) or {}
    own = _repository(reference)
    published = sorted(
        digest
        for repository, _, digest in (str(each).partition("@") for each in found.get("RepoDigests") or ())
        if _repository(repository) == own
    )
    return published[0] if published else str(found.get("Id", ""))


def _repository(reference: str) -> str:
    """A reference without tag and digest, under its short name: docker.io/library/python is python."""
    path = reference.partition("@")[0]
    name, _, tag = path.rpartition(":")
    path = name if name and "/" not in tag else path
    return path.removeprefix("docker.io/").removeprefix("library/")


def identity(reference: str, engine: Engine) -> str:
    """An image's id, empty where the engine has none of that name. Raises EngineAway."""
    return str((engine.inspect("image", reference) or {}).get("Id", ""))

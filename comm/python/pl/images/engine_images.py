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


def identity(reference: str, engine: Engine) -> str:
    """An image's id, empty where the engine has none of that name. Raises EngineAway."""
    return str((engine.inspect("image", reference) or {}).get("Id", ""))

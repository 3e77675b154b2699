"""How far the making of a stage's kind cluster came, and what it was made of: ``kind.json`` in the stage's state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pl.errors import StateInvalid
from pl.files import write_whole


@dataclass(frozen=True, kw_only=True)
class KindRecord:
    """Written as ``making`` before kind is started, and as ``made`` when the cluster has worked."""

    phase: Literal["making", "made"]
    made_of: str = ""
    """The digest of kind.yaml and the node image."""
    nodes: tuple[str, ...] = ()
    taught: Mapping[str, str] = field(default_factory=dict)
    """By a node container's id, the digest of what it was told of the registry."""


def read(file: Path) -> KindRecord | None:
    """None where nothing was begun. Raises StateInvalid."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return KindRecord(
            phase="made" if content["phase"] == "made" else "making",
            made_of=str(content["made_of"]),
            nodes=tuple(str(name) for name in content["nodes"]),
            taught={str(node): str(digest) for node, digest in content["taught"].items()},
        )
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise StateInvalid(
            f"{file} is damaged",
            why="it says how far the making of the cluster came",
            hint="destroy the stage, then bootstrap it",
        ) from None


def write(file: Path, record: KindRecord) -> None:
    write_whole(file, json.dumps(asdict(record), indent=1))

"""Secrets of a stage: generated once into its state, one file each (0600), written whole or not at all."""

import os
import secrets
import string
from pathlib import Path

from pl.env import Secret, StageEnv

_SIGNS = string.ascii_letters + string.digits
_LENGTH = 40  # of 62 signs: 238 bits; letters and digits alone need no quoting anywhere


def generate_missing(env: StageEnv) -> tuple[str, ...]:
    """Make every secret field of the environment that has no value yet. Returns the names of those made."""
    made = []
    for field in env.fields():
        if field.secret and not field.value.path.exists():
            _write(field.value.path, "".join(secrets.choice(_SIGNS) for _ in range(_LENGTH)))
            made.append(field.name)
    return tuple(made)


def is_complete(env: StageEnv) -> bool:
    return all(field.value.path.exists() for field in env.fields() if field.secret)


def reveal_all(env: StageEnv) -> dict[str, str]:
    """Names and values of all secrets: for ``credentials`` on a terminal and for nothing else."""
    found: dict[str, str] = {}
    for field in env.fields():
        if isinstance(field.value, Secret):
            found[field.name] = field.value.reveal()
    return found


def _write(path: Path, value: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)

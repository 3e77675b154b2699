"""Secrets of a stage: generated once into its state, one file each (0600), written whole or not at all."""

import secrets
import string

from pl.env import Secret, StageEnv
from pl.files import write_whole

_SIGNS = string.ascii_letters + string.digits
_LENGTH = 40  # of 62 signs: 238 bits; letters and digits alone need no quoting anywhere


def generate_missing(env: StageEnv) -> tuple[str, ...]:
    """Make every secret field of the environment that has no value yet. Returns the names of those made."""
    made = []
    for field in env.fields():
        if field.secret and not field.value.path.exists():
            field.value.path.parent.mkdir(mode=0o700, exist_ok=True)
            write_whole(field.value.path, "".join(secrets.choice(_SIGNS) for _ in range(_LENGTH)))
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

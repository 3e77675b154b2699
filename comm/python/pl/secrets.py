"""Secrets of a stage: one file each in its state (0600), written whole or not at all.

A secret that ``PROJECT/envs/STAGE/secrets.sops.yaml`` names has its value from there; every other is generated once.
Where the stage is in a cluster that others deploy to as well, what they generated is taken from there.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import secrets
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pl import certificates, proc
from pl.env import Secret, StageEnv, secret_file
from pl.errors import SecretsInvalid
from pl.files import write_whole

_SIGNS = string.ascii_letters + string.digits
_LENGTH = 40  # of 62 signs: 238 bits; letters and digits alone need no quoting anywhere
_RECORD = ".sops.json"
_DECRYPT_TIMEOUT_S = 120.0


def provide(env: StageEnv, held: Callable[[], Mapping[str, str]] = dict) -> tuple[str, ...]:
    """Have a value for every secret field, and the stage's certificates. Returns the names of those made or changed.

    The encrypted file is decrypted again when it is another than last time. ``held`` says, by name, what the stage uses
    already: it is asked when this machine lacks some, before any is generated. Raises SecretsInvalid, ToolMissing.
    """
    taken = _take(env)
    made = () if is_complete(env) else (*_adopt(env, held()), *generate_missing(env))
    return (*taken, *made, *certificates.provide(env.state, env.certificates()))


def generate_missing(env: StageEnv) -> tuple[str, ...]:
    """Make every secret field of the environment that has no value yet. Returns the names of those made."""
    made = []
    for field in env.fields():
        if field.secret and not field.value.path.exists():
            _put(field.value.path, (field.value.make or _random)())
            made.append(field.name)
    return tuple(made)


def _random() -> str:
    return "".join(secrets.choice(_SIGNS) for _ in range(_LENGTH))


def _adopt(env: StageEnv, held: Mapping[str, str]) -> tuple[str, ...]:
    """Take over what is held and not here."""
    missing = {field.name: field.value.path for field in env.fields() if field.secret and not field.value.path.exists()}
    adopted = tuple(name for name in missing if held.get(name))
    for name in adopted:
        _put(missing[name], held[name])
    return adopted


def is_complete(env: StageEnv) -> bool:
    return all(field.value.path.exists() for field in env.fields() if field.secret)


def reveal_all(env: StageEnv) -> dict[str, str]:
    """Names and values of all secrets: for ``credentials`` on a terminal and for nothing else."""
    found: dict[str, str] = {}
    for field in env.fields():
        if isinstance(field.value, Secret):
            found[field.name] = field.value.reveal()
    return found


def encrypted_file(env: StageEnv) -> Path:
    """Where a stage's encrypted secrets are, if it has any."""
    return env.root / "envs" / env.stage / "secrets.sops.yaml"


def _take(env: StageEnv) -> tuple[str, ...]:
    """Bring what the encrypted file says into the state, where that is not there yet."""
    file = encrypted_file(env)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SecretsInvalid(f"{file} cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(content).hexdigest()
    fields = {field.name: field.value.path for field in env.fields() if field.secret}
    if _is_taken(env, digest, fields):
        return ()
    values = _decrypted(env, file)
    _check(file, values, fields)
    changed = [name for name, value in values.items() if _value(fields[name]) != value]
    for name in changed:
        _put(fields[name], values[name])
    write_whole(secret_file(env.state, _RECORD), json.dumps({"digest": digest, "names": sorted(values)}))
    return tuple(changed)


def _is_taken(env: StageEnv, digest: str, fields: Mapping[str, Path]) -> bool:
    try:
        record = json.loads(secret_file(env.state, _RECORD).read_text(encoding="utf-8"))
        return record["digest"] == digest and all(fields[name].exists() for name in record["names"])
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _decrypted(env: StageEnv, file: Path) -> dict[str, Any]:
    """What sops prints: read from its output, never by way of a file. No message quotes it."""
    from pl.tools.install import program

    sops = program(env.checkout, "sops")
    result = proc.run(
        [sops, "decrypt", "--output-type", "json", file],
        env={**os.environ},
        timeout_s=_DECRYPT_TIMEOUT_S,
        check=False,
    )
    if result.status != 0:
        plain = "metadata not found" in result.stderr
        raise SecretsInvalid(
            f"{file} is not encrypted" if plain else f"{file} cannot be decrypted",
            why="\n".join(line for line in result.stderr.strip().splitlines() if line.strip()),
            hint=f"sops encrypt --in-place {file}"
            if plain
            else "have one of the keys that it was encrypted for: SOPS_AGE_KEY_FILE names a file with yours",
        )
    content = json.loads(result.stdout)
    if not isinstance(content, dict):
        raise SecretsInvalid(f"{file} holds no names and values")
    return content


def _check(file: Path, values: Mapping[str, Any], fields: Mapping[str, Path]) -> None:
    """Raises SecretsInvalid with every mistake, and never a value."""
    mistakes = []
    for name, value in values.items():
        if name not in fields:
            close = difflib.get_close_matches(name, fields, n=1)
            meant = f"; {close[0]} was meant?" if close else ""
            mistakes.append(f"{name}: the stage has no such secret{meant}")
        elif not isinstance(value, str):
            mistakes.append(f"{name}: must be text, in quotes where it looks like something else")
        elif not value:
            mistakes.append(f"{name}: is empty")
    if mistakes:
        raise SecretsInvalid(f"{file} cannot be used", why="\n".join(mistakes), hint=f"sops edit {file}")


def _value(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _put(path: Path, value: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_whole(path, value)

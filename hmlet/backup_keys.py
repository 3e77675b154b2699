"""Whom a stage's backups are encrypted for, and who opens them.

A stage that names recipients has their keys, and no private one. Another has a pair of its own on this machine, made
when it is first needed, beside the stage's state and not in it: it outlives the stage, as backups do.
"""

from __future__ import annotations

import os
from pathlib import Path

from pl.errors import BackupUnusable
from pl.files import write_whole

from hmlet.env_comm import HmletEnv


def recipients(env: HmletEnv) -> tuple[str, ...]:
    """Public keys, never none. Raises BackupUnusable for a stage in an existing cluster that names nobody."""
    if env.backup_recipients:
        return env.backup_recipients
    if env.runs_on == "existing":
        raise BackupUnusable(
            f"{env.stage} names nobody for whom its backups are encrypted",
            why="whoever is to restore keeps the private key, so none is made here",
            hint=f"age-keygen, and its public key into backup_recipients in env_{env.stage}.py",
        )
    return (_own_public(env),)


def known_recipients(env: HmletEnv) -> tuple[str, ...]:
    """The same, for what must not fail: nobody where no one is named, or the stage is not there yet."""
    if env.backup_recipients or env.runs_on == "existing" or not env.state.exists():
        return env.backup_recipients
    return recipients(env)


def identity(env: HmletEnv, given: Path | None) -> Path:
    """The file with the private key that is to be used. Raises BackupUnusable where there is none."""
    if given is not None:
        return given.absolute()
    own = own_key_file(env)
    if not own.exists():
        raise BackupUnusable(
            f"{env.stage} has no key of its own on this machine",
            why=f"it would be {own}",
            hint="--identity names the file with the private key of one of those that the backup is encrypted for",
        )
    return own


def own_key_file(env: HmletEnv) -> Path:
    """Where the stage's own pair is, if it has one."""
    return env.state.parent / "backup-keys" / f"{env.state.name}.txt"


def _own_public(env: HmletEnv) -> str:
    import pyrage

    file = own_key_file(env)
    if not file.exists():
        made = pyrage.x25519.Identity.generate()
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        half = file.with_name(f".{file.name}.new-{os.getpid()}")
        write_whole(half, f"# public key: {made.to_public()}\n{made}\n")
        try:
            os.link(half, file)  # never in the place of one that somebody else has made meanwhile
        except FileExistsError:
            pass
        finally:
            half.unlink()
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    try:
        return str(pyrage.x25519.Identity.from_str(lines[0]).to_public())
    except (IndexError, pyrage.IdentityError):
        raise BackupUnusable(
            f"{file} holds no private key of age", hint="move it away, and a new one is made"
        ) from None

"""Refresh the hashed locks: ``requirements/NAME.txt`` from ``requirements/NAME.in``, all of them or none.

Only an .in file that has a lock is refreshed (others are parts of those); an empty .txt beside it begins a new lock.
No lock holds an address: where packages come from is told by each machine, not by the repository.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pl import proc, venv
from pl.errors import CommandFailed, LockFailed

FOLDER = "requirements"
PYTHON = "3.11"


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """What happened to a lock: pins that came, went or changed, as ``name old → new``."""

    lock: str
    changes: tuple[str, ...]


def refresh(
    checkout: Path, *, say: Callable[[str], None], upgrade_all: bool = False, upgrade: Sequence[str] = ()
) -> tuple[Refreshed, ...]:
    """Bring every lock to what its .in says. Pins stay where they can, but for those to be upgraded.

    Raises LockFailed; then no lock was changed.
    """
    folder = checkout / FOLDER
    names = sorted(lock.stem for lock in folder.glob("*.txt") if lock.with_suffix(".in").exists())
    if not names:
        raise LockFailed(f"{folder} has no lock", hint="a lock NAME.txt stands beside what it is made from, NAME.in")
    uv, environ = venv.installer(str(checkout))
    wanted = ["--upgrade"] if upgrade_all else [word for name in upgrade for word in ("--upgrade-package", name)]
    with tempfile.TemporaryDirectory(prefix=".lock-", dir=folder) as half:
        for name in names:
            say(f"resolving {FOLDER}/{name}.in")
            _compile(uv, environ, checkout, name, Path(half), wanted)
        refreshed = tuple(_compared(folder, Path(half), name) for name in names)
        for name in names:
            (Path(half) / f"{name}.txt").replace(folder / f"{name}.txt")
    return refreshed


def addresses(text: str) -> tuple[str, ...]:
    """The lines of a lock that hold an address, or a package that is not from an index at all."""
    return tuple(
        line for line in text.splitlines() if "://" in line or " @ " in line or line.startswith(("-i", "--index"))
    )


def _compile(uv: str, environ: dict[str, str], checkout: Path, name: str, half: Path, wanted: list[str]) -> None:
    lock = half / f"{name}.txt"
    # uv keeps the pins of the file that it writes to.
    lock.write_bytes((checkout / FOLDER / lock.name).read_bytes())
    argv = [uv, "pip", "compile", "--quiet", "--no-config", "--generate-hashes", "--universal", "--no-header"]
    argv += ["--python-version", PYTHON, "--python", str(checkout / venv.LINK / "bin/python"), *wanted]
    try:
        proc.run([*argv, f"{FOLDER}/{name}.in", "-o", lock], env=environ, cwd=checkout)
    except CommandFailed as error:
        raise LockFailed(
            f"{FOLDER}/{name}.in cannot be resolved", why=error.why, hint="mend it, then pl.lock; no lock was changed"
        ) from None
    held = addresses(lock.read_text(encoding="utf-8"))
    if held:
        raise LockFailed(
            f"the lock of {FOLDER}/{name}.in would hold an address",
            why="\n".join(held),
            hint="name packages and versions alone; no lock was changed",
        )


def _compared(folder: Path, half: Path, name: str) -> Refreshed:
    before, after = _pins(folder / f"{name}.txt"), _pins(half / f"{name}.txt")
    changes = tuple(
        f"{package} {before.get(package, 'nothing')} → {after.get(package, 'nothing')}"
        for package in sorted({*before, *after})
        if before.get(package) != after.get(package)
    )
    return Refreshed(lock=f"{FOLDER}/{name}.txt", changes=changes)


def _pins(lock: Path) -> dict[str, str]:
    lines = lock.read_text(encoding="utf-8").splitlines()
    pinned = (line.split(" ")[0].partition("==") for line in lines if "==" in line and not line.startswith((" ", "#")))
    return {package: version for package, _, version in pinned}

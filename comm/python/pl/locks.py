"""Refresh the hashed locks: ``requirements/NAME.txt`` from ``requirements/NAME.in``, all of them or none.

Besides the checkout's own, each app may have locks of what goes into its images, in ``flesh/requirements``. They take
the versions of the checkout's environment: what was tested is what runs.

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
IMAGES_FOLDERS = "*/*/flesh/requirements"
PYTHON = "3.11"
_ENVIRONMENT = venv.LOCKS[-1]


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
    locks = _locks(checkout)
    if not locks:
        raise LockFailed(
            f"{checkout / FOLDER} has no lock", hint="a lock NAME.txt stands beside what it is made from, NAME.in"
        )
    uv, environ = venv.installer(str(checkout))
    wanted = ["--upgrade"] if upgrade_all else [word for name in upgrade for word in ("--upgrade-package", name)]
    with tempfile.TemporaryDirectory(prefix=".lock-", dir=checkout / FOLDER) as half:
        compiled: dict[str, Path] = {}
        for lock in locks:
            say(f"resolving {_source(lock)}")
            compiled[lock] = Path(half) / f"{len(compiled)}.txt"
            _compile(uv, environ, checkout, lock, compiled, wanted)
        refreshed = tuple(
            Refreshed(lock=lock, changes=_changes(checkout / lock, whole)) for lock, whole in compiled.items()
        )
        for lock, whole in compiled.items():
            whole.replace(checkout / lock)
    return refreshed


def addresses(text: str) -> tuple[str, ...]:
    """The lines of a lock that hold an address, or a package that is not from an index at all."""
    return tuple(
        line for line in text.splitlines() if "://" in line or " @ " in line or line.startswith(("-i", "--index"))
    )


def _locks(checkout: Path) -> list[str]:
    """Paths below the checkout, that of its environment before those that follow it."""
    folders = [checkout / FOLDER, *sorted(checkout.glob(IMAGES_FOLDERS))]
    found = [sorted(lock for lock in folder.glob("*.txt") if lock.with_suffix(".in").exists()) for folder in folders]
    return [lock.relative_to(checkout).as_posix() for locks in found for lock in locks]


def _source(lock: str) -> str:
    return lock.removesuffix(".txt") + ".in"


def _compile(
    uv: str, environ: dict[str, str], checkout: Path, lock: str, compiled: dict[str, Path], wanted: list[str]
) -> None:
    half = compiled[lock]
    # uv keeps the pins of the file that it writes to.
    half.write_bytes((checkout / lock).read_bytes())
    argv = [uv, "pip", "compile", "--quiet", "--no-config", "--generate-hashes", "--universal", "--no-header"]
    argv += ["--python-version", PYTHON, "--python", str(checkout / venv.LINK / "bin/python"), *wanted]
    if not lock.startswith(f"{FOLDER}/") and _ENVIRONMENT in compiled:
        # Who asked for a package would be said with the constraint's passing path.
        argv += ["--constraint", str(compiled[_ENVIRONMENT]), "--no-annotate"]
    try:
        proc.run([*argv, _source(lock), "-o", half], env=environ, cwd=checkout)
    except CommandFailed as error:
        raise LockFailed(
            f"{_source(lock)} cannot be resolved", why=error.why, hint="mend it, then pl.lock; no lock was changed"
        ) from None
    held = addresses(half.read_text(encoding="utf-8"))
    if held:
        raise LockFailed(
            f"the lock of {_source(lock)} would hold an address",
            why="\n".join(held),
            hint="name packages and versions alone; no lock was changed",
        )


def _changes(lock: Path, half: Path) -> tuple[str, ...]:
    before, after = _pins(lock), _pins(half)
    return tuple(
        f"{package} {before.get(package, 'nothing')} → {after.get(package, 'nothing')}"
        for package in sorted({*before, *after})
        if before.get(package) != after.get(package)
    )


def _pins(lock: Path) -> dict[str, str]:
    lines = lock.read_text(encoding="utf-8").splitlines()
    pinned = (line.split(" ")[0].partition("==") for line in lines if "==" in line and not line.startswith((" ", "#")))
    return {package: version for package, _, version in pinned}

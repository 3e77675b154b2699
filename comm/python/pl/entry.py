"""First steps of ``cluster.py`` and ``app.py``: are we in a shell of theirs, and is this the shell's interpreter?

Standard library only, because the interpreter may still be the system's.
"""

import os
import shlex
import sys
from pathlib import Path


def cluster(entry: str, project: str) -> None:
    """Run a project's ``cluster.py``. ``project`` names its ``pl.project.Project`` as ``module:name``."""
    _enter(Path(entry).resolve(), "PL_ROOT")
    from pl.cli.cluster import run

    run(project)


def app(entry: str, project: str, *, programs: tuple[str, ...] = ()) -> None:
    """Run an app's ``app.py``. ``programs`` are the app's own on the host stage."""
    _enter(Path(entry).resolve(), "PL_APP")
    from pl.cli.app import run

    run(project, programs)


def _enter(entry: Path, variable: str) -> None:
    """Continue in the checkout's own interpreter, or end with status 2 where this is no shell of that script."""
    inside = os.environ.get("PL_STAGE") and _folder(variable) == entry.parent
    if not inside:
        from pl.door import leave
        from pl.errors import NotInStage

        leave(NotInStage(shlex.join([_typed(entry), *sys.argv[1:]]), f"{_typed(entry.parent / 'shell.py')} host"))
    python = Path(os.environ["PL_CHECKOUT"], ".venv/bin/python")
    # Both resolved: ``sys.prefix`` is the link .venv or what it leads to, by how the interpreter was called.
    if Path(sys.prefix).resolve() != python.parent.parent.resolve():
        os.execv(python, [str(python), str(entry), *sys.argv[1:]])  # noqa: S606


def _typed(script: Path) -> str:
    """A script as one would type it here."""
    try:
        path = os.path.relpath(script)
    except FileNotFoundError:  # the working directory was removed
        return str(script)
    return path if os.sep in path else f"./{path}"


def _folder(variable: str) -> Path:
    root = Path(os.environ.get("PL_ROOT", ""))
    return root if variable == "PL_ROOT" else root / os.environ.get("PL_APP", "")

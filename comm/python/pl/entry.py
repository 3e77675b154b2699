"""First steps of ``cluster.py`` and ``app.py``: are we in a shell of theirs, and is this the shell's interpreter?

Standard library only, because the interpreter may still be the system's.
"""

import os
import sys
from pathlib import Path


def cluster(entry: str, *, host: str, smoke: str) -> None:
    """Run a project's ``cluster.py``.

    ``host`` and ``smoke`` name, as ``module:function``, what the host stage runs and what proves that a stage works.
    """
    _enter(Path(entry).resolve(), "PL_ROOT")
    from pl.cli.cluster import run

    run(host=host, smoke=smoke)


def app(entry: str, *, host: str, service: str) -> None:
    """Run an app's ``app.py``. ``service`` is the app's main process on the host stage."""
    _enter(Path(entry).resolve(), "PL_APP")
    from pl.cli.app import run

    run(host=host, service=service)


def _enter(entry: Path, variable: str) -> None:
    """Continue in the checkout's own interpreter, or end with status 2 where this is no shell of that script."""
    inside = os.environ.get("PL_STAGE") and _folder(variable) == entry.parent
    if not inside:
        from pl.door import leave
        from pl.errors import NotInStage

        opener = os.path.relpath(entry.parent / "shell.py")
        leave(NotInStage(" ".join([os.path.relpath(entry), *sys.argv[1:]]), f"{opener} host"))
    python = Path(os.environ["PL_CHECKOUT"], ".venv/bin/python")
    if Path(sys.prefix) != python.parent.parent.resolve():
        os.execv(python, [str(python), str(entry), *sys.argv[1:]])  # noqa: S606


def _folder(variable: str) -> Path:
    root = Path(os.environ.get("PL_ROOT", ""))
    return root if variable == "PL_ROOT" else root / os.environ.get("PL_APP", "")

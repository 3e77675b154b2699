"""``pl.bootstrap``: set up all that this checkout needs on this machine."""

from __future__ import annotations

from pathlib import Path

from pl.cli import output
from pl.cli.commandline import new_app
from pl.cli.root import checkout
from pl.errors import PlError

app = new_app()


@app.command()
def bootstrap() -> None:
    """Set up .venv, git hooks and the tools of cluster stages, then check the machine. Does nothing twice."""
    from pl import hooks, venv
    from pl.cli.root_doctor import examine

    root = checkout()
    venv.ensure(str(root))
    output.line("✓ .venv is made from today's lock")
    output.line(f"✓ git hooks: {hooks.install(root)}")
    _fetch_tools(root)
    output.line()
    examine()


def _fetch_tools(root: Path) -> None:
    """What cluster stages need, once for all of them. Without it the host stage works: that is said, and no failure."""
    from pl.cli import tools
    from pl.env import stages

    projects = (entry.parent for entry in root.glob("*/cluster.py"))
    if not any(set(stages(project)) - {"host"} for project in projects):
        return
    try:
        tools.fetch(root)
    except PlError as error:
        output.line("– tools: not all of them could be had; the host stage needs none")
        output.note(str(error))

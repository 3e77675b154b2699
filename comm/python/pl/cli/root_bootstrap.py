"""``pl.bootstrap``: set up all that this checkout needs on this machine."""

from __future__ import annotations

from pathlib import Path

from pl.cli import output
from pl.cli.commandline import new_app
from pl.cli.root import checkout

app = new_app()


@app.command()
def bootstrap() -> None:
    """Set up .venv, git hooks and every project's tools, then check the machine. Does nothing twice."""
    from pl import hooks, venv
    from pl.cli.root_doctor import examine

    root = checkout()
    venv.ensure(str(root))
    output.line("✓ .venv is made from today's lock")
    output.line(f"✓ git hooks: {hooks.install(root)}")
    for project in sorted(entry.parent for entry in root.glob("*/cluster.py")):
        _fetch_tools(project)
    output.line()
    examine()


def _fetch_tools(project: Path) -> None:
    """What the host stage needs: the only kind of stage that this version drives."""
    from pl import proc

    argv: list[str | Path] = [
        project / "shell.py",
        "host",
        "--",
        project / "cluster.py",
        "python",
        "bootstrap_local_dev",
    ]
    said = proc.run(argv).stdout.strip()
    output.line(f"✓ tools of {project.name}: {said}")

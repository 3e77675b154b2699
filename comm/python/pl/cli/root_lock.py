"""``pl.lock``: refresh the hashed locks."""

from __future__ import annotations

from typing import Annotated

import typer

from pl.cli import output
from pl.cli.commandline import new_app
from pl.cli.root import checkout

app = new_app()


@app.command()
def lock(
    packages: Annotated[
        list[str] | None, typer.Argument(metavar="[PACKAGE]...", help="With --upgrade: these alone.")
    ] = None,
    *,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Take the newest versions that fit.")] = False,
) -> None:
    """Bring requirements/*.txt to what requirements/*.in say. All locks are written, or none."""
    from pl import locks
    from pl.errors import UsageError

    if packages and not upgrade:
        raise UsageError("packages are named to be upgraded", hint=f"pl.lock --upgrade {' '.join(packages)}")
    refreshed = locks.refresh(checkout(), say=output.note, upgrade_all=upgrade and not packages, upgrade=packages or ())
    for each in refreshed:
        output.line(f"{each.lock}: {f'{len(each.changes)} changed' if each.changes else 'as it was'}")
        for change in each.changes:
            output.line(f"  {change}")
    if any(each.changes for each in refreshed):
        output.line("the next shell makes a new .venv")

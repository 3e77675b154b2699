"""``pl.lint``: the suite ``lint`` alone."""

from __future__ import annotations

from typing import Annotated

import typer

from pl.cli.commandline import new_app
from pl.cli.root import checkout

app = new_app()


@app.command()
def lint(
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what a program can mend.")] = False,
) -> None:
    """Check style, types and imports."""
    from pl import suites
    from pl.cli.root_test import run_suites

    root = checkout()
    known = suites.read(root)
    run_suites(root, known.named(["lint"]), known.coverage_sources, fix=fix)

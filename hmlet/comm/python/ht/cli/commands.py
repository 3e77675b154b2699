"""What all commands share: plain help, common options, and how a command ends that went well in part."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import typer

from ht.cli.entry import one_line

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Parallel: TypeAlias = Annotated[int, typer.Option(min=1, max=32, help="How many at once.")]
Limit: TypeAlias = Annotated[int, typer.Option(min=0, help="At most so many; 0 is all.")]


def new_app(help: str) -> typer.Typer:
    return typer.Typer(
        help=help,
        no_args_is_help=True,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
    )


def end_with(failures: Sequence[tuple[str, str]], *, of: int, what: str) -> None:
    """Lists what did not go well, and ends with 1 if anything did not."""
    if not failures:
        return
    sys.stdout.flush()
    sys.stderr.write(f"error: {len(failures)} of {of} {what}:\n")
    sys.stderr.writelines(f"  {one_line(name)}: {reason}\n" for name, reason in failures)
    raise typer.Exit(1)

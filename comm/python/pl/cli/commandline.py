"""From words to a function, and from its end to an exit status: what all command lines share."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from pl.door import leave


def new_app(*, help: str = "", no_args_is_help: bool = False) -> typer.Typer:
    """A command line in the house's dress: plain help, no completion, and no traceback that is not ours."""
    return typer.Typer(
        help=help,
        no_args_is_help=no_args_is_help,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
    )


def run_app(app: typer.Typer, program: str = "") -> NoReturn:
    """Run a command line and end the process: 0 done, 1 expected failure, 2 usage, 3 bug, 130 interrupted."""
    program = program or os.path.basename(sys.argv[0])  # noqa: PTH119
    try:
        status = app(prog_name=program, standalone_mode=False)
    except TyperException as error:
        text = error.format_message()
        # Where a subcommand must be named and none was, the text is the help itself.
        sys.stderr.write(f"{text}\n" if text.startswith("Usage:") else f"error: {text}\n  → {program} --help\n")
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has enough; nothing may be written into the closed pipe at the end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001
        leave(error)
    sys.exit(status if isinstance(status, int) else 0)

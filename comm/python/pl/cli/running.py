"""What the command lines of a stage share: the stage they work on, and questions."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pl.cli import commandline, output
from pl.env import StageEnv, current
from pl.errors import Declined

if TYPE_CHECKING:
    from pl.project import Project
    from pl.stage import Stage

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Follow = Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines come, until Ctrl-C.")]
Lines = Annotated[int, typer.Option("-n", "--lines", min=0, help="How many lines of the past, for each.")]
Words = Annotated[list[str] | None, typer.Argument(help="One command instead of a shell.")]
PASSED_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""For commands whose words belong to another program."""

_project_name = ""


def run(app: typer.Typer, project_name: str) -> NoReturn:
    """Run a stage's command line for the project named as ``module:name``."""
    global _project_name
    _project_name = project_name
    commandline.run_app(app)


@functools.cache
def project() -> Project:
    """The project that the entry script named."""
    module, _, name = _project_name.partition(":")
    found: Project = getattr(importlib.import_module(module), name)
    return found


@functools.cache
def stage_env() -> StageEnv:
    """The environment of the shell that this runs in. Without importing what drives a stage."""
    return current()


@functools.cache
def stage() -> Stage:
    """The stage that the shell is in."""
    from pl.project import open_stage

    return open_stage(project(), stage_env(), output.note)


def confirmed(what: str, *, yes: bool) -> None:
    """Ask before something is lost. Raises Declined on anything but yes, and where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Declined("this wants a confirmation, and there is no terminal to ask on", why=what, hint="add --yes")
    output.note(what)
    sys.stderr.write("Type yes to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != "yes":
        raise Declined("nothing was done")


def typed_name(name: str, what: str) -> None:
    """Ask for a name before something that must not happen by habit. Raises Declined on anything else."""
    if not sys.stdin.isatty():
        raise Declined("this wants a name typed, and there is no terminal to ask on", why=what)
    output.note(what)
    sys.stderr.write(f"Type {name} to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != name:
        raise Declined("nothing was done")

"""The subcommands of an app's ``app.py``."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from pl.cli import running
from pl.cli.commandline import new_app
from pl.cli.running import PASSED_ON, Follow, Lines, Words, stage, stage_env
from pl.errors import StageUnsupported

app = new_app(help="Work on one app of a stage, from inside its shell.", no_args_is_help=True)

_programs: tuple[str, ...] = ()


def run(project_name: str, programs: tuple[str, ...]) -> None:
    """Run the command line for an app of a project. ``programs`` are its programs on the host stage."""
    global _programs
    _programs = programs
    running.run(app, project_name)


@app.command()
def logs(*, follow: Follow = False, lines: Lines = 20) -> None:
    """Show the logs of the app's programs."""
    from pl.cli.tail import show

    _has_programs()
    show(stage().logs(_programs, lines=lines, follow=follow))


@app.command(context_settings=PASSED_ON)
def terminal(command: Words = None) -> None:
    """Open a shell with the app's settings, in its folder: manage.py works there."""
    _has_programs()
    opened = stage()
    raise typer.Exit(opened.terminal(command or (), app=opened.env.app))


@app.command(context_settings=PASSED_ON)
def test(
    arguments: Annotated[list[str] | None, typer.Argument(help="Passed on to pytest.")] = None,
    *,
    in_cluster: Annotated[
        bool, typer.Option("--in-cluster", help="Run the unit tests inside the app's image.")
    ] = False,
) -> None:
    """Run the end-to-end tests against this stage. They make users of their own and leave others' photos alone."""
    from pl import proc

    env = stage_env()
    if in_cluster:
        raise StageUnsupported(f"the stage {env.stage} has no cluster to run tests in", hint="pl.test unit")
    if env.stage == "prod":
        raise StageUnsupported("end-to-end tests do not run on prod", hint=f"{env.root.name}/shell.py prod -- ht.smoke")
    stage().status()
    folder = env.root / "tests/test_e2e"
    command = [sys.executable, "-m", "pytest", "--rootdir", env.checkout, folder, *(arguments or ())]
    raise typer.Exit(proc.attach(command, cwd=env.checkout))


@app.command()
def skaffold() -> None:
    """Develop in the cluster: rebuild and redeploy as files change."""
    _has_instead("skaffold", "a deploy restarts only what changed, in about two seconds: ht.deploy")


@app.command()
def telepresence() -> None:
    """Put this machine's process in the place of one in the cluster."""
    _has_instead("telepresence", "all processes are on this machine already: ps.terminal opens a shell beside them")


@app.command()
def forward() -> None:
    """Make a port of the cluster reachable from this machine."""
    _has_instead("forward", "every port is on this machine already: ht.status shows them")


def _has_instead(command: str, instead: str) -> NoReturn:
    env = stage().env
    raise StageUnsupported(f"the stage {env.stage} has no {command}", why=f"instead: {instead}")


def _has_programs() -> None:
    if not _programs:
        env = stage().env
        raise StageUnsupported(f"{env.app} has no program on the stage {env.stage} yet")

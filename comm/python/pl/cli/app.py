"""The subcommands of an app's ``app.py``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NoReturn, cast

import typer

from pl.cli import output, running
from pl.cli.commandline import new_app
from pl.cli.running import PASSED_ON, Follow, Lines, Words, stage, stage_env, typed_name
from pl.env import StageEnv
from pl.errors import StageUnsupported

if TYPE_CHECKING:
    from pl.cluster_stage.stage import ClusterStage

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

    show(stage().logs(_names(), lines=lines, follow=follow))


@app.command(context_settings=PASSED_ON)
def terminal(command: Words = None) -> None:
    """Open a shell with the app's settings, in its folder: manage.py works there."""
    _names()
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
    if env.stage == "prod":
        raise StageUnsupported("tests do not run on prod", hint=f"{env.root.name}/shell.py prod -- ht.smoke")
    if in_cluster:
        if env.runs_on == "host":
            raise StageUnsupported(f"the stage {env.stage} has no cluster to run tests in", hint="pl.test unit")
        raise typer.Exit(_tested_in_cluster(arguments or ()))
    stage().status()
    folder = env.root / "tests/test_e2e"
    command = [sys.executable, "-m", "pytest", "--rootdir", env.checkout, folder, *(arguments or ())]
    raise typer.Exit(proc.attach(command, cwd=env.checkout))


@app.command()
def skaffold() -> None:
    """Develop in the cluster: files are put in their places as they are saved. Ctrl-C puts back what was deployed."""
    opened = _in_cluster("skaffold", "a deploy restarts only what changed, in about two seconds: ht.deploy")
    _agreed(opened.env, "puts files as they are saved, reviewed by nobody, where people use them")
    work = opened.work_on(opened.env.app)
    with output.progress() as progress:
        opened.deploy(progress)
    try:
        status = work.skaffold()
    finally:
        output.note("putting back what was deployed")
        with output.progress() as progress:
            opened.deploy(progress)
    raise typer.Exit(status)


@app.command(context_settings=PASSED_ON)
def telepresence(
    command: Words = None,
    *,
    port: Annotated[
        str,
        typer.Option(metavar="LOCAL:PORT", help="Where requests go here, and the Service's port by name or number."),
    ] = "8000:http",
) -> None:
    """Put this machine's process in the place of one in the cluster, while a shell or a command runs."""
    opened = _in_cluster(
        "telepresence", "all processes are on this machine already: ps.terminal opens a shell beside them"
    )
    _agreed(opened.env, "sends requests of people to a process of this machine")
    raise typer.Exit(opened.work_on(opened.env.app).telepresence(port, command or ()))


@app.command()
def forward(
    name: Annotated[str, typer.Argument(help="What to forward; all that there is when left out.")] = "",
    ports: Annotated[
        list[str] | None, typer.Argument(metavar="[[LOCAL_PORT:]PORT]...", help="Which ports, and where they go here.")
    ] = None,
) -> None:
    """Make ports of the cluster reachable from this machine, until Ctrl-C."""
    opened = _in_cluster("forward", "every port is on this machine already: ht.status shows them")
    work = opened.work_on(opened.env.app)
    if name:
        work.forward(name, ports or ())
    else:
        output.table(work.doors(), header=("name", "service"))


def _tested_in_cluster(arguments: Sequence[str]) -> int:
    opened = _in_cluster("cluster", "pl.test unit")
    work = opened.work_on(opened.env.app)
    with output.progress() as progress:
        image = work.built_suite(progress)
    return work.test(image, [*_coloured(), *arguments], on_line=output.line)


def _coloured() -> list[str]:
    """What pytest sees is no terminal, but its output may end on one."""
    return ["--color=yes"] if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else []


def _agreed(env: StageEnv, what: str) -> None:
    """Where a deploy wants the stage's name typed, so does what goes around a deploy. Raises Declined."""
    if getattr(env, "confirm_by_name", False):
        typed_name(env.stage, f"On {env.stage}, this {what}.")


def _in_cluster(command: str, instead: str) -> ClusterStage:
    """The stage, where it was deployed to a cluster."""
    opened = stage()
    if opened.env.runs_on == "host":
        _has_instead(command, instead)
    opened.must_exist()
    return cast("ClusterStage", opened)


def _has_instead(command: str, instead: str) -> NoReturn:
    env = stage().env
    raise StageUnsupported(f"the stage {env.stage} has no {command}", why=f"instead: {instead}")


def _names() -> Sequence[str]:
    """What the app is called in logs: in a cluster itself, on the host stage by its programs."""
    env = stage_env()
    if env.runs_on != "host":
        return (env.app,)
    if not _programs:
        raise StageUnsupported(f"{env.app} has no program on the stage {env.stage} yet")
    return _programs

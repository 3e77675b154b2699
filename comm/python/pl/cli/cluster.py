"""The subcommands of a project's ``cluster.py``. Heavy imports happen inside the commands: ``--help`` is quick."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pl.cli import output, running
from pl.cli.commandline import new_app
from pl.cli.running import PASSED_ON, Follow, Json, Lines, Words, Yes, confirmed, project, stage, stage_env, typed_name
from pl.durations import brief
from pl.env import StageEnv
from pl.errors import BackupUnusable, Declined, StageDown, StageUnsupported

if TYPE_CHECKING:
    from pl.project import Backups
    from pl.stage import Change, Review, Stage

app = new_app(help="Work on a stage of the project, from inside its shell.", no_args_is_help=True)
python = new_app(help="The tools that a stage needs on this machine.", no_args_is_help=True)
app.add_typer(python, name="python")

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[RELEASE]...", help="Parts to deploy, with what they need.")
]


Clean = Annotated[bool, typer.Option("--clean", help="Also take away what others added to objects by hand.")]


def run(project_name: str) -> None:
    """Run the command line for a project, named as ``module:name``."""
    running.run(app, project_name)


@python.command("bootstrap_local_dev")
def bootstrap_local_dev(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Read every program again, and replace what is not as it was fetched.")
    ] = False,
) -> None:
    """Fetch the tools of the stage into .deps/. The host stage needs none beyond .venv."""
    from pl.cli import tools

    env = stage_env()
    if env.runs_on == "host":
        output.line("nothing to do: everything the host stage needs is in .venv")
    else:
        tools.fetch(env.checkout, rehash=check)


@app.command()
def bootstrap(
    *,
    new_ports: Annotated[
        bool, typer.Option("--new-ports", help="Choose free ports again, where a remembered one was taken.")
    ] = False,
) -> None:
    """Make the stage's state and start its servers. Does nothing when they are up."""
    opened = stage()
    with output.progress() as progress:
        changed = opened.bootstrap(progress, new_ports=new_ports)
    output.line(f"{opened.env.stage} is up" if changed else f"{opened.env.stage} is already up")
    output.line(f"  state  {opened.env.state}")


@app.command()
def deploy(
    releases: Names = None,
    *,
    clean: Clean = False,
    reviewed: Annotated[
        str, typer.Option("--yes", metavar="DIGEST", help="Apply what a diff of this digest showed, and nothing else.")
    ] = "",
) -> None:
    """Bring the stage to what this checkout says: all of it, or the named parts with what they need.

    Bootstraps what is missing, touches only what changed, ends with the smoke test. A second deploy does nothing.
    On prod it shows the changes first and wants a clean checkout and the stage's name typed, or --yes with the digest
    of a diff.
    """
    began = time.monotonic()
    opened = stage()
    names = releases or ()
    if _wants_name(opened.env) and not reviewed:
        with output.progress() as progress:
            opened.bootstrap(progress)
        reviewed = _reviewed(opened.diff(names, clean=clean), opened.env, ["--clean"] * clean + list(names))
    with output.progress() as progress:
        changes = opened.deploy(progress, names, expected=reviewed, clean=clean)
    took = brief(time.monotonic() - began)
    env = opened.env
    if changes:
        output.line(f"{env.emoji} {env.stage} is deployed ({len(changes)} changed, {took})")
    else:
        output.line(f"{env.emoji} {env.stage} is as this checkout says: nothing to do ({took})")
    output.addresses(project().addresses(env))
    _tell_of_names(opened)
    output.line()
    output.line(f"accounts and passwords, on a terminal:  {_typed(env, 'credentials')}")
    output.line(f"next:  {_typed(env, 'status')}   {_typed(env, 'logs -f')}   {_typed(env, 'destroy')}")


@app.command()
def diff(
    releases: Names = None,
    *,
    clean: Clean = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 when there are changes, 0 when none.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what a deploy would change, and change nothing."""
    review = stage().diff(releases or (), clean=clean)
    if json:
        output.as_json(dataclasses.asdict(review))
    else:
        _show_review(review)
    if review.changes and exit_code:
        raise typer.Exit(1)


@app.command()
def status(*, json: Json = False) -> None:
    """Show programs, ports, health and addresses. Ends with 1 when something is not healthy."""
    opened = stage()
    found = opened.status()
    addresses = dict(project().addresses(opened.env))
    if json:
        output.as_json({"stage": opened.env.stage, "healthy": found.healthy, **found.facts, "addresses": addresses})
    else:
        for table in found.tables:
            output.table(table.rows, header=table.header)
            output.line()
        output.addresses(addresses)
    if not found.healthy:
        raise typer.Exit(1)


@app.command()
def logs(
    services: Annotated[
        list[str] | None, typer.Argument(metavar="[SERVICE]...", help="Programs; all of them when left out.")
    ] = None,
    *,
    follow: Follow = False,
    lines: Lines = 20,
) -> None:
    """Show the programs' logs, each line with its program's name."""
    from pl.cli.tail import show

    show(stage().logs(services or (), lines=lines, follow=follow))


@app.command(context_settings=PASSED_ON)
def terminal(command: Words = None) -> None:
    """Open a shell beside the platform's processes, with their settings and in their folder."""
    raise typer.Exit(stage().terminal(command or ()))


@app.command()
def credentials() -> None:
    """Show the accounts and their generated passwords, on a terminal only."""
    import sys

    opened = stage()
    env = opened.env
    if not sys.stdout.isatty():
        raise Declined(
            "passwords are shown on a terminal only",
            why=f"scripts read the files that the variables *_PASSWORD_FILE of {_typed(env, 'env')} name",
        )
    opened.must_exist()
    found = project().credentials(env)
    output.table([[f"  {account}", password] for account, password in found.items()])


@app.command()
def smoke() -> None:
    """Post a photo, wait for its thumbnail, fetch it, delete it."""
    began = time.monotonic()
    said = stage().smoke()
    output.line(f"✓ {said} ({brief(time.monotonic() - began)})")


@app.command()
def destroy(*, yes: Yes = False) -> None:
    """Stop everything and remove the stage's state, photos included. Asks first.

    In an existing cluster it removes the releases and nothing else, and wants the stage's name typed; prod stays.
    """
    opened = stage()
    doomed = opened.what_dies()
    if not doomed:
        output.line("there is nothing to destroy")
        return
    left = opened.what_stays()
    what = "\n".join(["This deletes:", *_listed(doomed), *(["What stays:", *_listed(left)] if left else ())])
    if opened.env.runs_on == "existing":
        typed_name(opened.env.stage, what)
    else:
        confirmed(what, yes=yes)
    opened.destroy()
    output.line(f"the releases of {opened.env.stage} are gone" if left else f"{opened.env.stage} is gone")


@app.command()
def env(*, json: Json = False) -> None:
    """Show the stage's fields and the variables they are exported as. Secrets are masked."""
    fields = stage_env().fields()
    if json:
        output.as_json(
            [
                {
                    "field": field.name,
                    "variable": field.variable,
                    "value": _MASK if field.secret else field.exported,
                    "secret": field.secret,
                }
                for field in fields
            ]
        )
        return
    output.table(
        [[field.variable, f"{_MASK} (in {field.exported})" if field.secret else field.exported] for field in fields]
    )


@app.command()
def backup(
    file: Annotated[
        Path | None, typer.Argument(help="Where to; a name of stage and time in the current folder when left out.")
    ] = None,
) -> None:
    """Save all that the stage holds to one encrypted archive, while it goes on serving."""
    opened = stage()
    opened.must_exist()
    backups = _backups()
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    env = opened.env
    target = file or Path(f"{env.root.name}-{env.stage}-{moment}.tar.age")
    with output.progress() as progress:
        said = backups.take(env, opened, target, progress)
    output.line(said)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="An archive that backup made.")],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Even if the stage holds something: that goes.")] = False,
    identity: Annotated[
        Path | None, typer.Option("--identity", help="The file with your private key of age; else the stage's own.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Bring back what an archive holds, all or nothing of it, into a stage that holds nothing yet.

    The archive is read to its end before anything is touched: one that is damaged, cut short, for another key or of a
    newer version is refused. With --replace it asks first; in an existing cluster it wants the stage's name typed.
    """
    opened = stage()
    opened.must_exist()
    backups = _backups()
    env = opened.env
    with output.progress() as progress:
        archive = backups.verify(env, opened, file, identity, progress)
    if archive.held:
        if not replace:
            raise BackupUnusable(
                f"{env.stage} is not empty: it has {archive.held} {archive.what}",
                why="the archive is good, and nothing was changed",
                hint=f"{_typed(env, f'restore --replace {file}')} replaces all of it",
            )
        what = f"This replaces all that {env.stage} holds, {archive.held} {archive.what} among it, by {archive.about}."
        if env.runs_on == "existing":
            typed_name(env.stage, what)
        else:
            confirmed(what, yes=yes)
    with output.progress() as progress:
        said = backups.restore(env, opened, archive, progress)
    output.line(said)


@app.command("add_hosts")
def add_hosts() -> None:
    """Make the stage's host names known to this machine, in a block of its own in /etc/hosts."""
    from pl.cluster import hosts

    opened = stage()
    names, owner = _must_have_names(opened), hosts.owner_of(opened.env)
    for remark in hosts.conflicts(names, owner=owner):
        output.line(remark)
    done = hosts.add(names, owner=owner)
    output.line(f"{hosts.FILE} has {', '.join(opened.host_names())}" if done else f"{hosts.FILE} is as it should be")


@app.command("remove_hosts")
def remove_hosts() -> None:
    """Take the stage's host names out of /etc/hosts."""
    from pl.cluster import hosts

    env = stage_env()
    if env.runs_on == "host":
        _must_have_names(stage())
    done = hosts.remove(owner=hosts.owner_of(env))
    output.line(f"{hosts.FILE} has no names of {env.stage} any more" if done else f"{hosts.FILE} has none of its names")


_MASK = "••••••"


def _listed(things: Sequence[str]) -> list[str]:
    return [f"  {thing}" for thing in things]


def _backups() -> Backups:
    make = project().backups
    if make is None:
        raise StageUnsupported(f"the project {stage_env().root.name} says of nothing how it is backed up")
    return make()


def _must_have_names(opened: Stage) -> Mapping[str, Sequence[str]]:
    names = opened.host_names()
    if not names:
        raise StageUnsupported(
            f"the stage {opened.env.stage} has no host names to add", why="its addresses name this machine and a port"
        )
    return names


def _tell_of_names(opened: Stage) -> None:
    """Addresses with names work once this machine knows those."""
    try:
        names = opened.host_names()
    except StageDown as error:  # deployed all the same: the way in may be somebody else's
        output.line(f"{error.what}: {error.why}")
        return
    if not names:
        return
    from pl.cluster import hosts

    missing = hosts.missing(names)
    if missing:
        output.line(f"this machine does not know {', '.join(missing)} yet:  {_typed(opened.env, 'add_hosts')}")


def _wants_name(env: StageEnv) -> bool:
    return bool(getattr(env, "confirm_by_name", False))


def _reviewed(review: Review, env: StageEnv, words: Sequence[str]) -> str:
    """The digest of what was shown and agreed to. ``words`` are what else was typed. Raises Declined."""
    import sys

    _show_review(review)
    if not review.changes:
        return review.digest
    if review.obstacles:
        raise Declined(f"{env.stage} cannot be deployed like this", why="\n".join(review.obstacles))
    if not sys.stdin.isatty():
        again = " ".join(["deploy", "--yes", review.digest, *words])
        raise Declined(
            f"a deploy of {env.stage} wants its name typed, and there is no terminal to ask on",
            hint=f"review the diff above, then: {_typed(env, again)}",
        )
    typed_name(env.stage, f"This changes {env.stage} as shown above.")
    return review.digest


def _show_review(review: Review) -> None:
    for change in review.changes:
        _show_change(change)
    for remark in review.remarks:
        output.line(output.coloured(f"left as it is: {remark}", "dim"))
    for obstacle in review.obstacles:
        output.line(output.coloured(f"a deploy would be refused: {obstacle}", "red"))
    if not review.changes:
        output.line("nothing would change")
    elif review.digest:
        output.line(f"digest: {review.digest}")


_COLOURS = {"start": "green", "run": "green", "create": "green", "install": "green", "stop": "red", "remove": "red"}


def _show_change(change: Change) -> None:
    colour = _COLOURS.get(change.action, "yellow")
    output.line(f"{output.coloured(f'{change.action:8}', colour)} {change.name}  {change.why}".rstrip())
    for difference in change.differences:
        output.line(f"           {difference.path}")
        if difference.old:
            output.line(output.coloured(f"             - {difference.old}", "red"))
        if difference.new:
            output.line(output.coloured(f"             + {difference.new}", "green"))


def _typed(env: StageEnv, words: str) -> str:
    """How a user types a subcommand from where they are: in a prompt's shell the name is on PATH."""
    if os.isatty(0) and os.environ.get("PS1"):
        return env.command(words)
    return f"{os.path.relpath(env.root)}/shell.py {env.stage} -- {env.command(words)}"

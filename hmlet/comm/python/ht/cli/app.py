"""The words of ``ht``: options that all commands share, signing in and out."""

from __future__ import annotations

from typing import Annotated

import typer

from ht import __version__
from ht.cli import diff, jobs, photos
from ht.cli.commands import new_app
from ht.cli.session import Session

app = new_app("Photos of a hmlet platform, from the command line.")
app.add_typer(photos.app, name="photos")
app.add_typer(jobs.app, name="jobs")
app.command()(diff.diff)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ht {__version__}")
        raise typer.Exit


@app.callback()
def _shared(
    context: typer.Context,
    url: Annotated[
        str, typer.Option(envvar="HT_WEB_URL", help="The platform's address. A stage's shell sets it.")
    ] = "",
    username: Annotated[
        str, typer.Option(envvar="HMLET_USERNAME", help="As whom; by default who signed in there last.")
    ] = "",
    password_file: Annotated[
        str, typer.Option(envvar="HMLET_PASSWORD_FILE", help="The password is its first line; - is standard input.")
    ] = "",
    ca_file: Annotated[
        str, typer.Option(envvar="HT_CA_FILE", help="Authorities to trust for https. A stage's shell sets it.")
    ] = "",
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it and exit.")] = False,
) -> None:
    context.obj = Session(url=url, username=username, password_file=password_file, ca_file=ca_file)


@app.command()
def login(context: typer.Context) -> None:
    """Sign in, and stay so for the commands that follow.

    Asks for username and password where options and variables do not give them. No password is kept: tokens are, in a
    file that its owner alone can read, one for each address.
    """
    session: Session = context.obj
    typer.echo(f"signed in as {session.sign_in()} at {session.address}")


@app.command()
def logout(context: typer.Context) -> None:
    """End the sign-in whose tokens are kept for the address, and forget them."""
    session: Session = context.obj
    session.sign_out()
    typer.echo(f"signed out of {session.address}")

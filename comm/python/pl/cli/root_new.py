"""``pl.new``: make a new cluster or app."""

from __future__ import annotations

from typing import Annotated

import typer

from pl.cli import output
from pl.cli.commandline import new_app
from pl.cli.root import checkout

app = new_app(help="Make a new cluster, or a new app of a cluster.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The folder: a-z, 0-9 and _.")]
Code = Annotated[str, typer.Argument(metavar="CODE", help="2 to 4 letters: the prompt, CODE.deploy, CODE_VARIABLE.")]


@app.command()
def cluster(
    name: Name,
    code: Code,
    *,
    emoji: Annotated[
        list[str] | None, typer.Option("--emoji", metavar="STAGE=EMOJI", help="Another sign than usual; repeatable.")
    ] = None,
) -> None:
    """Make a cluster with all five stages; its host stage serves one page."""
    from pl import scaffold

    scaffold.new_cluster(checkout(), name, code, _signs(emoji or []))
    output.line(f"{name}/ is made; every stage of it loads")
    output.line(f"next:  {name}/shell.py host -- {code}.deploy   then edit {name}/host.py and {name}/env_comm.py")


@app.command("app")
def app_(cluster: Annotated[str, typer.Argument(metavar="CLUSTER", help="Whose app.")], name: Name, code: Code) -> None:
    """Make an app of a cluster."""
    from pl import scaffold

    scaffold.new_app(checkout(), cluster, name, code)
    output.line(f"{cluster}/{name}/ is made; its shell opens in every stage")
    output.line(f"next:  {cluster}/{name}/shell.py host   then name its programs in {cluster}/host.py")


def _signs(words: list[str]) -> dict[str, str]:
    from pl.errors import UsageError

    signs = dict(word.partition("=")[::2] for word in words)
    empty = [stage for stage, sign in signs.items() if not sign]
    if empty:
        raise UsageError(f"--emoji {empty[0]}: no sign was given", hint=f"--emoji {empty[0]}=🌱")
    return signs

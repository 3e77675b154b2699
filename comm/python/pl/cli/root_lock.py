"""``pl.lock``: refresh the hashed locks, and the recorded checksums of tools."""

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
    tools: Annotated[
        bool, typer.Option("--tools", help="Instead: record in comm/tools.toml what vendors say of their files.")
    ] = False,
) -> None:
    """Bring requirements/*.txt to what requirements/*.in say. All locks are written, or none."""
    from pl import locks
    from pl.errors import UsageError

    if tools and (packages or upgrade):
        raise UsageError("--tools is about the checksums of tools, and packages are no tools", hint="pl.lock --tools")
    if tools:
        _record_tools()
        return
    if packages and not upgrade:
        raise UsageError("packages are named to be upgraded", hint=f"pl.lock --upgrade {' '.join(packages)}")
    refreshed = locks.refresh(checkout(), say=output.note, upgrade_all=upgrade and not packages, upgrade=packages or ())
    for each in refreshed:
        output.line(f"{each.lock}: {f'{len(each.changes)} changed' if each.changes else 'as it was'}")
        for change in each.changes:
            output.line(f"  {change}")
    if any(each.changes for each in refreshed):
        output.line("the next shell makes a new .venv")


def _record_tools() -> None:
    from pl.tools import pins, registry

    found = pins.record(checkout(), say=output.note)
    count = len(found.recorded)
    output.line(f"{registry.FILE}: {f'{count} checksums recorded' if count else 'as it was'}")
    for each in found.recorded:
        output.line(f"  {each.tool} {each.platform} {each.before[:12] or 'nothing'} → {each.after[:12]}")
    for name in found.without:
        output.line(f"– {name}: its vendor publishes no checksum; until you record its sha256 it is never fetched")
    if any(each.before for each in found.recorded):
        output.line("where a version did not change, a checksum should not either: look before you commit")

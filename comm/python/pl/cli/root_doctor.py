"""``pl.doctor``: check this machine and say how to mend it."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pl.cli import output
from pl.cli.commandline import new_app
from pl.cli.root import checkout

if TYPE_CHECKING:
    from pl.doctor import Finding

app = new_app()


@app.command()
def doctor(*, json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False) -> None:
    """Check this machine. Ends with 1 only when something is wrong without which nothing works."""
    examine(as_json=json)


def examine(*, as_json: bool = False) -> None:
    """Print what was found. Raises MachineUnfit."""
    from pl import doctor as checks
    from pl.env import state_home
    from pl.errors import MachineUnfit

    machine = checks.Machine(
        checkout=checkout(), instance=os.environ["PL_INSTANCE"], environ=os.environ, state_home=state_home()
    )
    findings = list(checks.examine(machine))
    wrong = [finding for finding in findings if finding.required and not finding.well]
    if as_json:
        output.as_json({"fit": not wrong, "findings": [asdict(finding) for finding in findings]})
    else:
        output.table([(_sign(finding), finding.name, finding.found) for finding in findings])
        for finding in findings:
            if not finding.well:
                output.line(f"{finding.name}: {finding.remedy}")
    if wrong:
        names = ", ".join(finding.name for finding in wrong)
        raise MachineUnfit(
            f"this machine is not ready: {names}", hint="" if as_json else "the lines above say what to do"
        )


def _sign(finding: Finding) -> str:
    if finding.well:
        return output.coloured("✓", "green")
    return output.coloured("✗", "red") if finding.required else output.coloured("–", "yellow")

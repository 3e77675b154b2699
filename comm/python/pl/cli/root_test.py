"""``pl.test``: run suites, then say in a table what became of each."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pl.cli import output
from pl.cli.commandline import new_app
from pl.cli.root import checkout
from pl.durations import brief

if TYPE_CHECKING:
    from pl.suite_runs import Outcome
    from pl.suites import Suite

_LINES_OF_A_RED = 12
"""Of what a red test said: enough to know it by in a log of which only the end was kept."""

app = new_app()


@app.command()
def test(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SUITE]...", help="Suites by name.")] = None,
    *,
    nothing_left_out: Annotated[
        bool, typer.Option("--all", help="Fail when a suite or a single test was left out (CI).")
    ] = False,
    exitfirst: Annotated[bool, typer.Option("--exitfirst", "-x", help="End with the first test that fails.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Show the suites and what they need; run nothing.")] = False,
) -> None:
    """Run the named suites, or all that this machine can run, in a throw-away instance."""
    from pl import suites

    root = checkout()
    known = suites.read(root)
    chosen = known.named(names or [])
    if listed:
        _show(chosen, root)
    else:
        run_suites(root, chosen, known.coverage_sources, nothing_left_out=nothing_left_out, exitfirst=exitfirst)


def run_suites(
    root: Path,
    chosen: Sequence[Suite],
    coverage_sources: tuple[str, ...],
    *,
    nothing_left_out: bool = False,
    exitfirst: bool = False,
    fix: bool = False,
) -> None:
    """Run suites and report. Raises SuitesFailed."""
    from pl import throwaway
    from pl.suite_runs import Runner

    outcomes: list[Outcome] = []
    throwaway.sweep(_head)
    try:
        with throwaway.ThrowAway(root, say=_head) as place:
            runner = Runner(
                checkout=root,
                place=place,
                coverage_sources=coverage_sources,
                say=_head,
                exitfirst=exitfirst,
                fix=fix,
            )
            # One by one into a list: what was done before an interruption is reported, too.
            for suite in chosen:
                outcomes.append(runner.run(suite))
                if exitfirst and outcomes[-1].failures:
                    break
    finally:
        with contextlib.suppress(BrokenPipeError):
            _report(outcomes, asked=len(chosen))
    _judge(outcomes, nothing_left_out=nothing_left_out)


def _head(text: str) -> None:
    """A heading over a program's own output."""
    output.line(output.coloured(f"\n▶ {text}", "bold"))


def _report(outcomes: Sequence[Outcome], *, asked: int) -> None:
    output.line()
    output.table([_row(outcome) for outcome in outcomes], header=["suite", "result", "time", "tests", "skipped"])
    for outcome in outcomes:
        for failure in outcome.failures:
            output.line(f"red: {outcome.suite}: {failure}")
        for red in outcome.tally.reds:
            output.line(f"red: {red.test}")
            for line in red.why.splitlines()[:_LINES_OF_A_RED]:
                output.line(f"  {line}")
    for outcome in outcomes:
        for need in outcome.unmet:
            output.line(f"left out: {outcome.suite} needs {need.name}: {need.remedy}")
        for reason, count in Counter(outcome.tally.skips).items():
            output.line(f"left out: {outcome.suite}: {count} test{'s' if count > 1 else ''}: {reason}")
    if len(outcomes) < asked:
        output.line(f"{asked - len(outcomes)} of {asked} suites did not come to their end")
    passed = sum(outcome.tally.passed for outcome in outcomes)
    failed = sum(len(outcome.tally.reds) for outcome in outcomes)
    skipped = sum(len(outcome.tally.skips) for outcome in outcomes)
    if passed or failed or skipped:
        output.line(f"tests: {passed} passed, {failed} failed, {skipped} skipped")


def _row(outcome: Outcome) -> tuple[str, str, str, str, str]:
    if outcome.unmet:
        return outcome.suite, "left out", "", "", ""
    result = output.coloured("red  ", "red") if outcome.failures else output.coloured("green", "green")
    tally = outcome.tally
    tests, skipped = str(tally.passed + len(tally.reds) or ""), str(len(tally.skips) or "")
    return outcome.suite, result, brief(outcome.duration_s), tests, skipped


def _judge(outcomes: Sequence[Outcome], *, nothing_left_out: bool) -> None:
    from pl.errors import SuitesFailed

    red = [outcome.suite for outcome in outcomes if outcome.failures]
    if red:
        raise SuitesFailed(f"red: {', '.join(red)}", hint=f"once mended: pl.test {' '.join(red)}")
    partial = [outcome.suite for outcome in outcomes if not outcome.complete]
    if nothing_left_out and partial:
        raise SuitesFailed(
            f"not all was run: {', '.join(partial)}",
            why="--all allows that nowhere",
            hint="the lines above say what is missing",
        )


def _show(chosen: Sequence[Suite], root: Path) -> None:
    unmet = {suite.name: suite.unmet(root) for suite in chosen}
    output.table(
        [
            (
                suite.name,
                suite.about,
                ", ".join(need.name for need in suite.needs),
                "is left out here" if unmet[suite.name] else "",
            )
            for suite in chosen
        ],
        header=["suite", "what", "needs", ""],
    )
    for need in dict.fromkeys(need for needs in unmet.values() for need in needs):
        output.line(f"{need.name}: {need.remedy}")

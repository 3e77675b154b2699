"""Run suites: each step on this process's own streams, in a throw-away place, and judged by status and JUnit file.

What a run leaves is in ``reports/``: ``junit/SUITE-STEP.xml``, and ``coverage/.coverage.SUITE-STEP``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pl import junit, proc
from pl.errors import CommandFailed, PlError
from pl.suites import Need, Step, Suite
from pl.throwaway import ThrowAway

REPORTS = "reports"
_MAX_WORKERS = 4
_SIGNALLED = (129, 130, 143)
"""Statuses of a command that ended because somebody wants all of it to end: SIGHUP, SIGINT, SIGTERM."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a suite. ``unmet`` is not empty when it was left out; ``failures`` names steps that were red."""

    suite: str
    duration_s: float = 0.0
    tally: junit.Tally = field(default_factory=junit.Tally)
    failures: tuple[str, ...] = ()
    unmet: tuple[Need, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether it was run, and no test in it was skipped."""
        return not self.unmet and not self.tally.skips


@dataclass(frozen=True, kw_only=True)
class Runner:
    """How suites are run in a checkout. ``say`` is told of each step before it starts; with ``exitfirst`` a suite ends
    with its first test or step that is red."""

    checkout: Path
    place: ThrowAway
    coverage_sources: tuple[str, ...]
    say: Callable[[str], None]
    exitfirst: bool = False
    fix: bool = False

    def run(self, suite: Suite) -> Outcome:
        """Run the steps of a suite; one that is red keeps no other from being run, unless that was asked for. Raises
        KeyboardInterrupt."""
        unmet = suite.unmet(self.checkout)
        if unmet:
            return Outcome(suite=suite.name, unmet=unmet)
        began = time.monotonic()
        results: list[tuple[Step, str, junit.Tally]] = []
        for step in suite.steps:
            fault, tally = self._run_step(suite, step)
            results.append((step, fault, tally))
            if fault and self.exitfirst:
                break
        return Outcome(
            suite=suite.name,
            duration_s=time.monotonic() - began,
            tally=junit.total(tally for _, _, tally in results),
            failures=tuple(f"{step.name}: {fault}" for step, fault, _ in results if fault),
        )

    def _run_step(self, suite: Suite, step: Step) -> tuple[str, junit.Tally]:
        """What was wrong, or nothing, and the tally of its tests."""
        name = f"{suite.name}-{step.name}"
        report = self.checkout / REPORTS / "junit" / f"{name}.xml"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.unlink(missing_ok=True)
        self.say(f"{suite.name}: {step.name}")
        try:
            if step.stage:
                self.place.deployed(step.stage)
            argv = (step.fix if self.fix and step.fix else step.run) or self._pytest(step, name, report)
            status = self._attach(step, argv, self._environ(step, name))
        except CommandFailed as error:
            status, fault = error.status, error.what
        except PlError as error:
            return str(error), junit.Tally()
        else:
            fault = "" if status == 0 else _fault(step, status)
        if status in _SIGNALLED:
            raise KeyboardInterrupt
        return fault, junit.read(report)

    def _attach(self, step: Step, argv: Sequence[str], environ: dict[str, str]) -> int:
        return proc.attach((*self.place.shell(step.stage), *argv), env=environ, cwd=self.checkout / step.folder)

    def _pytest(self, step: Step, name: str, report: Path) -> tuple[str, ...]:
        argv = ["pytest", *step.pytest, f"--junitxml={report}", "-o", f"junit_suite_name={name}"]
        if self.exitfirst:
            argv += ["--exitfirst"]
        if step.parallel:
            workers = min(os.cpu_count() or 1, _MAX_WORKERS)
            argv += ["--numprocesses", str(workers), "--dist", "worksteal"]
        if step.cover:
            argv += [f"--cov-config={self.checkout / 'pyproject.toml'}", "--cov-report="]
            argv += ["--cov-fail-under=0"]  # the floor is for what all suites execute together
            argv += [f"--cov={self._source(name)}" for name in self.coverage_sources]
        return tuple(argv)

    def _source(self, name: str) -> str:
        """A folder of the checkout, from wherever the step runs, or else a package."""
        folder = self.checkout / name
        return str(folder) if folder.is_dir() else name

    def _environ(self, step: Step, name: str) -> dict[str, str]:
        environ = self.place.environ()
        # The prefix is what `coverage combine` looks for in a folder.
        data = self.checkout / REPORTS / "coverage" / f".coverage.{name}"
        if step.cover:
            data.parent.mkdir(parents=True, exist_ok=True)
            for old in data.parent.glob(f"{data.name}*"):
                old.unlink()
            environ["COVERAGE_FILE"] = str(data)
        if step.env:
            known = {**environ, **self._stage_variables(step)}
            environ.update({key: _filled(value, known) for key, value in step.env.items()})
        return environ

    def _stage_variables(self, step: Step) -> dict[str, str]:
        """What the step's shell exports."""
        printed = proc.run((*self.place.shell(step.stage), "env", "-0"), env=self.place.environ()).stdout
        return dict(pair.split("=", 1) for pair in printed.split("\0") if "=" in pair)


def _filled(value: str, known: dict[str, str]) -> str:
    """A value with $NAME and ${NAME} replaced. Raises PlError for a name that nobody exports."""

    def variable(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in known:
            raise PlError(f"suites.toml: ${name} is no variable of that shell")
        return known[name]

    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", variable, value)


def _fault(step: Step, status: int) -> str:
    if step.pytest and status == 1:
        return "tests failed"
    if step.pytest and status == 5:
        return "no test was found"
    return f"exit status {status}"

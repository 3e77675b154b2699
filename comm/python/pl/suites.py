"""Which test suites there are, what each needs and how it is run: the data of ``suites.toml``, checked.

Nothing here runs a suite; ``pl.suite_runs`` does.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from pl import proc
from pl.errors import PlError, SuitesInvalid, UsageError

FILE = "suites.toml"
_ANSWER_TIMEOUT_S = 20.0

M = TypeVar("M", "Need", "Step", "Suite")


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something that a machine may lack, and what to do about that."""

    name: str
    remedy: str
    found: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def of_machine(self) -> bool:
        """Whether it is something to install, not something that another suite leaves."""
        return bool(self.found or self.answers)

    def is_met(self, checkout: Path) -> bool:
        if self.found and not any(shutil.which(program) for program in self.found):
            return False
        if not all(any(checkout.glob(pattern)) for pattern in self.files):
            return False
        return not self.answers or _answers(self.answers)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of a suite. ``folder`` is relative to the checkout, ``stage`` is PROJECT/STAGE or empty."""

    name: str
    run: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    pytest: tuple[str, ...] = ()
    folder: str = "."
    stage: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    parallel: bool = False
    cover: bool = False


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Steps that are run and judged together."""

    name: str
    about: str
    steps: tuple[Step, ...]
    needs: tuple[Need, ...] = ()

    def unmet(self, checkout: Path) -> tuple[Need, ...]:
        """What this machine lacks for the suite."""
        return tuple(need for need in self.needs if not need.is_met(checkout))


@dataclass(frozen=True, kw_only=True)
class Suites:
    """All that a checkout has."""

    all: tuple[Suite, ...]
    needs: tuple[Need, ...]
    coverage_sources: tuple[str, ...]

    def named(self, names: Sequence[str]) -> tuple[Suite, ...]:
        """The suites of these names in their own order, or all of them. Raises UsageError for a name that is none."""
        known = [suite.name for suite in self.all]
        for name in names:
            if name not in known:
                raise UsageError(
                    f"no suite is called {name!r}", why=f"suites: {', '.join(known)}", hint="pl.test --list"
                )
        return tuple(suite for suite in self.all if not names or suite.name in names)


def read(checkout: Path) -> Suites:
    """The suites of a checkout. Raises SuitesInvalid."""
    file = checkout / FILE
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise _invalid(file, str(error)) from None
    try:
        needs = {key: _made(Need, entry, f"needs.{key}") for key, entry in document.get("needs", {}).items()}
        suites = tuple(_suite(name, entry, needs) for name, entry in document.get("suites", {}).items())
        sources = _words(document.get("coverage", {}).get("sources", []), "coverage.sources")
    except _MistakeError as mistake:
        raise _invalid(file, str(mistake)) from None
    return Suites(all=suites, needs=tuple(needs.values()), coverage_sources=sources)


def _invalid(file: Path, mistake: str) -> SuitesInvalid:
    return SuitesInvalid(f"{file}: {mistake}", hint="the head of that file says what may stand in it")


class _MistakeError(Exception):
    """Where in the document, and what is wrong there."""


def _suite(name: str, entry: dict[str, Any], needs: Mapping[str, Need]) -> Suite:
    place = f"suites.{name}"
    unknown = [key for key in entry.get("needs", []) if key not in needs]
    if unknown:
        raise _MistakeError(f"{place}: needs.{unknown[0]} is not defined")
    steps = tuple(_step(step, f"{place}.steps") for step in entry.get("steps", []))
    if not steps:
        raise _MistakeError(f"{place}: has no steps")
    if len({step.name for step in steps}) < len(steps):
        raise _MistakeError(f"{place}: two steps have one name")
    given = {key: value for key, value in entry.items() if key not in ("steps", "needs")}
    return _made(
        Suite, {**given, "name": name}, place, steps=steps, needs=tuple(needs[key] for key in entry.get("needs", []))
    )


def _step(entry: dict[str, Any], place: str) -> Step:
    step = _made(Step, {("folder" if key == "in" else key): value for key, value in entry.items()}, place)
    if bool(step.run) == bool(step.pytest):
        raise _MistakeError(f"{place}: {step.name}: has either `run` or `pytest`")
    if step.stage.count("/") > 1 or step.stage.startswith("/") or step.stage.endswith("/"):
        raise _MistakeError(f"{place}: {step.name}: stage is PROJECT/STAGE")
    return step


def _made(kind: type[M], entry: Mapping[str, Any], place: str, **given: object) -> M:
    """A dataclass from a table, with every key known, every needed one there and every value of the right type."""
    known = {each.name: each for each in fields(kind)}
    values: dict[str, Any] = dict(given)
    for key, value in entry.items():
        if key not in known or key in given:
            raise _MistakeError(f"{place}: {key}: not known here")
        wanted = str(known[key].type)
        if wanted.startswith("tuple"):
            value = _words(value, f"{place}.{key}")
        elif not isinstance(value, {"str": str, "bool": bool}.get(wanted, dict)):
            raise _MistakeError(f"{place}: {key}: must be {wanted}")
        values[key] = value
    try:
        return kind(**values)
    except TypeError as error:
        raise _MistakeError(f"{place}: {str(error).partition('() ')[2]}") from None


def _words(value: object, place: str) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise _MistakeError(f"{place}: must be a list of strings")


def _answers(argv: Sequence[str]) -> bool:
    try:
        return proc.run(argv, timeout_s=_ANSWER_TIMEOUT_S, check=False).status == 0
    except PlError:
        return False

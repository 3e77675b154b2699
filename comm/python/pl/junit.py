"""What a JUnit XML file of pytest says: how many tests passed, which were red, and why some were skipped."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Red:
    """A test that is red: its name, with its module's, and what it said."""

    test: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What became of tests. ``reds`` failed or erred; ``skips`` are the reasons of skipped tests, one for each. An
    expected failure passed."""

    passed: int = 0
    reds: tuple[Red, ...] = ()
    skips: tuple[str, ...] = ()


def read(file: Path) -> Tally:
    """The tally of one file; of no tests when the file is not there or was cut short."""
    try:
        root = ET.parse(file).getroot()  # noqa: S314
    except (OSError, ET.ParseError):
        return Tally()
    passed, reds, skips = 0, [], []
    for case in root.iter("testcase"):
        skipped = case.find("skipped")
        faults = [fault for kind in ("failure", "error") if (fault := case.find(kind)) is not None]
        if faults:
            name = f"{case.get('classname')}::{case.get('name')}"
            reds.append(Red(test=name, why="\n".join(fault.get("message") or "" for fault in faults)))
        elif skipped is not None and skipped.get("type") != "pytest.xfail":
            skips.append(skipped.get("message") or "no reason given")
        else:
            passed += 1
    return Tally(passed=passed, reds=tuple(reds), skips=tuple(skips))


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    every = list(tallies)
    return Tally(
        passed=sum(tally.passed for tally in every),
        reds=tuple(red for tally in every for red in tally.reds),
        skips=tuple(reason for tally in every for reason in tally.skips),
    )

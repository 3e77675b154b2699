"""What a JUnit XML file of pytest says: how many tests did what, and why some were skipped."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Counts of tests. ``skips`` are the reasons of skipped tests, one for each. An expected failure passed."""

    passed: int = 0
    failed: int = 0
    skips: tuple[str, ...] = ()


def read(file: Path) -> Tally:
    """The tally of one file; of no tests when the file is not there or was cut short."""
    try:
        root = ET.parse(file).getroot()  # noqa: S314
    except (OSError, ET.ParseError):
        return Tally()
    passed, failed, skips = 0, 0, []
    for case in root.iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skipped is not None and skipped.get("type") != "pytest.xfail":
            skips.append(skipped.get("message") or "no reason given")
        else:
            passed += 1
    return Tally(passed=passed, failed=failed, skips=tuple(skips))


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    every = list(tallies)
    return Tally(
        passed=sum(tally.passed for tally in every),
        failed=sum(tally.failed for tally in every),
        skips=tuple(reason for tally in every for reason in tally.skips),
    )

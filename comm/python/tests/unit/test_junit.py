"""What pytest wrote about its tests is counted as pytest counts it."""

import subprocess
import sys
from pathlib import Path

from pl import junit

TESTS = """
import pytest

def test_passes(): pass

def test_fails(): assert False

@pytest.fixture
def broken(): raise RuntimeError

def test_errs(broken): pass

def test_skips(): pytest.skip("no moon")

@pytest.mark.xfail
def test_is_expected_to_fail(): assert False
"""


def _run(folder: Path, tests: str) -> tuple[str, junit.Tally]:
    """What pytest prints of the tests, and what is read of its report."""
    (folder / "test_it.py").write_text(tests, encoding="utf-8")
    report = folder / "report.xml"
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", f"--junitxml={report}"]
    done = subprocess.run([*argv, "test_it.py"], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout, junit.read(report)


def test_counts_are_those_of_pytest(tmp_path: Path) -> None:
    said, tally = _run(tmp_path, TESTS)
    assert "1 failed, 1 passed, 1 skipped, 1 xfailed, 1 error" in said
    assert (tally.passed, len(tally.reds), tally.skips) == (2, 2, ("no moon",))


def test_a_red_test_is_named_with_what_it_said(tmp_path: Path) -> None:
    _, tally = _run(tmp_path, "def test_moon():\n    raise ValueError('no moon')\n")
    assert tally.reds == (junit.Red(test="test_it::test_moon", why="ValueError: no moon"),)


def test_a_report_that_is_missing_or_cut_short_counts_nothing(tmp_path: Path) -> None:
    assert junit.read(tmp_path / "none.xml") == junit.Tally()
    (tmp_path / "half.xml").write_text("<testsuites><testsuite><testcase", encoding="utf-8")
    assert junit.read(tmp_path / "half.xml") == junit.Tally()


def test_totals_add_up() -> None:
    red = junit.Red(test="test_it::test_moon", why="no moon")
    every = [junit.Tally(passed=1, skips=("a",)), junit.Tally(passed=2, reds=(red,), skips=("a", "b"))]
    assert junit.total(every) == junit.Tally(passed=3, reds=(red,), skips=("a", "a", "b"))

"""suites.toml: what it says is read as meant, what makes no sense is named, and the real one fits the checkout."""

from pathlib import Path

import pytest
from pl import suites
from pl.errors import SuitesInvalid, UsageError
from pl.suite_runs import Outcome
from pl.suites import Need

CHECKOUT = Path(__file__).resolve().parents[4]

GOOD = """
[coverage]
sources = ["src"]

[needs.moon]
name = "the moon"
found = ["no-such-program-on-earth"]
remedy = "wait for the night"

[suites.quick]
about = "quick ones"

[[suites.quick.steps]]
name = "one"
pytest = ["tests"]
in = "sub"
env = { A = "$B" }
parallel = true

[suites.lunar]
about = "wants the moon"
needs = ["moon"]

[[suites.lunar.steps]]
name = "howl"
run = ["howl"]
stage = "acme/host"
"""


def _read(folder: Path, text: str) -> suites.Suites:
    (folder / "suites.toml").write_text(text, encoding="utf-8")
    return suites.read(folder)


def test_suites_are_read_in_their_order_with_what_they_need(tmp_path: Path) -> None:
    known = _read(tmp_path, GOOD)
    assert [suite.name for suite in known.all] == ["quick", "lunar"]
    quick, lunar = known.all
    assert quick.steps[0].folder == "sub"
    assert quick.steps[0].parallel
    assert quick.steps[0].env == {"A": "$B"}
    assert lunar.steps[0].stage == "acme/host"
    assert [need.remedy for need in lunar.unmet(tmp_path)] == ["wait for the night"]
    assert not quick.unmet(tmp_path)


def test_named_suites_keep_the_order_of_the_file(tmp_path: Path) -> None:
    known = _read(tmp_path, GOOD)
    assert [suite.name for suite in known.named(["lunar", "quick"])] == ["quick", "lunar"]
    assert known.named([]) == known.all


def test_an_unknown_suite_is_a_usage_error_that_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="quikc") as raised:
        _read(tmp_path, GOOD).named(["quikc"])
    assert "quick, lunar" in str(raised.value)


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        (('name = "one"', 'nmae = "one"'), "nmae: not known here"),
        (('pytest = ["tests"]', ""), "one: has either `run` or `pytest`"),
        (('run = ["howl"]', 'run = "howl"'), "suites.lunar.steps.run: must be a list of strings"),
        (("parallel = true", "parallel = 1"), "parallel: must be bool"),
        (('needs = ["moon"]', 'needs = ["sun"]'), "needs.sun is not defined"),
        (('about = "quick ones"', ""), "suites.quick: missing 1 required"),
        (('remedy = "wait for the night"', ""), "needs.moon: missing 1 required"),
        (('stage = "acme/host"', 'stage = "/etc/passwd"'), "stage is PROJECT/STAGE"),
        (("[coverage]", "[coverage"), "suites.toml"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, change: tuple[str, str], mistake: str) -> None:
    with pytest.raises(SuitesInvalid) as raised:
        _read(tmp_path, GOOD.replace(*change))
    assert mistake in str(raised.value)


def test_a_need_is_met_by_any_of_its_programs() -> None:
    assert Need(name="a shell", remedy="", found=("no-such-program-on-earth", "sh")).is_met(CHECKOUT)
    assert not Need(name="none", remedy="", found=("no-such-program-on-earth",)).is_met(CHECKOUT)


def test_a_need_is_met_by_a_command_that_ends_well() -> None:
    assert Need(name="yes", remedy="", answers=("true",)).is_met(CHECKOUT)
    assert not Need(name="no", remedy="", answers=("false",)).is_met(CHECKOUT)
    assert not Need(name="not there", remedy="", answers=("no-such-program-on-earth",)).is_met(CHECKOUT)


def test_a_need_is_met_when_each_pattern_finds_a_file(tmp_path: Path) -> None:
    need = Need(name="both", remedy="", files=("a*", "b*"))
    (tmp_path / "a1").touch()
    assert not need.is_met(tmp_path)
    (tmp_path / "b1").touch()
    assert need.is_met(tmp_path)


def test_every_path_that_the_real_suites_name_is_there() -> None:
    known = suites.read(CHECKOUT)
    missing = [
        f"{suite.name}: {step.folder}/{word}"
        for suite in known.all
        for step in suite.steps
        for word in (".", *step.pytest)
        if "/" in word and not (CHECKOUT / step.folder / word).exists()
    ]
    assert not missing
    homes = [CHECKOUT / home for home in ("comm/python", "hmlet/comm/python", "hmlet/photos/flesh")]
    assert [name for name in known.coverage_sources if not any((home / name).is_dir() for home in homes)] == []


def test_every_folder_of_tests_is_run_by_a_suite() -> None:
    run = [
        (CHECKOUT / step.folder / word).resolve()
        for suite in suites.read(CHECKOUT).all
        for step in suite.steps
        for word in step.pytest
    ]
    forgotten = [
        str(file.relative_to(CHECKOUT))
        for top in ("comm", "hmlet", "tests")
        for file in (CHECKOUT / top).rglob("test_*.py")
        if not any(file.is_relative_to(place) for place in run)
    ]
    assert not forgotten


def test_a_suite_with_a_skipped_test_is_not_complete() -> None:
    from pl.junit import Tally

    assert Outcome(suite="x", tally=Tally(passed=1)).complete
    assert not Outcome(suite="x", tally=Tally(passed=1, skips=("no zsh",))).complete
    assert not Outcome(suite="x", unmet=(Need(name="y", remedy="z"),)).complete

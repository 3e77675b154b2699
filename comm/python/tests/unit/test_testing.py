"""Where tests of a stage run, and where they refuse to."""

from __future__ import annotations

from pathlib import Path

import pytest
from pl.env import StageEnv
from pl.errors import NotInStage, StageUnsupported
from pl.testing import env_for_tests

CHECKOUT = Path(__file__).resolve().parents[4]
OPENER = "hmlet/shell.py host"


def in_shell_of(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"PL_CHECKOUT": str(CHECKOUT), "PL_ROOT": str(CHECKOUT / "hmlet"), "PL_APP": "", "PL_INSTANCE": "unit"}
    for name, value in {**variables, "PL_STAGE": stage}.items():
        monkeypatch.setenv(name, value)


def test_outside_a_shell_the_command_that_opens_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PL_STAGE", raising=False)
    with pytest.raises(NotInStage, match=f"{OPENER} -- pytest"):
        env_for_tests(StageEnv, opener=OPENER)


def test_prod_is_not_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    in_shell_of("prod", monkeypatch)
    with pytest.raises(StageUnsupported, match="tests do not run on prod"):
        env_for_tests(StageEnv, opener=OPENER)


@pytest.mark.parametrize("stage", ["host", "test", "local", "stage"])
def test_every_other_stage_is(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_shell_of(stage, monkeypatch)
    assert env_for_tests(StageEnv, opener=OPENER).stage == stage

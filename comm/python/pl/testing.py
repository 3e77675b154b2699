"""Fixtures for the tests of projects that pl deploys. A project's ``tests/conftest.py`` says which environment it has::

    from pl.testing import env_fixture

    env = env_fixture(HmletEnv, opener="hmlet/shell.py host")

Tests with the fixture ``env`` run against the stage whose shell they are started in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from pl.env import StageEnv, current
from pl.errors import NotInStage, PlError, StageUnsupported

E = TypeVar("E", bound=StageEnv)

UNTESTED_STAGES = ("prod",)
"""Tests make users and photos and delete them. Where people's own are, that is not tried."""


def env_fixture(kind: type[E], *, opener: str) -> Callable[[], E]:
    """The fixture ``env``: the current stage's environment, of the project's class. ``opener`` opens a shell.

    Outside a stage's shell, and on prod, each test that asks for it errs with what to type instead.
    """

    @pytest.fixture(scope="session", name="env")
    def env() -> E:
        try:
            return env_for_tests(kind, opener=opener)
        except PlError as error:
            refusal = str(error)
        # Outside of the except clause: pytest would show what was raised there as well.
        pytest.fail(refusal, pytrace=False)

    return env


def env_for_tests(kind: type[E], *, opener: str) -> E:
    """The current stage's environment. Raises NotInStage, EnvInvalid, and StageUnsupported on prod."""
    try:
        env = current(kind)
    except NotInStage:
        raise NotInStage("pytest", opener) from None
    if env.stage in UNTESTED_STAGES:
        raise StageUnsupported(
            f"tests do not run on {env.stage}",
            why="they make users and photos and delete them",
            hint=f"{opener} -- pytest",
        )
    return env

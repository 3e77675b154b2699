"""Secrets are made once, privately, whole or not at all."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pl import secrets
from pl.env import Secret


@pytest.fixture
def env(tmp_path: Path) -> Any:
    found = [Secret(tmp_path / "secrets" / name) for name in ("first", "second")]
    fields = [SimpleNamespace(name=secret.path.name, secret=True, value=secret) for secret in found]
    return SimpleNamespace(fields=lambda: [*fields, SimpleNamespace(name="plain", secret=False, value=1)])


def test_missing_secrets_are_made_and_those_that_are_there_stay(env: Any) -> None:
    assert not secrets.is_complete(env)
    assert secrets.generate_missing(env) == ("first", "second")
    made = secrets.reveal_all(env)
    assert secrets.is_complete(env)
    assert secrets.generate_missing(env) == ()
    assert secrets.reveal_all(env) == made
    env.fields()[1].value.path.unlink()
    assert secrets.generate_missing(env) == ("second",)
    assert secrets.reveal_all(env)["first"] == made["first"]
    assert secrets.reveal_all(env)["second"] != made["second"]


def test_a_secret_is_long_needs_no_quoting_and_is_its_users_alone(env: Any) -> None:
    before = os.umask(0)
    try:
        secrets.generate_missing(env)
    finally:
        os.umask(before)
    for field in env.fields()[:2]:
        value = field.value.reveal()
        assert len(value) == 40
        assert value.isascii()
        assert value.isalnum()
        assert field.value.path.stat().st_mode & 0o777 == 0o600
        assert field.value.path.parent.stat().st_mode & 0o777 == 0o700
        assert value not in repr(field.value)


def test_a_secret_of_a_form_of_its_own_is_made_so_and_once(tmp_path: Path) -> None:
    made = iter(["name:key", "name:another"])
    secret = Secret(tmp_path / "secrets/formed", lambda: next(made))
    found: Any = SimpleNamespace(fields=lambda: [SimpleNamespace(name="formed", secret=True, value=secret)])
    assert secrets.generate_missing(found) == ("formed",)
    assert secrets.generate_missing(found) == ()
    assert secret.reveal() == "name:key"


def test_nothing_is_left_of_a_secret_that_could_not_be_written(env: Any, tmp_path: Path) -> None:
    (tmp_path / "secrets/first").mkdir(parents=True)
    (tmp_path / "secrets/first/in the way").touch()
    folder = tmp_path / "secrets"
    env.fields()[0].value.path = folder / "first" / "in the way" / "x"
    with pytest.raises(OSError, match="in the way"):
        secrets.generate_missing(env)
    assert [path.name for path in folder.iterdir()] == ["first"]

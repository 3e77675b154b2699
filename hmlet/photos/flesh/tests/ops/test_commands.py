"""Management commands."""

import io
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db


def _ensure(monkeypatch: pytest.MonkeyPatch, password: str, *arguments: str) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(password))
    out = io.StringIO()
    call_command("ensure_user", *arguments, stdout=out)
    return out.getvalue()


def test_ensure_user_creates_then_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "created" in _ensure(monkeypatch, "a-password\n", "ann", "--superuser")
    user = User.objects.get(username="ann")
    assert (user.is_staff, user.is_superuser, user.check_password("a-password")) == (True, True, True)
    assert "as it should be" in _ensure(monkeypatch, "a-password", "ann", "--superuser")
    assert User.objects.get(username="ann").password == user.password, "tokens and sessions stay"


def test_ensure_user_sets_another_password_and_other_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    _ensure(monkeypatch, "a-password", "ann", "--superuser")
    _ensure(monkeypatch, "b-password", "ann", "--staff")
    user = User.objects.get(username="ann")
    assert (user.is_staff, user.is_superuser, user.check_password("b-password")) == (True, False, True)


def test_ensure_user_wants_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="standard input"):
        _ensure(monkeypatch, "", "ann")


def test_remove_users_keeps_those_who_have_photos(owner: User, post: Callable[..., object]) -> None:
    post()
    User.objects.create_user("idle")
    with pytest.raises(CommandError, match=owner.username):
        call_command("remove_users", "idle", owner.username, "nobody")
    assert list(User.objects.filter(username__in=["idle", owner.username])) == [owner]


def test_ensure_buckets_can_be_repeated() -> None:
    for _ in range(2):
        out = io.StringIO()
        call_command("ensure_buckets", stdout=out)
        assert out.getvalue().count("there already") == 2


def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)

"""Accounts of a stage, made and removed from outside: the API has no way to sign up."""

from collections.abc import Sequence

from pl.stage import Stage


def ensure_user(stage: Stage, name: str, password: str, *, staff: bool = False) -> None:
    """Have a user with this password. The password goes by standard input. Raises CommandFailed, StageDown."""
    rights = ("--staff",) if staff else ()
    stage.run_inside(["python", "manage.py", "ensure_user", name, *rights], input=f"{password}\n")


def remove_users(stage: Stage, names: Sequence[str]) -> None:
    """Have no users of these names. Raises CommandFailed when one has photos, StageDown."""
    if names:
        stage.run_inside(["python", "manage.py", "remove_users", *names])

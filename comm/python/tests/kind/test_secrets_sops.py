"""Secrets out of an encrypted file: real keys, the real sops, and nothing of them where it does not belong."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pl import secrets
from pl.env import Secret
from pl.errors import SecretsInvalid, ToolMissing
from pl.tools.install import program

CHECKOUT = Path(__file__).parents[4]

SOPS, KEYGEN = program(CHECKOUT, "sops"), program(CHECKOUT, "age-keygen")


@pytest.fixture
def env(tmp_path: Path) -> Any:
    state = tmp_path / "state"
    state.mkdir()
    found = [Secret(state / "secrets" / name) for name in ("database_password", "storage_key", "other")]
    fields = [SimpleNamespace(name=secret.path.name, secret=True, value=secret) for secret in found]
    fields.append(SimpleNamespace(name="web_host", secret=False, value="x"))
    (tmp_path / "sample/envs/stage").mkdir(parents=True)
    return SimpleNamespace(
        fields=lambda: fields,
        certificates=dict,
        checkout=CHECKOUT,
        root=tmp_path / "sample",
        stage="stage",
        state=state,
    )


@pytest.fixture
def encrypt(env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    key = tmp_path / "key.txt"
    subprocess.run([KEYGEN, "-o", key], check=True, capture_output=True)
    public = subprocess.run([KEYGEN, "-y", key], check=True, capture_output=True, text=True).stdout.strip()
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(key))

    def make(text: str) -> None:
        file = secrets.encrypted_file(env)
        file.write_text(text)
        subprocess.run([SOPS, "encrypt", "--age", public, "--in-place", file], check=True, capture_output=True)
        assert "hunter" not in file.read_text()

    return make


def test_named_secrets_come_from_the_file_and_others_are_generated(env: Any, encrypt: Callable[[str], None]) -> None:
    encrypt("database_password: hunter2\nstorage_key: 'hunter 3 = #ä'\n")
    assert secrets.provide(env) == ("database_password", "storage_key", "other")
    found = secrets.reveal_all(env)
    assert found["database_password"] == "hunter2"
    assert found["storage_key"] == "hunter 3 = #ä"
    assert len(found["other"]) == 40
    assert secrets.provide(env) == ()
    assert secrets.reveal_all(env) == found


def test_a_changed_file_changes_what_it_names_and_nothing_else(env: Any, encrypt: Callable[[str], None]) -> None:
    encrypt("database_password: hunter2\nstorage_key: hunter3\n")
    secrets.provide(env)
    before = secrets.reveal_all(env)
    encrypt("database_password: hunter2\nstorage_key: hunter4\n")
    assert secrets.provide(env) == ("storage_key",)
    assert secrets.reveal_all(env) == {**before, "storage_key": "hunter4"}


def test_an_unchanged_file_is_not_decrypted_again(
    env: Any, encrypt: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypt("database_password: hunter2\n")
    secrets.provide(env)
    monkeypatch.delenv("SOPS_AGE_KEY_FILE")
    assert secrets.provide(env) == ()
    (env.state / "secrets/database_password").unlink()
    with pytest.raises(SecretsInvalid):
        secrets.provide(env)


def test_a_value_that_was_changed_in_the_state_is_put_right_with_the_next_file(
    env: Any, encrypt: Callable[[str], None]
) -> None:
    secrets.generate_missing(env)
    encrypt("database_password: hunter2\n")
    assert secrets.provide(env) == ("database_password",)


def test_plaintext_is_nowhere_but_in_private_files_of_the_state(
    env: Any, encrypt: Callable[[str], None], tmp_path: Path
) -> None:
    encrypt("database_password: hunter2\n")
    secrets.provide(env)
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes() and path.name]
    assert holding == [env.state / "secrets/database_password"]
    assert holding[0].stat().st_mode & 0o777 == 0o600
    assert holding[0].parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("databse_password: hunter2\n", "databse_password: the stage has no such secret; database_password was meant?"),
        ("web_host: hunter2\n", "web_host: the stage has no such secret"),
        ("database_password: 4711\n", "database_password: must be text"),
        ("database_password: {a: hunter2}\n", "database_password: must be text"),
        ("database_password: ''\nstorage_key: hunter2\n", "database_password: is empty"),
    ],
)
def test_what_is_no_secret_of_the_stage_is_refused_without_its_value(
    env: Any, encrypt: Callable[[str], None], text: str, said: str
) -> None:
    encrypt(text)
    with pytest.raises(SecretsInvalid) as caught:
        secrets.provide(env)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "4711" not in str(caught.value)
    assert not list(env.state.rglob("*password*"))


def test_all_mistakes_are_named_at_once(env: Any, encrypt: Callable[[str], None]) -> None:
    encrypt("one: hunter\ntwo: hunter\n")
    with pytest.raises(SecretsInvalid) as caught:
        secrets.provide(env)
    assert len(caught.value.why.splitlines()) == 2


def test_without_the_key_it_is_said_what_to_have(
    env: Any, encrypt: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    encrypt("database_password: hunter2\n")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.delenv("SOPS_AGE_KEY_FILE")
    with pytest.raises(SecretsInvalid, match="cannot be decrypted") as caught:
        secrets.provide(env)
    assert "SOPS_AGE_KEY_FILE" in caught.value.hint


def test_a_file_that_nobody_encrypted_is_refused(env: Any) -> None:
    secrets.encrypted_file(env).write_text("database_password: hunter2\n")
    with pytest.raises(SecretsInvalid, match="is not encrypted") as caught:
        secrets.provide(env)
    assert "sops encrypt" in caught.value.hint
    assert "hunter2" not in str(caught.value)


def test_without_the_tool_it_is_said_how_to_have_it(env: Any, encrypt: Callable[[str], None], tmp_path: Path) -> None:
    encrypt("database_password: hunter2\n")
    bare = tmp_path / "checkout"
    (bare / "comm").mkdir(parents=True)
    shutil.copy(CHECKOUT / "comm/tools.toml", bare / "comm/tools.toml")
    env.checkout = bare
    with pytest.raises(ToolMissing, match="sops") as caught:
        secrets.provide(env)
    assert "bootstrap_local_dev" in caught.value.hint


def test_a_temporary_file_is_never_made(
    env: Any, encrypt: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encrypt("database_password: hunter2\n")
    folder = tmp_path / "tmp"
    folder.mkdir(mode=0o500)
    monkeypatch.setitem(os.environ, "TMPDIR", str(folder))
    secrets.provide(env)
    assert list(folder.iterdir()) == []


def test_what_the_stage_uses_already_is_taken_over_but_not_what_is_here_or_in_the_file(
    env: Any, encrypt: Callable[[str], None]
) -> None:
    encrypt("database_password: hunter2\n")
    held = {"database_password": "old", "storage_key": "used", "of another": "x"}
    secrets.provide(env, lambda: held)
    found = secrets.reveal_all(env)
    assert (found["database_password"], found["storage_key"], len(found["other"])) == ("hunter2", "used", 40)
    secrets.provide(env, lambda: {"storage_key": "another"})
    assert secrets.reveal_all(env) == found

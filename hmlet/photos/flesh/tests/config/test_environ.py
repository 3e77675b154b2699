"""Variables, files of variables, and mistakes told together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from config.environ import Environ


def test_a_value_comes_from_its_variable_else_from_its_file_else_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from file\n")
    environ = Environ({"A": "direct", "A_FILE": "/nowhere", "B_FILE": str(tmp_path / "secret"), "N": "42"})
    assert (environ.text("A"), environ.text("B"), environ.text("C", "default")) == ("direct", "from file", "default")
    assert (environ.integer("N"), environ.integer("M", 7)) == (42, 7)
    environ.check()


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    environ = Environ({"N": "many", "U": "ftp://x", "F_FILE": "/nowhere", "E_FILE": str(tmp_path / "empty")})
    environ.text("MISSING")
    environ.integer("N")
    environ.url("U")
    environ.text("F")
    environ.text("E")
    with pytest.raises(SystemExit) as told:
        environ.check()
    for name in ("MISSING", "N is not", "U is not", "F_FILE", "E_FILE"):
        assert name in str(told.value)


def test_a_process_without_its_variables_names_them_and_exits() -> None:
    root = Path(__file__).parents[2]
    told = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=root,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1
    for name in ("DJANGO_SECRET_KEY", "PUBLIC_URL", "REDIS_HOST", "REDIS_PASSWORD", "S3_ENDPOINT_URL", "S3_SECRET_KEY"):
        assert name in told.stderr
    assert "Traceback" not in told.stderr


def test_a_file_is_named_by_its_path_and_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("PEM")
    env = Environ({"CA_PATH": str(tmp_path / "ca.crt"), "AWAY_PATH": str(tmp_path / "away")})
    assert env.file("CA_PATH") == str(tmp_path / "ca.crt")
    assert env.file("UNSET_PATH") is None
    assert not env.mistakes
    assert env.file("AWAY_PATH") is None
    assert env.mistakes[0].startswith("AWAY_PATH cannot be read")

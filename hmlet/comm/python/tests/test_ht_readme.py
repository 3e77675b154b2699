"""The session in README.rst is run as it stands."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Api

README = Path(__file__).parent.parent / "README.rst"


def test_the_session_does_what_it_shows(
    api: Api, photo_json: Callable[..., dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sunrise.jpg").write_bytes(b"\xff\xd8")
    monkeypatch.chdir(tmp_path)
    thumbnail = f"{api.url}/thumbnail"
    message = "You have a photo named “Sunrise” already. Choose another name, or change that photo."
    taken = {"code": "name_taken", "message": message, "errors": {"name": [message]}}
    api.script(
        api.answer(photo_json(status="processing", thumbnail=None), status=201),
        api.answer(photo_json(thumbnail=thumbnail)),
        api.raw(b"jpeg"),
        api.answer(photo_json(caption="#alps at dawn", thumbnail=thumbnail)),
        api.answer({"next": None, "previous": None, "results": [photo_json()]}),
        api.answer(status=204),
        api.answer(taken, status=409),
    )
    text = README.read_text().replace("http://localhost:8000", api.url)
    session = doctest.DocTestParser().get_doctest(text, {}, "README.rst", str(README), 0)
    result = doctest.DocTestRunner().run(session)
    assert result.attempted > 10
    assert result.failed == 0


def test_each_command_line_is_one_that_exists() -> None:
    """Every word of it is understood; nobody is signed in, so none gets further than that."""
    environ = {
        **os.environ,
        "XDG_STATE_HOME": "/dev/null",
        "HT_WEB_URL": "http://127.0.0.1:9",
        "HMLET_USERNAME": "nobody",
    }
    lines = re.findall(r"^    (ht .*)$", README.read_text(), flags=re.MULTILINE)
    assert len(lines) > 5
    for line in lines:
        words = [sys.executable, "-P", "-m", "ht.cli", *shlex.split(line)[1:], "--help"]
        done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), line
        options = [word for word in shlex.split(line) if word.startswith("--")]
        assert all(option in done.stdout for option in options), line

"""The session in README.rst is run as it stands."""

from __future__ import annotations

import doctest
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

"""``ht`` against a real stage: in this process, because names resolve in it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ht.api_clients.photos import PhotosApiClient
from ht.cli.app import app
from PIL import Image
from typer.testing import CliRunner, Result

from hmlet.env_comm import HmletEnv
from hmlet.tests.accounts import Account
from hmlet.tests.pictures import photo_bytes
from hmlet.tests.waiting import wait_for

Ht = Callable[..., Result]


@pytest.fixture
def ht(env: HmletEnv, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ht:
    """Signed in, in a folder and with a state of its own."""
    monkeypatch.chdir(tmp_path)
    variables = {"HT_WEB_URL": env.web_url, "HMLET_USERNAME": account.name, "XDG_STATE_HOME": str(tmp_path / "state")}

    def run(*words: str, given: str = "", status: int = 0) -> Result:
        done = CliRunner().invoke(app, words, input=given, env=variables)
        assert done.exit_code == status, done.output
        return done

    run("--password-file", "-", "login", given=f"{account.password}\n")
    return run


def test_an_album_goes_up_once_and_its_thumbnails_come_down(ht: Ht, photos_api_client: PhotosApiClient) -> None:
    for seed in range(3):
        Path(f"album {seed}.jpg").write_bytes(photo_bytes(seed))
    Path("notes.jpg").write_text("no picture")
    files = [str(file) for file in sorted(Path().glob("*.jpg"))]
    upload = ("photos", "upload", "--wait", "--json", "--caption", "#cli", *files)
    first = json.loads(ht(*upload, status=1).stdout)
    assert [bool(done["error"]) for done in first] == [False, False, False, True]
    again = json.loads(ht(*upload, status=1).stdout)
    assert [done["there_before"] for done in again] == [True, True, True, False]
    listed = json.loads(ht("photos", "list", "--owner", "me", "--tag", "cli", "--json").stdout)
    assert sorted(photo["name"] for photo in listed) == ["album 0", "album 1", "album 2"]

    ht("photos", "download-thumbnails", "--to", "small")
    thumbnails = sorted(Path("small").iterdir())
    assert len(thumbnails) == 3
    for thumbnail in thumbnails:
        with Image.open(io.BytesIO(thumbnail.read_bytes())) as image:
            assert (image.format, image.size) == ("JPEG", (128, 96))

    photos_api_client.photos.delete(listed[0]["id"])
    once_more = json.loads(ht(*upload, status=1).stdout)
    assert sorted(done["there_before"] for done in once_more) == [False, False, True, True]
    assert len(photos_api_client.photos.list(owner="me")) == 3


def test_jobs_are_listed_shown_and_not_tried_again_when_they_are_done(ht: Ht) -> None:
    Path("a.jpg").write_bytes(photo_bytes(9))
    ht("photos", "upload", "--wait", "a.jpg")
    done = wait_for(
        lambda: json.loads(ht("jobs", "list", "--state", "done", "--json").stdout), what="a job that is done"
    )
    shown = json.loads(ht("jobs", "show", done[-1]["id"], "--json").stdout)
    assert [event["event"] for event in shown["timeline"]][-1] == "done"
    assert done[-1]["id"] in ht("jobs", "retry", done[-1]["id"], status=1).stderr

"""Comparisons through client, command line and, where the client hides something, plain HTTP."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ht.api_clients.diffs import Diff, DiffOptions
from ht.api_clients.photos import Photo, PhotosApiClient
from ht.cli.app import app
from ht.errors import DiffFailed, Invalid, NoPicture, NotFound, NotSignedIn
from PIL import Image, ImageChops
from typer.testing import CliRunner, Result

from hmlet.env_comm import HmletEnv
from hmlet.tests.accounts import Account
from hmlet.tests.pictures import jpeg, landscape, png
from hmlet.tests.web import Web

BOXES = [(300, 200, 120, 80), (40, 420, 16, 12)]


def changed(image: Image.Image) -> Image.Image:
    """With BOXES painted over."""
    after = image.copy()
    for x, y, width, height in BOXES:
        after.paste((240, 30, 60), (x, y, x + width, y + height))
    return after


BEFORE = landscape(71, (800, 600))
FILES = (png(BEFORE), png(changed(BEFORE)))


def boxes(diff: Diff) -> list[tuple[int, int, int, int]]:
    return [(region.x, region.y, region.width, region.height) for region in diff.regions]


def compared(client: PhotosApiClient, *sides: bytes | Photo, keep: bool | None = None, **options: object) -> Diff:
    before, after = sides or FILES
    asked = client.diffs.create(before, after, DiffOptions(**options), keep=keep)  # type: ignore[arg-type]
    return client.diffs.wait_until_done(asked)


def test_two_files_are_compared_and_the_picture_is_the_one_that_was_drawn(
    photos_api_client: PhotosApiClient, env: HmletEnv
) -> None:
    diff = compared(photos_api_client)
    assert boxes(diff) == BOXES
    assert diff.changes is not None
    assert diff.changes.pixels_changed == sum(width * height for _, _, width, height in BOXES)
    content = photos_api_client.diffs.download(diff)
    assert diff.picture is not None
    assert len(content) == diff.picture.bytes
    drawn = drawn_here(env)
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.format == "PNG"
        assert (picture.size, drawn.size) == ((1608, 600),) * 2
        assert ImageChops.difference(picture.convert("RGB"), drawn.convert("RGB")).getbbox() is None


def drawn_here(env: HmletEnv) -> Image.Image:
    """The picture as the platform's own code draws it in this process."""
    sys.path.append(str(env.root / "photos/flesh"))
    try:
        from imaging.diff import diff
    finally:
        sys.path.pop()
    drawn: Image.Image = diff(*map(io.BytesIO, FILES)).picture
    return drawn


def test_what_encoders_do_is_no_change_and_a_change_is_found_through_it(photos_api_client: PhotosApiClient) -> None:
    same = compared(photos_api_client, FILES[0], jpeg(BEFORE, 85))
    assert (same.regions, same.changed) == ((), False)
    found = compared(photos_api_client, jpeg(BEFORE, 90), jpeg(changed(BEFORE), 85))
    assert abs(found.regions[0].x - BOXES[0][0]) <= 3
    assert abs(found.regions[0].width - BOXES[0][2]) <= 5


def test_photos_are_compared_by_whoever_may_see_them_others_as_their_rendition(
    photos_api_client: PhotosApiClient, stranger: PhotosApiClient
) -> None:
    large = landscape(72, (1800, 1200))
    posted = photos_api_client.photos.create(Photo(name="large", image=png(large)))
    photo = photos_api_client.photos.wait_until_ready(posted)
    own = compared(photos_api_client, photo, photo)
    assert (own.before.photo, own.before.width, own.changed) == (photo.id, 1800, False)
    others = compared(stranger, photo, png(large), alignment="scale")
    assert (others.before.width, others.after.width) == (1440, 1800)
    assert others.picture is not None
    assert others.picture.height <= 960
    draft = photos_api_client.photos.create(Photo(name="draft", draft=True, image=FILES[0]))
    with pytest.raises(NotFound) as caught:
        stranger.diffs.create(FILES[0], draft)
    assert list(caught.value.field_errors) == ["after"]


def test_what_is_kept_is_listed_and_deleted_and_all_else_is_not(
    photos_api_client: PhotosApiClient, stranger: PhotosApiClient
) -> None:
    diffs = photos_api_client.diffs
    kept = [compared(photos_api_client, keep=True), compared(photos_api_client, FILES[0], FILES[0], keep=True)]
    compared(photos_api_client, keep=False)
    assert [diff.id for diff in diffs.list()] == [kept[1].id, kept[0].id]
    assert [diff.id for diff in diffs.list(changed=True, state="done")] == [kept[0].id]
    for act in (stranger.diffs.get, stranger.diffs.delete, stranger.diffs.download):
        with pytest.raises(NotFound):
            act(kept[0].id)
    diffs.delete(kept[0])
    with pytest.raises(NotFound):
        diffs.get(kept[0])
    diffs.delete(kept[1])
    assert diffs.list() == []


def test_the_same_key_compares_once(photos_api_client: PhotosApiClient) -> None:
    made = {photos_api_client.diffs.create(*FILES, key="once").id for _ in range(2)}
    assert len(made) == 1


def test_what_cannot_be_compared_fails_with_its_reason(photos_api_client: PhotosApiClient) -> None:
    asked = photos_api_client.diffs.create(FILES[0], png(BEFORE.resize((400, 300))))
    with pytest.raises(DiffFailed) as caught:
        photos_api_client.diffs.wait_until_done(asked)
    assert caught.value.diff.failure is not None
    assert caught.value.diff.failure.code == "image_sizes_differ"
    with pytest.raises(NoPicture):
        photos_api_client.diffs.download(asked)
    with pytest.raises(Invalid) as refused:
        photos_api_client.diffs.create(FILES[0], b"no image")
    assert (refused.value.code, set(refused.value.field_errors)) == ("image_unreadable", {"after"})


def test_nobody_compares_or_sees_any(photos_api_client: PhotosApiClient, anonymous: PhotosApiClient) -> None:
    diff = photos_api_client.diffs.create(*FILES)
    for act in (anonymous.diffs.get, anonymous.diffs.delete, anonymous.diffs.download):
        with pytest.raises(NotSignedIn):
            act(diff.id)
    with pytest.raises(NotSignedIn):
        anonymous.diffs.create(*FILES)


def test_the_limits_are_told(web: Web) -> None:
    limits = web.request("OPTIONS", "/api/v1/diffs/").json()["limits"]
    assert limits["options"]["threshold"] == {"min": 0, "max": 254, "default": 16}
    assert limits["files_together"]["bytes"] > 0


@pytest.fixture
def ht(env: HmletEnv, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``ht diff``, signed in, in a folder with two pictures and with a state of its own."""
    monkeypatch.chdir(tmp_path)
    for name, content in zip(("before.png", "after.png"), FILES, strict=True):
        Path(name).write_bytes(content)
    Path("password").write_text(account.password)
    variables = {"HT_WEB_URL": env.web_url, "HMLET_USERNAME": account.name, "XDG_STATE_HOME": str(tmp_path / "state")}

    def run(*words: str, status: int) -> Result:
        done = CliRunner().invoke(app, ("--password-file", "password", "diff", *words), env=variables)
        assert done.exit_code == status, done.output
        return done

    return run


def test_the_command_line_ends_as_diff_does_and_leaves_the_picture(ht: Callable[..., Result]) -> None:
    done = ht("before.png", "after.png", status=1)
    first = done.stdout.splitlines()[0].split("\t")
    assert [int(cell) for cell in first[:4]] == list(BOXES[0])
    with Image.open("before-after.diff.png") as picture:
        assert picture.size == (1608, 600)
    ht("before.png", "before.png", status=0)
    told = json.loads(
        ht("before.png", "after.png", "--json", "--no-picture", "--ignore", "0,400,100,100", status=1).stdout
    )
    assert [region["width"] for region in told["regions"]] == [BOXES[0][2]]
    assert "cannot be read" in ht("before.png", "nowhere.png", status=2).output

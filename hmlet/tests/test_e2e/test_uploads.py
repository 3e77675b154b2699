"""Uploads straight to the storage, keys, quota and duplicates, through the client against a running stage."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest
import requests
from ht.api_clients.photos import Photo, PhotosApiClient, UploadProgress
from ht.api_clients.uploads import Upload
from ht.errors import Conflict, Invalid, NotFound
from pl.stage import Stage

from hmlet.tests.accounts import Account
from hmlet.tests.pictures import photo_bytes
from hmlet.tests.stored import stored_originals
from hmlet.tests.waiting import wait_for
from hmlet.tests.web import Web

IMAGE = photo_bytes(41)


def bmp(width: int, height: int) -> bytes:
    """Noise that nothing compresses, as large as it looks."""
    row = -(-width * 3 // 4) * 4
    pixels = os.urandom(row) * height
    head = b"BM" + (54 + len(pixels)).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = (40).to_bytes(4, "little") + width.to_bytes(4, "little") + height.to_bytes(4, "little")
    return head + info + b"\1\0\x18\0" + bytes(24) + pixels


def put(upload: Upload, content: bytes, **changed: str | None) -> int:
    assert upload.put is not None
    headers = {**upload.put.headers, **changed}
    return requests.put(upload.put.url, data=content, headers=headers, timeout=30).status_code


def test_a_direct_upload_becomes_a_photo_and_its_bytes_are_stored_elsewhere(
    photos_api_client: PhotosApiClient, account: Account, stage: Stage
) -> None:
    told: list[tuple[int, int]] = []
    photo = photos_api_client.photos.create(
        Photo(name="direct", caption="#straight", image=IMAGE),
        direct=True,
        wait_s=10,
        progress=lambda *at: told.append(at),
    )
    assert (photo.status, photo.tags, told[-1]) == ("ready", ("straight",), (len(IMAGE), len(IMAGE)))
    [stored] = stored_originals(stage, account.name)
    assert stored.sha256 == hashlib.sha256(IMAGE).hexdigest()
    assert not stored.key.startswith("uploads/")


def test_a_signed_url_takes_what_was_announced_and_gives_nothing(photos_api_client: PhotosApiClient) -> None:
    upload = photos_api_client.uploads.create(IMAGE)
    assert upload.put is not None
    assert put(upload, IMAGE + b"x") >= 400
    assert put(upload, IMAGE, **{"content-type": "text/html"}) >= 400
    assert put(upload, IMAGE, **{"x-amz-checksum-sha256": None}) >= 400
    assert requests.put(upload.put.url.split("?")[0], data=IMAGE, timeout=30).status_code >= 400
    assert put(upload, IMAGE) == 200
    for method in ("GET", "HEAD", "DELETE", "POST"):
        answer = requests.request(method, upload.put.url, headers=upload.put.headers, timeout=30)
        assert answer.status_code >= 400, method
        assert IMAGE[:100] not in answer.content


def test_other_bytes_than_announced_become_no_photo(photos_api_client: PhotosApiClient) -> None:
    upload = photos_api_client.uploads.create(IMAGE)
    if put(upload, IMAGE[:-1] + bytes([IMAGE[-1] ^ 1])) == 200:
        # A storage that does not compare the bytes with the checksum: finalising does.
        with pytest.raises(Invalid) as refused:
            photos_api_client.uploads.finalise(upload, Photo(name="forged"))
        assert refused.value.code == "upload_mismatch"
        with pytest.raises(NotFound):
            photos_api_client.uploads.get(upload)
    else:
        with pytest.raises(Conflict):
            photos_api_client.uploads.finalise(upload, Photo(name="forged"))
    assert photos_api_client.photos.list(owner="me") == []


def test_a_finalisation_sent_again_makes_no_second_photo(photos_api_client: PhotosApiClient) -> None:
    upload = photos_api_client.uploads.create(IMAGE)
    photos_api_client.uploads.send(upload, IMAGE)
    first = photos_api_client.uploads.finalise(upload, Photo(name="once"))
    assert photos_api_client.uploads.finalise(upload, Photo(name="once")).id == first.id
    assert len(photos_api_client.photos.list(owner="me")) == 1


def test_an_upload_of_another_is_not_there(photos_api_client: PhotosApiClient, stranger: PhotosApiClient) -> None:
    upload = photos_api_client.uploads.create(IMAGE)
    photos_api_client.uploads.send(upload, IMAGE)
    with pytest.raises(NotFound):
        stranger.uploads.finalise(upload, Photo(name="mine"))


def test_a_large_upload_in_parts_is_gone_on_with_where_it_broke_off(
    photos_api_client: PhotosApiClient, account: Account, stage: Stage, tmp_path: Path
) -> None:
    path = tmp_path / "large.bmp"
    path.write_bytes(bmp(5000, 4600))
    uploads = photos_api_client.uploads
    upload = uploads.create(path)
    assert upload.part_count == -(-path.stat().st_size // (16 * 1024 * 1024))

    class BrokenOff(Exception):
        pass

    def break_off(sent: int, total: int) -> None:
        if sent > 40_000_000:
            raise BrokenOff

    with pytest.raises(BrokenOff):
        uploads.send(upload, path, progress=break_off)
    assert uploads.get(upload).parts == {1, 2}
    with pytest.raises(Conflict) as refused:
        uploads.finalise(upload, Photo(name="large"))
    assert refused.value.code == "upload_incomplete"

    told: list[int] = []
    uploads.send(upload.id, path, progress=lambda sent, _: told.append(sent))
    assert told[0] > 2 * 16 * 1024 * 1024, "what had arrived is not sent again"
    photo = uploads.finalise(upload, Photo(name="large"))
    assert (photo.width, photo.height) == (5000, 4600)
    photos_api_client.photos.wait_until_ready(photo, timeout_s=120)
    [stored] = stored_originals(stage, account.name)
    assert stored.sha256 == upload.sha256


def test_a_post_sent_again_under_its_key_makes_one_photo(photos_api_client: PhotosApiClient, web: Web) -> None:
    def post() -> requests.Response:
        files = {"image": ("x.jpg", io.BytesIO(IMAGE))}
        headers = {"Idempotency-Key": "the-one"}
        return web.post("/api/v1/photos/", data={"name": "keyed"}, files=files, headers=headers)

    first, again = post(), post()
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert len(photos_api_client.photos.list(owner="me")) == 1


def test_the_same_bytes_twice_are_two_photos_that_say_so_and_one_object(
    photos_api_client: PhotosApiClient, account: Account, stage: Stage
) -> None:
    photos = photos_api_client.photos
    first = photos.create(Photo(name="first", image=IMAGE))
    second = photos.create(Photo(name="second", image=IMAGE), direct=True)
    assert (first.duplicate_of, second.duplicate_of) == (None, first.id)
    [stored] = stored_originals(stage, account.name)
    assert stored.photos == {str(first.id), str(second.id)}
    photos.delete(first)
    photos.delete(second)
    wait_for(lambda: stored_originals(stage, account.name) == [], what="the original goes with its last photo")


def test_many_files_at_once_are_all_posted(photos_api_client: PhotosApiClient, tmp_path: Path) -> None:
    paths = [tmp_path / f"photo {number}.jpg" for number in range(8)]
    for number, path in enumerate(paths):
        path.write_bytes(photo_bytes(100 + number))
    told: list[UploadProgress] = []
    done = photos_api_client.photos.upload_many([*paths, tmp_path / "missing.jpg"], on_progress=told.append)
    assert [each.error is None for each in done] == [True] * 8 + [False]
    assert told[-1].files_done == 9
    for each in done[:-1]:
        assert each.photo is not None
        photos_api_client.photos.wait_until_ready(each.photo)
    assert {photo.name for photo in photos_api_client.photos.list(owner="me")} == {path.stem for path in paths}


def test_limits_and_usage_are_told_before_one_runs_into_them(photos_api_client: PhotosApiClient, web: Web) -> None:
    photos_api_client.photos.create(Photo(name="one", image=IMAGE))
    limits = web.options("/api/v1/photos/").json()["limits"]
    assert limits["quota"]["used_bytes"] in {len(IMAGE), 0}, "0 where a stage has no quota"
    assert limits["image"]["bytes"] > 0


def test_tags_are_counted(photos_api_client: PhotosApiClient) -> None:
    tag = f"e2e{os.urandom(6).hex()}"
    for name, draft in (("a", False), ("b", True)):
        photos_api_client.photos.create(Photo(name=name, draft=draft, caption=f"#{tag.upper()}", image=IMAGE))
    counts = {each.name: each.count for each in photos_api_client.tags.list()}
    assert counts[tag] == 2

"""Uploads straight to the storage, many files at once, batches and tags."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ht.api_clients import transfers
from ht.api_clients.photos import (
    Create,
    Delete,
    Edit,
    Photo,
    PhotosApiClient,
    Publish,
    Tag,
    Unpublish,
    UploadProgress,
)
from ht.errors import Conflict, Forbidden, NotFound, Unsendable

if TYPE_CHECKING:
    from conftest import Api, Handler, Received

PhotoJson = Callable[..., dict[str, object]]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def upload_json(storage: str, content: bytes = PNG, **changes: object) -> dict[str, object]:
    checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
    headers = {"content-type": "image/png", "x-amz-checksum-sha256": checksum}
    return {
        "id": "u-1",
        "bytes": len(content),
        "content_type": "image/png",
        "sha256": _sha256(content),
        "expires": "2026-01-02T03:04:05Z",
        "photo": None,
        "put": {"url": f"{storage}/bucket/uploads/k?X-Sig=1%2F2", "headers": headers, "bytes": len(content)},
        "part_bytes": None,
        "part_count": None,
        "parts": [],
        **changes,
    }


def in_parts(storage: str, *there: int, content: bytes = PNG, part_bytes: int = 2000) -> dict[str, object]:
    parts = [{"number": number, "bytes": part_bytes} for number in there]
    count = -(-len(content) // part_bytes)
    return upload_json(storage, content, put=None, part_bytes=part_bytes, part_count=count, parts=parts)


def signed_part(storage: str, number: int) -> dict[str, object]:
    put = {"url": f"{storage}/bucket/uploads/k?partNumber={number}", "headers": {"x-amz-checksum-sha256": "c"}}
    return {"parts": [{"number": number, "bytes": 2000, **put}]}


def test_create_directly_announces_puts_and_finalises(
    api: Api, elsewhere: Api, client: PhotosApiClient, photo_json: PhotoJson
) -> None:
    api.script(
        api.answer(upload_json(elsewhere.url), status=201), api.answer(photo_json(status="processing"), status=201)
    )
    elsewhere.script(elsewhere.answer())
    told: list[tuple[int, int]] = []
    created = client.photos.create(
        Photo(name="Sunrise", caption="#alps", draft=True, image=PNG), direct=True, progress=lambda *at: told.append(at)
    )
    announced, finalised = api.received
    [put] = elsewhere.received
    assert announced.json == {"bytes": len(PNG), "content_type": "image/png", "sha256": _sha256(PNG)}
    assert (put.method, put.path, put.query, put.body) == ("PUT", "/bucket/uploads/k", {"X-Sig": "1/2"}, PNG)
    assert put.headers["Content-Type"] == "image/png"
    assert put.headers["Content-Length"] == str(len(PNG))
    assert put.headers["X-Amz-Checksum-Sha256"]
    assert "Authorization" not in put.headers
    assert finalised.path == "/api/v1/photos/uploads/u-1/finalise/"
    assert finalised.json == {"name": "Sunrise", "caption": "#alps", "draft": True}
    assert (created.status, told[-1]) == ("processing", (len(PNG), len(PNG)))


def test_create_directly_waits_as_long_as_asked(
    api: Api, elsewhere: Api, client: PhotosApiClient, photo_json: PhotoJson
) -> None:
    elsewhere.script(elsewhere.answer())
    failed = {"code": "image_truncated", "message": "Cut."}
    api.script(
        api.answer(upload_json(elsewhere.url), status=201),
        api.answer(photo_json(status="processing"), status=201),
        api.answer(photo_json(status="processing")),
        api.answer(photo_json(status="failed", failure=failed)),
    )
    assert client.photos.create(Photo(name="Sunrise", image=PNG), direct=True, wait_s=10).status == "failed"


def test_a_put_and_a_finalisation_are_repeated_when_the_connection_breaks(
    api: Api, elsewhere: Api, client: PhotosApiClient, photo_json: PhotoJson
) -> None:
    elsewhere.script(elsewhere.drop_after_body, elsewhere.raw(b"<Error/>", status=503), elsewhere.answer())
    api.script(
        api.answer(upload_json(elsewhere.url), status=201),
        api.drop_after_body,
        api.answer(photo_json()),
    )
    assert client.photos.create(Photo(name="Sunrise", image=PNG), direct=True).id == 7
    assert [put.body for put in elsewhere.received] == [PNG] * 3


def test_a_storage_that_refuses_is_told(api: Api, elsewhere: Api, client: PhotosApiClient) -> None:
    api.script(api.answer(upload_json(elsewhere.url), status=201))
    elsewhere.script(elsewhere.raw(b"<Error>AccessDenied</Error>", status=403))
    with pytest.raises(Forbidden):
        client.photos.create(Photo(name="Sunrise", image=PNG), direct=True)


def test_a_large_upload_that_broke_off_is_gone_on_with(
    api: Api, elsewhere: Api, client: PhotosApiClient, tmp_path: Path
) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(PNG)
    told: list[int] = []
    api.script(
        api.answer(in_parts(elsewhere.url, 2)),
        api.answer(signed_part(elsewhere.url, 1)),
        api.answer(signed_part(elsewhere.url, 3)),
    )
    elsewhere.script(elsewhere.answer(), elsewhere.answer())
    client.uploads.send("u-1", path, progress=lambda sent, _: told.append(sent))
    assert [put.query["partNumber"] for put in elsewhere.received] == ["1", "3"]
    assert [put.body for put in elsewhere.received] == [PNG[:2000], PNG[4000:]]
    assert [request.json["parts"] for request in api.received[1:]] == [
        [{"number": 1, "sha256": _sha256(PNG[:2000])}],
        [{"number": 3, "sha256": _sha256(PNG[4000:])}],
    ]
    assert "Content-Type" not in elsewhere.received[0].headers
    assert told[-1] == len(PNG)


def test_another_file_is_not_gone_on_with(api: Api, elsewhere: Api, client: PhotosApiClient) -> None:
    api.script(api.answer(in_parts(elsewhere.url)), api.answer(in_parts(elsewhere.url)))
    for other in (PNG[:-1], PNG[:-1] + b"x"):
        with pytest.raises(Unsendable, match="not the file that was announced"):
            client.uploads.send("u-1", other)


def test_what_is_no_image_is_not_announced(client: PhotosApiClient) -> None:
    with pytest.raises(Unsendable, match="does not begin like an image"):
        client.uploads.create(b"%PDF-1.7")


def test_an_upload_is_given_up(api: Api, client: PhotosApiClient) -> None:
    api.script(api.answer(status=204), api.error(404, "not_found"))
    client.uploads.delete("u-1")
    with pytest.raises(NotFound):
        client.uploads.get("u-1")


def test_a_create_with_a_key_is_repeated(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    busy = api.error(409, "idempotency_key_busy", headers={"Retry-After": "1"})
    api.script(api.drop_after_body, busy, api.answer(photo_json(), status=201))
    assert client.photos.create(Photo(name="Sunrise", image=PNG), key="k-1").id == 7
    assert [request.headers["Idempotency-Key"] for request in api.received] == ["k-1"] * 3


def test_a_conflict_proper_is_not_repeated_under_a_key(api: Api, client: PhotosApiClient) -> None:
    api.script(api.error(409, "name_taken"))
    with pytest.raises(Conflict):
        client.photos.create(Photo(name="Sunrise", image=PNG), key="k-1")


def test_many_files_are_posted_in_parallel_each_with_its_outcome(
    api: Api, client: PhotosApiClient, photo_json: PhotoJson, tmp_path: Path
) -> None:
    together = threading.Barrier(3)

    def meet(handler: Handler, received: Received) -> None:
        handler.read_body(received)
        together.wait(10)
        name = received.body.split(b'name="name"\r\n\r\n')[1].split(b"\r\n")[0].decode()
        handler.send(201, json.dumps(photo_json(name=name)).encode(), {})

    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path in paths:
        path.write_bytes(PNG)
    api.script(meet, meet, meet)
    told: list[UploadProgress] = []
    done = client.photos.upload_many([*paths, tmp_path / "missing.png"], parallel=3, on_progress=told.append)
    assert [each.path for each in done] == [*paths, tmp_path / "missing.png"]
    assert [each.photo and each.photo.name for each in done] == ["a", "b", "c", None]
    assert isinstance(done[3].error, Unsendable)
    assert told[-1].files_done == told[-1].files == 4
    assert len({request.headers["Idempotency-Key"] for request in api.received}) == 3


def test_a_large_file_of_many_goes_straight_to_the_storage(
    api: Api,
    elsewhere: Api,
    client: PhotosApiClient,
    photo_json: PhotoJson,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transfers, "DIRECT_OVER_BYTES", 100)
    path = tmp_path / "large.png"
    path.write_bytes(PNG)
    api.script(api.answer(upload_json(elsewhere.url), status=201), api.answer(photo_json(), status=201))
    elsewhere.script(elsewhere.answer())
    [done] = client.photos.upload_many([path], photo_of=lambda path: Photo(name="Mine", image=path))
    assert done.error is None
    assert api.received[1].json["name"] == "Mine"


def test_a_batch_gives_a_result_for_each_change(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    error = {"code": "name_taken", "message": "Taken.", "errors": {"name": ["Taken."]}, "request_id": "r-1"}
    results = [
        {"status": 201, "photo": photo_json(id="new"), "error": None},
        {"status": 409, "photo": None, "error": error},
        {"status": 204, "photo": None, "error": None},
    ]
    api.script(api.drop_after_body, api.answer({"results": results}, status=207))
    created, refused, deleted = client.photos.batch(
        [Create(photo=Photo(name="new"), upload="u-1"), Edit(photo=7, name="old"), Delete(8)]
    )
    assert created.ok
    assert created.photo is not None
    assert created.photo.id == "new"
    assert isinstance(refused.error, Conflict)
    assert refused.error.field_errors == {"name": ("Taken.",)}
    assert (deleted.ok, deleted.photo) == (True, None)
    first, again = api.received
    assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"]
    assert again.json["items"] == [
        {"action": "create", "name": "new", "caption": "", "draft": False, "image": "u-1"},
        {"action": "edit", "id": "7", "name": "old"},
        {"action": "delete", "id": "8"},
    ]


def test_a_long_batch_goes_in_requests_of_a_thousand(api: Api, client: PhotosApiClient) -> None:
    done = {"status": 204, "photo": None, "error": None}
    api.script(api.answer({"results": [done] * 1000}, status=207), api.answer({"results": [done] * 500}, status=207))
    changes = [Publish(n) if n % 2 else Unpublish(n) for n in range(1500)]
    assert len(client.photos.batch(changes)) == 1500
    assert [len(request.json["items"]) for request in api.received] == [1000, 500]
    with pytest.raises(ValueError, match="one key"):
        client.photos.batch(changes, key="k-1")


def test_tags_come_from_all_pages(api: Api, client: PhotosApiClient) -> None:
    api.script(
        api.answer(
            {
                "next": f"{api.url}/api/v1/tags/?cursor=b",
                "previous": None,
                "results": [{"name": "a", "count": 2, "more": True}],
            }
        ),
        api.answer({"next": None, "previous": None, "results": [{"name": "été", "count": 1, "more": False}]}),
    )
    assert client.tags.list() == [Tag(name="a", count=2, more=True), Tag(name="été", count=1)]
    assert [request.query for request in api.received] == [{}, {"cursor": "b"}]


def test_a_duplicate_says_of_what(api: Api, client: PhotosApiClient, photo_json: PhotoJson) -> None:
    api.script(api.answer(photo_json(duplicate_of="p-1")))
    assert client.photos.get(7).duplicate_of == "p-1"


def test_memory_does_not_grow_with_a_part(api: Api, elsewhere: Api, client: PhotosApiClient, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.write(PNG)
        os.ftruncate(file.fileno(), 200_000_000)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    sizes: list[int] = []
    large = upload_json(elsewhere.url, bytes=200_000_000, sha256=sha256)
    api.script(api.answer(large, status=201))
    elsewhere.script(elsewhere.count_body(sizes, {}))
    upload = client.uploads.create(path)
    before = _peak_kb()
    client.uploads.send(upload, path)
    assert sizes == [200_000_000]
    assert _peak_kb() - before < 40_000


def _peak_kb() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

"""Many changes at once, through the client against a running stage."""

from __future__ import annotations

import pytest
from ht.api_clients.photos import Create, Delete, Edit, Photo, PhotosApiClient, Publish, Unpublish
from ht.errors import ApiError, Conflict, NotFound

from hmlet.tests.pictures import photo_bytes


def uploaded(client: PhotosApiClient, seed: int) -> str:
    image = photo_bytes(seed)
    upload = client.uploads.create(image)
    client.uploads.send(upload, image)
    return upload.id


def test_a_batch_creates_edits_publishes_and_deletes(photos_api_client: PhotosApiClient) -> None:
    photos = photos_api_client.photos
    edited, shown, hidden, gone = (
        photos.create(Photo(name=name, draft=name == "b", image=photo_bytes(50))) for name in "abcd"
    )
    results = photos.batch(
        [
            Create(photo=Photo(name="new", caption="#batch", draft=True), upload=uploaded(photos_api_client, 51)),
            Edit(photo=edited, caption="#edited"),
            Publish(shown),
            Unpublish(hidden),
            Delete(gone),
            Create(photo=Photo(name="new"), upload=uploaded(photos_api_client, 52)),
        ]
    )
    assert [result.status for result in results] == [201, 200, 200, 200, 204, 409]
    assert isinstance(results[-1].error, Conflict)
    listed = {photo.name: photo for photo in photos.list(owner="me")}
    assert {name: photo.draft for name, photo in listed.items()} == {"a": False, "b": False, "c": True, "new": True}
    assert (listed["new"].tags, listed["a"].tags) == (("batch",), ("edited",))
    assert photos.wait_until_ready(listed["new"]).status == "ready"


def test_a_batch_of_a_thousand_has_a_thousand_results(photos_api_client: PhotosApiClient) -> None:
    photos = photos_api_client.photos
    photo = photos.create(Photo(name="photo", image=photo_bytes(53)))
    results = photos.batch([Edit(photo=photo, caption=f"#round{number}") for number in range(1000)])
    assert {result.status for result in results} == {200}
    assert photos.get(photo).tags == ("round999",)


def test_a_batch_sent_again_under_its_key_is_done_once(photos_api_client: PhotosApiClient) -> None:
    photos = photos_api_client.photos
    changes = [
        Create(photo=Photo(name=f"photo {seed}"), upload=uploaded(photos_api_client, seed)) for seed in (54, 55, 56)
    ]
    first, again = photos.batch(changes, key="the-one"), photos.batch(changes, key="the-one")
    assert [result.photo for result in again] == [result.photo for result in first]
    assert len(photos.list(owner="me")) == 3
    with pytest.raises(ApiError) as refused:
        photos.batch(changes[:1], key="the-one")
    assert (refused.value.status, refused.value.code) == (422, "idempotency_key_reused")


def test_a_batch_changes_nothing_of_anothers(photos_api_client: PhotosApiClient, stranger: PhotosApiClient) -> None:
    draft = photos_api_client.photos.create(Photo(name="mine", draft=True, image=photo_bytes(57)))
    [result] = stranger.photos.batch([Delete(draft)])
    assert isinstance(result.error, NotFound)
    assert photos_api_client.photos.get(draft).name == "mine"

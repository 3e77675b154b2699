"""The path that everything else rests on, by nothing but the environment, the client and HTTP."""

from __future__ import annotations

import io

from ht.api_clients.photos import Photo, PhotosApiClient
from PIL import Image

from hmlet.env_comm import HmletEnv
from hmlet.tests.pictures import boxed


def test_creating_deleting_listing(env: HmletEnv, photos_api_client: PhotosApiClient) -> None:
    photos = photos_api_client.photos
    path = env.root / "tests/test_e2e/data/test_image.png"
    with Image.open(path) as image:
        size = image.size

    for photo in photos.list(owner="me"):
        photos.delete(photo)
    assert photos.list(owner="me") == []

    published = photos.create(Photo(name="Sunrise", caption="Over the #alps", image=path), wait_s=10)
    draft = photos.create(Photo(name="Sunset", draft=True, image=path), wait_s=10)
    photos.wait_until_ready(published)
    photos.wait_until_ready(draft)

    listed = {photo.name: photo for photo in photos.list(owner="me")}
    assert set(listed) == {"Sunrise", "Sunset"}
    assert (listed["Sunrise"].id, listed["Sunset"].id) == (published.id, draft.id)
    assert (listed["Sunrise"].draft, listed["Sunset"].draft) == (False, True)
    assert listed["Sunrise"].publish_date is not None
    assert listed["Sunset"].publish_date is None
    assert (listed["Sunrise"].caption, listed["Sunrise"].tags) == ("Over the #alps", ("alps",))
    for photo in listed.values():
        assert photo.status == "ready"
        assert photo.username == published.username
        assert (photo.width, photo.height) == size
        with Image.open(io.BytesIO(photos.download_thumbnail(photo))) as thumbnail:
            assert thumbnail.format == "JPEG"
            assert thumbnail.size == boxed(size) == (128, 96)

    photos.delete(listed["Sunrise"])
    assert [photo.name for photo in photos.list(owner="me")] == ["Sunset"]

"""All the sizes of a photo, as a browser gets them."""

from __future__ import annotations

import io

import requests
from ht.api_clients.photos import Photo, PhotosApiClient
from PIL import Image

from hmlet.tests.pictures import grainy, jpeg, landscape
from hmlet.tests.waiting import wait_for

SIZES = {"128": (128, 96), "256": (256, 256), "512": (512, 384), "1440": (1440, 1080)}
FORMATS = {"jpeg", "webp"}
TIMEOUT_S = 30


def complete(client: PhotosApiClient, photo: Photo) -> Photo:
    """The photo with all its sizes in both formats."""

    def look() -> Photo | None:
        now = client.photos.get(photo)
        return (
            now if set(now.thumbnails) == set(SIZES) and all(map(FORMATS.issubset, now.thumbnails.values())) else None
        )

    return wait_for(look, what="all sizes in both formats")


def test_a_photo_comes_in_four_sizes_and_two_formats_which_go_with_it(photos_api_client: PhotosApiClient) -> None:
    image = jpeg(grainy(landscape(7, (2000, 1500)), 7))
    posted = photos_api_client.photos.create(Photo(name="All sizes", image=image), wait_s=10)
    photo = complete(photos_api_client, posted)
    assert photo.status == "ready"
    assert photo.thumbnail == photo.thumbnails["128"]["jpeg"]
    urls = {(size, name): url for size, formats in photo.thumbnails.items() for name, url in formats.items()}
    assert len(urls) == len(SIZES) * len(FORMATS)
    for (size, name), url in urls.items():
        answer = requests.get(url, timeout=TIMEOUT_S)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, f"image/{name}")
        assert answer.headers["Cache-Control"] == "private, max-age=3600, immutable"
        with Image.open(io.BytesIO(answer.content)) as rendition:
            assert (rendition.format, rendition.size) == (name.upper(), SIZES[size])
    photos_api_client.photos.delete(photo)
    for url in urls.values():
        wait_for(lambda url=url: not requests.get(url, timeout=TIMEOUT_S).ok, what="the object is gone")  # type: ignore[misc]


def test_heic_is_posted_like_any_other(photos_api_client: PhotosApiClient) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    out = io.BytesIO()
    landscape(8, (1200, 900)).save(out, "HEIF", quality=60)
    posted = photos_api_client.photos.create(Photo(name="From a phone", image=out.getvalue()), wait_s=10)
    assert (posted.width, posted.height) == (1200, 900)
    assert complete(photos_api_client, posted).status == "ready"

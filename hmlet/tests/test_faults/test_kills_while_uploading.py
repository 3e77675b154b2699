"""Every process of a stage is killed while eight clients upload: what was answered with 201 is there, whole."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable

import boto3
import psutil
import psycopg2
import pytest
from botocore.config import Config
from ht.api_clients.photos import Photo, PhotosApiClient

from hmlet.tests.faults.uploading import Record, Uploading, size_of
from hmlet.tests.faults.victims import Victims, all_children, found, main_process, one_child
from hmlet.tests.pictures import boxed
from hmlet.tests.test_host.place import PLATFORM, SERVERS, Place, kill
from hmlet.tests.waiting import wait_for

CLIENTS = 8
BACK_WITHIN_S = 60.0
FINISHED_WITHIN_S = 90.0
UPLOADS_BETWEEN = 6


SUPERVISED: dict[str, Victims] = {
    **{name: main_process(name) for name in (*SERVERS, *PLATFORM)},
    "a web worker": one_child("web"),
    "a worker's child": one_child("worker"),
    "all below the worker": all_children("worker"),
    "a backend of the database": one_child("postgresql"),
}
"""What the supervisor, or the program itself, brings back."""

UNSUPERVISED: dict[str, Victims] = {
    "supervisord": lambda place: [psutil.Process(place.supervisor.pid())],
    "everything at once": lambda place: place.processes(),
}
"""What the next deploy brings back."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_was_answered_with_201_survives_the_death_of_each_process(
    place: Place, record_testsuite_property: Callable[[str, object], None]
) -> None:
    web_url = f"http://127.0.0.1:{place.ports()['web_port']}"
    with Uploading(web_url, "admin", place.secret("admin_password"), clients=CLIENTS) as uploading:
        record = uploading.record
        more_uploads(record, "the first")
        for name, victims in SUPERVISED.items():
            kill(found(victims, place, name))
            more_uploads(record, f"after {name} was killed")
        for name, victims in UNSUPERVISED.items():
            kill(found(victims, place, name))
            place.deploy()
            more_uploads(record, f"after {name} was killed and deployed again")

    assert record.broken == []
    assert len(record.uploads) >= UPLOADS_BETWEEN * (len(SUPERVISED) + len(UNSUPERVISED) + 1)
    untimely = [failure for failure in record.failures if not failure.transient]
    assert untimely == [], "a client was told that it did something wrong"
    with place.client() as client:
        photos = finished(client)
        check_photos(client, photos, record)
    check_originals(place, photos, record)
    for name, value in {"answered with 201": len(record.uploads), "photos": len(photos), **tally(record)}.items():
        record_testsuite_property(name, value)


def more_uploads(record: Record, when: str) -> None:
    wanted = len(record.uploads) + UPLOADS_BETWEEN
    wait_for(lambda: len(record.uploads) >= wanted, what=f"uploads {when}: {tally(record)}", within_s=BACK_WITHIN_S)


def finished(client: PhotosApiClient) -> dict[str, Photo]:
    """All photos, once none is processing any more."""

    def all_done() -> list[Photo]:
        photos = client.photos.list(owner="me")
        return [] if any(photo.status == "processing" for photo in photos) else photos

    photos = wait_for(all_done, what="no photo is left processing", within_s=FINISHED_WITHIN_S, pause_s=1)
    return {str(photo.id): photo for photo in photos}


def check_photos(client: PhotosApiClient, photos: dict[str, Photo], record: Record) -> None:
    assert {photo.status for photo in photos.values()} == {"ready"}
    lost = [upload for upload in record.uploads if upload.photo_id not in photos]
    assert lost == []
    for upload in record.uploads:
        photo = photos[upload.photo_id]
        assert photo.name == upload.name
        assert photo.width is not None
        assert photo.height is not None
        assert size_of(client.photos.download_thumbnail(photo)) == boxed((photo.width, photo.height))


def check_originals(place: Place, photos: dict[str, Photo], record: Record) -> None:
    """Read past the platform: keys from the database, bytes from the storage."""
    keys = stored_keys(place)
    assert set(photos) <= set(keys)
    storage = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{place.ports()['storage_port']}",
        aws_access_key_id=place.secret("storage_access_key"),
        aws_secret_access_key=place.secret("storage_secret_key"),
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )

    def digest(key: str) -> str:
        return hashlib.sha256(storage.get_object(Bucket="hmlet-originals", Key=key)["Body"].read()).hexdigest()

    digests = {photo_id: digest(key) for photo_id, (key, _) in keys.items()}
    assert digests == {photo_id: sha256 for photo_id, (_, sha256) in keys.items()}, "a row names other bytes"
    for upload in record.uploads:
        assert digests[upload.photo_id] == upload.sha256, upload


def stored_keys(place: Place) -> dict[str, tuple[str, str]]:
    """Photo's id → its original's key and digest, as the database has them."""
    database = psycopg2.connect(
        host="127.0.0.1",
        port=place.ports()["database_port"],
        user="hmlet",
        dbname="hmlet",
        password=place.secret("database_password"),
    )
    try:
        with database.cursor() as cursor:
            cursor.execute(
                "SELECT photo.id, original.key, original.sha256 FROM gallery_photo photo"
                " JOIN gallery_original original ON original.id = photo.original_id"
            )
            return {str(photo_id): (key, sha256) for photo_id, key, sha256 in cursor.fetchall()}
    finally:
        database.close()


def tally(record: Record) -> dict[str, int]:
    return dict(Counter(type(failure).__name__ for failure in record.failures))

"""Thumbnails of images that become no photo, through HTTP, jobs worked off in between."""

from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.utils import timezone
from gallery.originals import ORPHAN_GRACE, objects_sweep
from jobs.models import Job
from PIL import Image
from rest_framework.test import APIClient
from thumbnails.models import LooseImage

from tests.images import encoded, png_bomb, webp_bomb

pytestmark = pytest.mark.django_db
URL = "/api/v1/thumbnails/"


@pytest.fixture
def send(api: APIClient) -> Any:
    """Asks for a thumbnail; answers with the response."""

    def post(content: bytes | None = None, *, filename: str = "cat.png", client: APIClient = api, **fields: Any) -> Any:
        image = SimpleUploadedFile(filename, encoded() if content is None else content)
        return client.post(URL, {"image": image, **fields}, format="multipart")

    return post


def _age(buckets: Any) -> None:
    then = timezone.now() - ORPHAN_GRACE - timedelta(minutes=1)
    for bucket in buckets.values():
        bucket.objects = {key: (content, kind, then) for key, (content, kind, _) in bucket.objects.items()}


def test_an_image_gets_a_job_and_the_job_a_thumbnail(send: Any, api: APIClient, work_off: Any, buckets: Any) -> None:
    content = encoded(640, 480)
    answer = send(content)
    assert answer.status_code == 202
    job = answer.json()
    assert answer["Location"] == f"http://testserver/api/v1/jobs/{job['id']}/"
    assert (job["kind"], job["state"], job["name"]) == ("file_thumbnail", "queued", "cat.png")
    assert job["original"] == {"path": "cat.png", "bytes": len(content), "width": 640, "height": 480}
    assert job["thumbnail"] is None
    work_off()
    job = api.get(answer["Location"]).json()
    assert job["state"] == "done"
    assert (job["thumbnail"]["width"], job["thumbnail"]["height"]) == (100, 75)
    redirect = api.get(job["thumbnail"]["path"])
    assert redirect.status_code == 303
    assert redirect["Location"].endswith("as=thumb_cat.png")
    ((stored, content_type, _),) = buckets["thumbnails"].objects.values()
    assert (content_type, len(stored)) == ("image/jpeg", job["thumbnail"]["bytes"])
    with Image.open(BytesIO(stored)) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (100, 75))


def test_it_becomes_no_photo_and_uses_up_no_name(send: Any, api: APIClient, work_off: Any) -> None:
    send()
    work_off()
    assert api.get("/api/v1/photos/").json()["results"] == []


@pytest.mark.parametrize(("box", "size"), [("200x50", (67, 50)), ("1440X1440", (640, 480)), ("1x1", (1, 1))])
def test_the_thumbnail_fits_the_box_and_is_not_enlarged(
    send: Any, api: APIClient, work_off: Any, box: str, size: tuple[int, int]
) -> None:
    location = send(encoded(640, 480), box=box)["Location"]
    work_off()
    thumbnail = api.get(location).json()["thumbnail"]
    assert (thumbnail["width"], thumbnail["height"]) == size


@pytest.mark.parametrize("box", ["100", "0x100", "100x1441", "1441x100", "-1x5", "100x", "axb", "100x100x100", "٣x٣"])
def test_a_box_that_is_none_is_refused_by_name(send: Any, buckets: Any, box: str) -> None:
    answer = send(box=box)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["box"])
    assert buckets["originals"].objects == {}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "image_empty"),
        (b"this is no image at all", "image_unreadable"),
        (b"%PDF-1.7 ...", "image_format_refused"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image_format_refused"),
        (png_bomb(), "image_too_large"),
        (webp_bomb(), "image_too_large"),
    ],
    ids=["empty", "text", "pdf", "svg", "png-bomb", "webp-bomb"],
)
def test_what_is_no_image_is_refused_as_a_photo_is_and_leaves_nothing(
    send: Any, buckets: Any, content: bytes, code: str
) -> None:
    answer = send(content)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert buckets["originals"].objects == {}
    assert not LooseImage.objects.exists()
    assert not Job.objects.exists()


def test_a_file_over_the_limit_is_refused(send: Any, settings: Any) -> None:
    settings.PHOTO_MAX_BYTES = 1000
    answer = send(encoded(900, 700))
    assert (answer.status_code, answer.json()["code"]) == (413, "image_bytes_limit")


def test_an_image_is_sent_as_a_file_of_a_form(api: APIClient) -> None:
    assert api.post(URL, {"image": "cat"}, format="json").json()["errors"].keys() == {"image"}
    assert api.post(URL, {}, format="multipart").json()["errors"].keys() == {"image"}
    assert api.post(URL, b"x", content_type="text/plain").status_code == 415


def test_nobody_gets_a_thumbnail(send: Any) -> None:
    assert send(client=APIClient()).status_code == 401


def test_a_storage_that_is_away_keeps_nothing(send: Any, buckets: Any) -> None:
    buckets["originals"].broken = True
    answer = send()
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert not Job.objects.exists()


def test_a_file_that_breaks_off_fails_with_its_reason(send: Any, api: APIClient, work_off: Any) -> None:
    location = send(encoded(900, 700, image_format="JPEG")[:6000])["Location"]
    work_off()
    job = api.get(location).json()
    assert (job["state"], job["failure"]["code"]) == ("failed", "image_truncated")
    assert api.get(f"{location}thumbnail/").status_code == 404


def test_the_same_job_run_again_leaves_the_same_rows_and_objects(send: Any, work_off: Any, buckets: Any) -> None:
    send()
    work_off()
    before = (LooseImage.objects.values().get(), buckets["thumbnails"].objects.keys())
    for _ in range(4):
        Job.objects.update(state="queued")
        work_off()
    assert (LooseImage.objects.values().get(), buckets["thumbnails"].objects.keys()) == before


def test_image_and_thumbnail_are_kept_for_a_set_time_and_then_gone(
    send: Any, api: APIClient, work_off: Any, buckets: Any, settings: Any
) -> None:
    settings.THUMBNAILS_KEPT_HOURS = 5
    location = send()["Location"]
    work_off()
    _age(buckets)
    assert objects_sweep() == 0, "rows name them"
    LooseImage.objects.update(created=timezone.now() - timedelta(hours=4))
    call_command("sweep_thumbnails", stdout=StringIO())
    assert LooseImage.objects.exists()
    LooseImage.objects.update(created=timezone.now() - timedelta(hours=6))
    out = StringIO()
    call_command("sweep_thumbnails", stdout=out)
    assert out.getvalue() == "1 images forgotten whose time is over\n"
    assert objects_sweep() == 2
    assert (buckets["originals"].objects, buckets["thumbnails"].objects) == ({}, {})
    job = api.get(location).json()
    assert (job["state"], job["name"], job["original"], job["thumbnail"]) == ("done", "cat.png", None, None)
    assert api.get(f"{location}thumbnail/").json()["code"] == "no_thumbnail"


def test_an_image_whose_job_still_waits_is_kept(send: Any, settings: Any) -> None:
    send()
    LooseImage.objects.update(created=timezone.now() - timedelta(hours=settings.THUMBNAILS_KEPT_HOURS + 1))
    call_command("sweep_thumbnails", stdout=StringIO())
    assert LooseImage.objects.exists()


def test_trying_again_after_the_time_is_over_says_so(send: Any, api: APIClient, work_off: Any) -> None:
    location = send(encoded(900, 700, image_format="JPEG")[:6000])["Location"]
    work_off()
    LooseImage.objects.all().delete()
    assert api.post(f"{location}retry/").status_code == 200
    work_off()
    assert api.get(location).json()["failure"]["code"] == "image_expired"

"""Signed URLs and private buckets, against a real S3 server where rclone is installed."""

import base64
import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import botocore.auth
import pytest
import urllib3
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from django.utils import timezone
from gallery import buckets
from gallery.buckets import OriginalsBucket, ThumbnailsBucket, window_start
from gallery.signing import UrlSigner

from tests.s3 import KEYS


@pytest.fixture
def thumbnails(s3_endpoint: str) -> ThumbnailsBucket:
    bucket = ThumbnailsBucket(**KEYS, endpoint_url=s3_endpoint, bucket_name=f"thumbnails-{uuid.uuid4().hex[:8]}")
    assert bucket.ensure() is True
    assert bucket.ensure() is False
    return bucket


def _status(url: str) -> int:
    response = urllib3.request("GET", url, retries=False, timeout=30)
    assert (b"hello" in response.data) is (response.status == 200)
    return response.status


def test_a_signed_url_gives_the_object_with_its_type(thumbnails: ThumbnailsBucket) -> None:
    thumbnails.write("aa/b c.jpg", BytesIO(b"hello"), "image/jpeg")
    response = urllib3.request("GET", thumbnails.signed_url("aa/b c.jpg", "image/jpeg"), retries=False, timeout=30)
    assert (response.data, response.headers["Content-Type"]) == (b"hello", "image/jpeg")
    assert response.headers["Cache-Control"] == "private, max-age=3600, immutable"


def test_nobody_reads_without_a_signature_or_with_a_tampered_or_expired_one(
    thumbnails: ThumbnailsBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    thumbnails.write("aa/one.jpg", BytesIO(b"hello"), "image/jpeg")
    thumbnails.write("aa/two.jpg", BytesIO(b"hello"), "image/jpeg")
    url = thumbnails.signed_url("aa/one.jpg", "image/jpeg")
    assert _status(url) == 200
    monkeypatch.setattr(buckets, "URL_LIFE", timedelta(seconds=1))
    monkeypatch.setattr(buckets, "window_start", lambda now: now - timedelta(seconds=10))
    expired = thumbnails.signed_url("aa/one.jpg", "image/jpeg")
    for bad in (url.split("?")[0], url.replace("one.jpg", "two.jpg"), url[:-4] + "0000", expired):
        assert 400 <= _status(bad) < 500


@pytest.mark.parametrize("ahead", [timedelta(hours=-1), timedelta(0), timedelta(hours=1)])
def test_when_an_object_was_written_is_told_by_our_clock_whatever_the_storage_s_says(
    thumbnails: ThumbnailsBucket, ahead: timedelta
) -> None:
    then = datetime.now(UTC) + ahead

    def answer(**_: Any) -> AWSResponse:
        written = f"{then:%Y-%m-%dT%H:%M:%S.000Z}"
        listed = f"<Contents><Key>aa/new.jpg</Key><Size>5</Size><LastModified>{written}</LastModified></Contents>"
        raw = SimpleNamespace(stream=lambda: iter([f"<ListBucketResult>{listed}</ListBucketResult>".encode()]))
        return AWSResponse("http://s3", 200, {"date": format_datetime(then, usegmt=True)}, raw)  # type: ignore[arg-type]

    thumbnails.client.meta.events.register("before-send.s3.ListObjectsV2", answer)  # type: ignore[arg-type]
    (new,) = thumbnails.listed()
    assert abs(new.written - timezone.now()) < timedelta(minutes=1)


def test_an_object_is_written_read_listed_and_discarded(thumbnails: ThumbnailsBucket) -> None:
    thumbnails.write("aa/one.jpg", BytesIO(b"hello"), "image/jpeg")
    out = BytesIO()
    thumbnails.read("aa/one.jpg", out)
    assert out.getvalue() == b"hello"
    assert list(thumbnails.keys(older_than=timezone.now() + timedelta(hours=1))) == ["aa/one.jpg"]
    assert list(thumbnails.keys(older_than=timezone.now() - timedelta(hours=1))) == []
    assert [(found.key, found.bytes) for found in thumbnails.listed("aa/")] == [("aa/one.jpg", 5)]
    assert [found.key for found in thumbnails.listed("aa/one.jpg")] == ["aa/one.jpg"]
    assert list(thumbnails.listed("ab/")) == []
    thumbnails.discard("aa/one.jpg")
    thumbnails.discard("aa/one.jpg")
    with pytest.raises(FileNotFoundError):
        thumbnails.read("aa/one.jpg", out)


def test_a_bucket_tells_its_folders_and_what_is_in_none(thumbnails: ThumbnailsBucket) -> None:
    assert list(thumbnails.folders()) == []
    for key in ("aa/one.jpg", "aa/b/two.jpg", "bb/three.jpg", "alone"):
        thumbnails.write(key, BytesIO(b"hello"), "image/jpeg")
    assert sorted(thumbnails.folders()) == ["aa/", "alone", "bb/"]
    assert sorted(found.key for found in thumbnails.listed("aa/")) == ["aa/b/two.jpg", "aa/one.jpg"]


def test_a_url_stays_the_same_within_its_window_and_lives_longer_than_it() -> None:
    start = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    assert {window_start(start + timedelta(seconds=s)) for s in (0, 1, 899)} == {start}
    assert window_start(start + timedelta(seconds=900)) == start + timedelta(minutes=15)
    assert buckets.URL_LIFE >= 2 * buckets.URL_WINDOW


def test_a_url_names_the_public_endpoint() -> None:
    bucket = ThumbnailsBucket(
        **KEYS, endpoint_url="http://inside:9000", public_endpoint_url="https://photos.example", bucket_name="shown"
    )
    assert bucket.signed_url("a.jpg", "image/jpeg").startswith("https://photos.example/shown/a.jpg?")


@pytest.mark.parametrize("key", ["aa/b.jpg", "ä b+c~.jpg", "a%2fb/c&d=e"])
@pytest.mark.parametrize("saved", ["", 'Zürich – "my" photo.jpg'])
def test_a_url_is_signed_as_botocore_signs_it(monkeypatch: pytest.MonkeyPatch, key: str, saved: str) -> None:
    moment = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    params = {"response-content-type": "image/jpeg"}
    if saved:
        params["response-content-disposition"] = saved
    signer = UrlSigner(
        "https://photos.example:8443/shown",
        access_key=KEYS["access_key"],
        secret_key=KEYS["secret_key"],
        region=KEYS["region_name"],
        moment=moment,
        life=timedelta(hours=1),
    )
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: moment)
    url = f"https://photos.example:8443/shown/{quote(key)}"
    request = AWSRequest(method="GET", url=url, headers={}, params=params)
    credentials = Credentials(KEYS["access_key"], KEYS["secret_key"])
    S3SigV4QueryAuth(credentials, "s3", KEYS["region_name"], expires=3600).add_auth(request)
    theirs, ours = urlsplit(str(request.url)), urlsplit(signer.signed(key, params))
    assert ours._replace(query="") == theirs._replace(query="")
    assert parse_qs(ours.query) == parse_qs(theirs.query)


@pytest.mark.parametrize("bucket_class", [OriginalsBucket, ThumbnailsBucket])
def test_a_bucket_has_no_plain_urls_and_an_original_no_signed_one(bucket_class: type[OriginalsBucket]) -> None:
    bucket = bucket_class(**KEYS, endpoint_url="http://inside:9000", bucket_name="private")
    with pytest.raises(NotImplementedError):
        bucket.url("aa/one.jpg")
    assert hasattr(bucket, "signed_url") is (bucket_class is ThumbnailsBucket)


@pytest.fixture
def originals(s3_endpoint: str) -> OriginalsBucket:
    bucket = OriginalsBucket(**KEYS, endpoint_url=s3_endpoint, bucket_name=f"originals-{uuid.uuid4().hex[:8]}")
    bucket.ensure()
    return bucket


def _bound(content: bytes) -> dict[str, str]:
    checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return {"content-type": "image/png", "x-amz-checksum-sha256": checksum}


def _put(url: str, content: bytes, headers: dict[str, str]) -> int:
    return urllib3.request("PUT", url, body=content, headers=headers, retries=False, timeout=30).status


def test_a_signed_put_takes_the_announced_bytes_and_their_headers_alone(originals: OriginalsBucket) -> None:
    bound = _bound(b"hello")
    signed = {"content-length": "5", **bound}
    url = originals.signed_put("uploads/a", headers=signed, query={}, life=timedelta(minutes=1))
    other = originals.signed_put("uploads/b", headers=signed, query={}, life=timedelta(minutes=1))
    assert _put(url.split("?")[0], b"hello", bound) >= 400
    assert _put(url, b"hello!", bound) >= 400
    assert _put(url, b"hello", {**bound, "content-type": "text/html"}) >= 400
    assert _put(url, b"hello", {**bound, **_bound(b"other"), "content-type": "image/png"}) >= 400
    assert _put(url, b"hello", {}) >= 400
    assert _put(url.replace("/uploads/a", "/uploads/c"), b"hello", bound) >= 400
    out = BytesIO()
    with pytest.raises(FileNotFoundError):
        originals.read("uploads/a", out)
    assert _put(url, b"hello", bound) == 200
    originals.read("uploads/a", out)
    assert out.getvalue() == b"hello"
    assert _status(url) >= 400, "who may put may not read"
    assert _put(other, b"hello", bound) == 200


def test_an_expired_put_is_refused(originals: OriginalsBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    url = originals.signed_put("uploads/a", headers=_bound(b"hello"), query={}, life=timedelta(seconds=-1))
    assert _put(url, b"hello", _bound(b"hello")) >= 400


def test_an_upload_in_parts_is_put_listed_joined_and_aborted(originals: OriginalsBucket) -> None:
    parts = {1: b"a" * 5 * 1024 * 1024, 2: b"the end"}
    upload = originals.parts_begin("uploads/a", "image/png")
    assert originals.parts_list("uploads/a", upload) == []
    for number, content in parts.items():
        bound = {"x-amz-checksum-sha256": _bound(content)["x-amz-checksum-sha256"]}
        headers = {"content-length": str(len(content)), **bound}
        query = {"partNumber": str(number), "uploadId": upload}
        url = originals.signed_put("uploads/a", headers=headers, query=query, life=timedelta(minutes=1))
        if number == 2:
            # Of a long body the server would not wait for the end before it refuses.
            assert _put(url, content + b"!", bound) >= 400
        assert _put(url, content, bound) == 200
    there = originals.parts_list("uploads/a", upload)
    assert [(part.number, part.bytes) for part in there] == [(1, len(parts[1])), (2, len(parts[2]))]
    originals.parts_join("uploads/a", upload, there)
    out = BytesIO()
    originals.read("uploads/a", out)
    assert out.getvalue() == parts[1] + parts[2]

    given_up = originals.parts_begin("uploads/b", "image/png")
    originals.parts_abort("uploads/b", given_up)
    for over in (upload, given_up):
        with pytest.raises(FileNotFoundError):
            originals.parts_list("uploads/a", over)
        with pytest.raises(FileNotFoundError):
            originals.parts_join("uploads/a", over, there)
        with pytest.raises(FileNotFoundError):
            originals.parts_abort("uploads/a", over)


def test_a_bucket_answers_for_itself_and_for_our_keys(thumbnails: ThumbnailsBucket, s3_endpoint: str) -> None:
    thumbnails.check()
    name = thumbnails.bucket_name
    nowhere = ThumbnailsBucket(**KEYS, endpoint_url=s3_endpoint, bucket_name="nowhere")
    strange = ThumbnailsBucket(**KEYS | {"secret_key": "another"}, endpoint_url=s3_endpoint, bucket_name=name)
    for bad in (nowhere, strange):
        with pytest.raises(ClientError):
            bad.check()

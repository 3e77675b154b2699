"""The photos API through HTTP, jobs worked off in between."""

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from gallery import originals, storing
from gallery.api.serializers import PhotoSerializer
from gallery.models import Original, Photo, Rendition
from gallery.renditions import SIZES_BY_KIND
from gallery.selectors import photo_view, photos_visible
from jobs.models import Job, OutboxEntry
from rest_framework.serializers import Serializer
from rest_framework.test import APIClient

from tests.conftest import client_of
from tests.images import encoded, png_bomb, webp_bomb

URL = "/api/v1/photos/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def in_between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something done once, when the next upload has been judged and nothing of it is written yet."""

    def arrange(what: Callable[[], object]) -> None:
        left = [what]

        class Late(storing.Storing):
            def __init__(self, *args: Any) -> None:
                while left:
                    left.pop()()
                super().__init__(*args)

        monkeypatch.setattr(originals, "Storing", Late)

    return arrange


def test_a_posted_photo_gets_its_thumbnail(post: Any, api: APIClient, work_off: Any) -> None:
    response = post(encoded(640, 480), name="Dawn", caption="At the #sea, in #Été", draft="false")
    assert response.status_code == 201
    photo = response.json()
    assert (photo["status"], photo["thumbnail"], photo["thumbnails"]) == ("processing", None, {})
    assert response["Location"].endswith(f"{URL}{photo['id']}/")

    work_off()

    photo = api.get(f"{URL}{photo['id']}/").json()
    assert photo["status"] == "ready"
    assert photo["thumbnail"] == photo["thumbnails"]["128"]["jpeg"]
    assert (photo["thumbnails"]["128"]["width"], photo["thumbnails"]["128"]["height"]) == (128, 96)
    assert (photo["width"], photo["height"]) == (640, 480)
    assert photo["tags"] == ["sea", "été"]
    assert photo["username"] == "maker"
    assert photo["publish_date"] is not None
    assert photo["failure"] is None
    assert "image" not in photo


@pytest.mark.parametrize("state", ["posted", "ready", "draft", "failed", "duplicate"])
def test_what_is_shown_is_what_the_documented_fields_say(
    state: str, post: Any, owner: User, work_off: Any, db: None
) -> None:
    content = encoded(640, 480)[:-100] if state == "failed" else encoded(640, 480)
    post(content, caption="#a", draft=state == "draft")
    if state != "posted":
        work_off()
    if state == "duplicate":
        post(content, name="again")
    photo = photos_visible(viewer=owner).latest("created")
    view = photo_view(photo, viewer=owner)
    assert (view.failure is not None, view.duplicate_of is not None) == (state == "failed", state == "duplicate")
    by_fields = Serializer.to_representation(PhotoSerializer(), view)
    assert PhotoSerializer(view).data == by_fields


def test_a_draft_has_no_publish_date_until_published(post: Any, api: APIClient) -> None:
    photo = post(draft="true").json()
    assert photo["draft"] is True
    assert photo["publish_date"] is None
    address = f"{URL}{photo['id']}/"
    published = api.patch(address, {"draft": False}).json()
    assert published["publish_date"] is not None
    assert api.patch(address, {"caption": "new"}).json()["publish_date"] == published["publish_date"]
    assert api.patch(address, {"draft": True}).json()["publish_date"] is None


def test_the_original_and_its_key_are_nowhere_in_an_answer(post: Any, api: APIClient, work_off: Any) -> None:
    photo = post().json()
    work_off()
    key = Original.objects.get().key
    text = api.get(f"{URL}{photo['id']}/").content.decode() + api.get(URL).content.decode()
    assert key not in text
    assert key.split("/")[1].split(".")[0] not in text
    assert "originals" not in text
    assert not any(rendition.key.split("-")[0] in key for rendition in Rendition.objects.all())


def test_a_strangers_view_has_published_and_ready_photos_alone(
    post: Any, strange_api: APIClient, work_off: Any
) -> None:
    draft, broken = post(draft="true").json(), post(encoded(image_format="JPEG")[:4000]).json()
    shown = post(encoded(300, 200)).json()
    assert strange_api.get(f"{URL}{shown['id']}/").status_code == 404, "not ready yet"
    work_off()
    assert [photo["id"] for photo in strange_api.get(URL).json()["results"]] == [shown["id"]]
    for hidden in (draft, broken):
        for method in (strange_api.get, strange_api.patch, strange_api.put, strange_api.delete):
            response = method(f"{URL}{hidden['id']}/")
            assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert Photo.objects.count() == 3


def test_a_hidden_photo_and_a_missing_one_answer_alike(post: Any, strange_api: APIClient) -> None:
    hidden = strange_api.get(f"{URL}{post(draft='true').json()['id']}/").json()
    missing = strange_api.get(f"{URL}{uuid.uuid4()}/").json()
    assert {**hidden, "request_id": ""} == {**missing, "request_id": ""}


def test_others_published_photos_cannot_be_changed(post: Any, strange_api: APIClient, work_off: Any) -> None:
    photo = post().json()
    work_off()
    for method in (strange_api.patch, strange_api.put, strange_api.delete):
        response = method(f"{URL}{photo['id']}/", {"name": "mine"})
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_a_failure_and_its_reason_are_shown_to_the_owner_alone(post: Any, api: APIClient, work_off: Any) -> None:
    response = post(encoded(900, 700, image_format="JPEG")[:6000])
    assert response.status_code == 201, "its header is fine"
    work_off()
    photo = api.get(f"{URL}{response.json()['id']}/").json()
    assert photo["status"] == "failed"
    assert photo["failure"]["code"] == "image_truncated"
    assert "ends before" in photo["failure"]["message"]
    assert Job.objects.get().state == "failed"
    assert Job.objects.get().attempts == 1, "the same bytes would fail the same way"


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "image_empty"),
        (b"this is no image at all", 400, "image_unreadable"),
        (bytes(20 * 1024 * 1024), 400, "image_unreadable"),
        (b"\xff\xd8\xff\xe0 and then nothing", 400, "image_unreadable"),
        (b"%PDF-1.7 ...", 400, "image_format_refused"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 400, "image_format_refused"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", 400, "image_unreadable"),
        (png_bomb(), 400, "image_too_large"),
        (webp_bomb(), 400, "image_too_large"),
    ],
    ids=["empty", "text", "zeros", "jpeg-start", "pdf", "svg", "heic", "png-bomb", "webp-bomb"],
)
def test_what_is_no_photo_is_refused_and_leaves_nothing(
    post: Any, buckets: Any, content: bytes, status: int, code: str
) -> None:
    response = post(content)
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code)
    assert body["errors"]["image"] == [body["message"]]
    assert body["request_id"] == response["X-Request-ID"]
    assert (Photo.objects.count(), Original.objects.count(), Job.objects.count()) == (0, 0, 0)
    assert buckets["originals"].objects == {}


def test_too_many_bytes_are_refused(post: Any, settings: Any) -> None:
    settings.PHOTO_MAX_BYTES = 1000
    response = post(encoded())
    assert (response.status_code, response.json()["code"]) == (413, "image_bytes_limit")


def test_a_body_that_is_too_long_is_refused_before_it_is_read(api: APIClient, settings: Any) -> None:
    settings.PHOTO_MAX_BYTES = 1000
    response = api.post(URL, {"name": "x" * 200_000}, format="json")
    assert (response.status_code, response.json()["code"]) == (413, "image_bytes_limit")


@pytest.mark.parametrize(
    "name",
    ["", "   ", "x" * 151, "nul\0", "line\nbreak", "evil\u202egpj.exe", "mark\u200f", "\u2066isolate", "x" * 5000],
    ids=["empty", "blank", "long", "nul", "newline", "override", "rtl-mark", "isolate", "very-long"],
)
def test_bad_names_are_refused(post: Any, api: APIClient, name: str) -> None:
    response = post(name=name)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert list(response.json()["errors"]) == ["name"]
    photo = post(name="fine").json()
    assert api.patch(f"{URL}{photo['id']}/", {"name": name}).status_code == 400


def test_names_are_trimmed_and_composed_and_may_be_of_any_script(post: Any) -> None:
    assert post(name="  Cafe\u0301 ").json()["name"] == "Caf\u00e9"
    assert post(name="שלום").status_code == 201
    assert post(name="x" * 150).status_code == 201


def test_a_second_photo_of_the_same_name_is_a_conflict(post: Any, buckets: Any) -> None:
    assert post(name="Same").status_code == 201
    response = post(encoded(50, 50), name=" Same ")
    assert (response.status_code, response.json()["code"]) == (409, "name_taken")
    assert "name" in response.json()["errors"]
    assert len(buckets["originals"].objects) == 1


def test_the_same_name_coming_in_between_is_a_conflict_and_leaves_no_object(
    post: Any, buckets: Any, work_off: Any, in_between: Any
) -> None:
    in_between(lambda: post(encoded(60, 60), name="Race"))
    response = post(encoded(50, 50), name="Race")
    assert (response.status_code, response.json()["code"]) == (409, "name_taken")
    work_off()
    assert set(buckets["originals"].objects) == set(Original.objects.values_list("key", flat=True))
    assert Photo.objects.count() == 1


def test_photos_of_the_same_bytes_say_so_to_their_owner_alone(
    post: Any, api: APIClient, strange_api: APIClient, work_off: Any
) -> None:
    content = encoded()
    first, second, third = (post(content).json() for _ in range(3))
    other, theirs = post(encoded(20, 20)).json(), post(content, client=strange_api).json()
    work_off()
    assert [photo["duplicate_of"] for photo in (first, second, third)] == [None, first["id"], first["id"]]
    assert (other["duplicate_of"], theirs["duplicate_of"]) == (None, None)
    shown = {photo["id"]: photo["duplicate_of"] for photo in strange_api.get(URL).json()["results"]}
    assert shown[second["id"]] is None
    api.delete(f"{URL}{first['id']}/")
    left = {photo["id"]: photo["duplicate_of"] for photo in api.get(f"{URL}?owner=me").json()["results"]}
    assert (left[second["id"]], left[third["id"]]) == (None, second["id"])


def test_others_may_use_the_same_name(post: Any, strange_api: APIClient) -> None:
    assert post(name="Same").status_code == 201
    assert post(name="Same", client=strange_api).status_code == 201


def test_renaming_to_a_taken_name_is_a_conflict(post: Any, api: APIClient) -> None:
    post(name="One")
    two = post(name="Two").json()
    assert api.patch(f"{URL}{two['id']}/", {"name": "One"}).status_code == 409
    assert api.patch(f"{URL}{two['id']}/", {"name": "Two"}).status_code == 200


def test_the_same_bytes_are_stored_once_and_go_with_the_last_photo(
    post: Any, api: APIClient, buckets: Any, work_off: Any
) -> None:
    content = encoded()
    first, second = post(content).json(), post(content).json()
    work_off()
    assert Original.objects.count() == 1
    assert (len(buckets["originals"].objects), len(buckets["thumbnails"].objects)) == (1, len(SIZES_BY_KIND))

    assert api.delete(f"{URL}{first['id']}/").status_code == 204
    work_off()
    assert api.get(f"{URL}{second['id']}/").json()["status"] == "ready"
    assert len(buckets["originals"].objects) == 1

    assert api.delete(f"{URL}{second['id']}/").status_code == 204
    assert len(buckets["originals"].objects) == 1, "objects go after the commit, by a job"
    work_off()
    assert (buckets["originals"].objects, buckets["thumbnails"].objects) == ({}, {})
    assert Original.objects.count() == Rendition.objects.count() == 0


def test_the_same_bytes_posted_in_between_are_stored_once(
    post: Any, buckets: Any, work_off: Any, in_between: Any
) -> None:
    content = encoded()
    in_between(lambda: post(content))
    assert post(content).status_code == 201
    assert Photo.objects.count() == 2
    work_off()
    assert list(buckets["originals"].objects) == [Original.objects.get().key]


def test_the_same_bytes_posted_while_the_last_photo_goes_keep_the_original(
    post: Any, api: APIClient, buckets: Any, work_off: Any
) -> None:
    content = encoded()
    first = post(content).json()
    work_off()
    api.delete(f"{URL}{first['id']}/")
    again = post(content).json()
    work_off()
    assert api.get(f"{URL}{again['id']}/").json()["status"] == "ready"
    assert len(buckets["originals"].objects) == 1


def test_the_same_bytes_of_two_owners_are_two_originals(post: Any, strange_api: APIClient, buckets: Any) -> None:
    post(encoded())
    post(encoded(), client=strange_api)
    assert len(buckets["originals"].objects) == 2


def test_a_storage_that_is_away_keeps_nothing(post: Any, buckets: Any) -> None:
    buckets["originals"].broken = True
    response = post()
    assert (response.status_code, response.json()["code"]) == (503, "storage_unavailable")
    assert (Photo.objects.count(), Original.objects.count(), Job.objects.count()) == (0, 0, 0)


def test_no_row_commits_before_its_object_is_there(post: Any, buckets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, write = buckets["originals"], buckets["originals"].write
    seen: list[int] = []

    def slowly(*args: Any) -> None:
        time.sleep(0.3)
        write(*args)

    monkeypatch.setattr(bucket, "write", slowly)
    atomic = transaction.Atomic.__exit__

    def left(self: Any, *args: Any) -> Any:
        seen.append(len(bucket.objects))
        return atomic(self, *args)

    monkeypatch.setattr(transaction.Atomic, "__exit__", left)
    assert post().status_code == 201
    assert seen[-1] == 1, "the last one is the one that commits"


def test_a_photo_and_its_job_are_promised_together(post: Any) -> None:
    post()
    job = Job.objects.get()
    assert (job.state, job.kind, job.subject) == ("queued", "thumbnail", Original.objects.get().pk)
    assert OutboxEntry.objects.get().job == job


def test_put_replaces_the_texts_and_keeps_the_image(post: Any, api: APIClient, work_off: Any) -> None:
    photo = post(name="Old", caption="old #a").json()
    work_off()
    response = api.put(f"{URL}{photo['id']}/", {"name": "New", "draft": False})
    assert response.status_code == 200
    assert (response.json()["name"], response.json()["caption"], response.json()["tags"]) == ("New", "", [])
    assert response.json()["status"] == "ready"
    assert api.put(f"{URL}{photo['id']}/", {"name": "New"}).json()["errors"] == {"draft": ["This field is required."]}


def test_a_new_image_makes_a_new_thumbnail_and_lets_go_of_the_old(
    post: Any, api: APIClient, buckets: Any, work_off: Any
) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    photo = post(encoded(640, 480)).json()
    work_off()
    image = SimpleUploadedFile("new.png", encoded(480, 640))
    response = api.patch(f"{URL}{photo['id']}/", {"image": image}, format="multipart")
    assert response.json()["status"] == "processing"
    assert response.json()["draft"] is False
    work_off()
    photo = api.get(f"{URL}{photo['id']}/").json()
    assert (photo["thumbnails"]["128"]["width"], photo["thumbnails"]["128"]["height"]) == (96, 128)
    assert (len(buckets["originals"].objects), len(buckets["thumbnails"].objects)) == (1, len(SIZES_BY_KIND))


def test_json_cannot_carry_an_image(api: APIClient) -> None:
    response = api.post(URL, {"name": "x", "image": "0b8e..."}, format="json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert "multipart" in response.json()["errors"]["image"][0]
    assert "multipart" in api.post(URL, {"name": "x"}, format="json").json()["errors"]["image"][0]


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_a_body_that_cannot_be_parsed_is_said_so(api: APIClient, content_type: str) -> None:
    response = api.generic("POST", URL, "{nonsense", content_type=content_type)
    assert response.status_code in {400, 415}
    assert set(response.json()) == {"code", "message", "errors", "request_id"}


def test_everything_needs_a_sign_in(client: Any, post: Any) -> None:
    photo = post().json()
    for address in (URL, f"{URL}{photo['id']}/"):
        for method in (client.get, client.post, client.delete):
            response = method(address)
            assert response.status_code == 401
            assert response["WWW-Authenticate"].startswith("Bearer")
            assert response.json()["code"] == "not_authenticated"


def _photos(owner: User, count: int, *, same_date: bool = False, draft: bool = False) -> list[Photo]:
    original = Original.objects.create(
        owner=owner,
        sha256=uuid.uuid4().hex,
        key=uuid.uuid4().hex,
        bytes=1,
        format="PNG",
        width=1,
        height=1,
        state="ready",
    )
    start = timezone.now() - timedelta(days=1)
    return Photo.objects.bulk_create(
        Photo(
            owner=owner,
            original=original,
            name=f"{uuid.uuid4()}",
            draft=draft,
            publish_date=None if draft else start + timedelta(seconds=0 if same_date else n // 2),
        )
        for n in range(count)
    )


def _walk(client: APIClient, address: str, direction: str = "next") -> list[list[str]]:
    pages = []
    while address:
        page = client.get(address).json()
        assert set(page) == {"next", "previous", "results"}
        pages.append([photo["id"] for photo in page["results"]])
        address = page[direction]
    return pages


@pytest.mark.parametrize("ordering", ["publish_date", "-publish_date"])
def test_pages_hold_every_photo_once_in_order_there_and_back(owner: User, api: APIClient, ordering: str) -> None:
    dated = _photos(owner, 11) + _photos(owner, 5, same_date=True)
    drafts = _photos(owner, 6, draft=True)
    falling = ordering.startswith("-")
    expected = [
        str(photo.pk)
        for photo in sorted(dated, key=lambda photo: (photo.publish_date, photo.pk.hex), reverse=falling)
        + sorted(drafts, key=lambda photo: photo.pk.hex, reverse=falling)
    ]
    pages = _walk(api, f"{URL}?ordering={ordering}&page_size=4")
    assert [photo for page in pages for photo in page] == expected
    assert [len(page) for page in pages] == [4, 4, 4, 4, 4, 2]

    address = f"{URL}?ordering={ordering}&page_size=4"
    for _ in range(5):
        address = api.get(address).json()["next"]
    back = _walk(api, address, "previous")
    assert back == pages[::-1]


def test_a_photo_published_meanwhile_shifts_no_page(owner: User, api: APIClient) -> None:
    _photos(owner, 8)
    first = api.get(f"{URL}?page_size=4").json()
    _photos(owner, 3)
    second = api.get(first["next"]).json()
    seen = [photo["id"] for photo in first["results"] + second["results"]]
    assert len(set(seen)) == len(seen)


def test_a_page_costs_the_same_queries_whatever_its_size(
    owner: User, api: APIClient, django_assert_max_num_queries: Any
) -> None:
    _photos(owner, 60)
    with django_assert_max_num_queries(4):
        assert len(api.get(f"{URL}?page_size=50").json()["results"]) == 50


@pytest.mark.parametrize(
    "query",
    [
        "cursor=nonsense",
        "cursor=%00",
        "cursor=W10",
        "cursor=WyIyMDI2LTAxLTAxIiwgMSwgMV0",
        "ordering=name",
        "ordering=",
        "page_size=0",
        "page_size=1000",
        "page_size=x",
        "owner=somebody",
        "draft=perhaps",
        "search=%00",
    ],
)
def test_a_query_that_makes_no_sense_is_refused(api: APIClient, query: str) -> None:
    response = api.get(f"{URL}?{query}")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert response.json()["errors"]


def test_the_list_is_narrowed_by_its_parameters(
    owner: User, stranger: User, post: Any, api: APIClient, work_off: Any
) -> None:
    mine = post(caption="#Sea #sun").json()["id"]
    draft = post(encoded(20, 20), draft="true", caption="#sea").json()["id"]
    theirs = post(client=client_of(stranger), caption="#seaside").json()["id"]
    work_off()

    def ids(query: str) -> set[str]:
        return {photo["id"] for photo in api.get(f"{URL}?{query}").json()["results"]}

    assert ids("") == {mine, draft, theirs}
    assert ids("owner=me") == {mine, draft}
    assert ids("draft=true") == {draft}
    assert ids("draft=false") == {mine, theirs}
    assert ids("search=VISI") == {theirs}
    assert ids("search=%25") == set()
    assert ids("tag=sea") == ids("tag=%23SEA") == {mine, draft}
    assert ids("tag=sea&draft=false&owner=me") == {mine}


@pytest.mark.parametrize("address", ["/api/v1/nothing/", "/api/v1/photos/not-a-uuid/", "/api/nothing"])
def test_an_address_that_is_not_there_answers_in_json(api: APIClient, address: str) -> None:
    response = api.get(address)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_a_method_that_is_not_there_answers_in_json(api: APIClient) -> None:
    response = api.delete(URL)
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_a_bug_answers_in_json_without_telling_of_itself(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("gallery.selectors.photos_visible", broken)
    client = client_of(owner)
    client.raise_request_exception = False
    response = client.get(URL)
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert b"secret" not in response.content


def test_prefer_wait_is_applied_and_ends_with_the_thumbnail(
    owner: User, post: Any, monkeypatch: pytest.MonkeyPatch, work_off: Any
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        work_off()

    monkeypatch.setattr("jobs.news.time.sleep", sleep)
    response = post(headers={"Prefer": "respond-async, wait=10"})
    assert response["Preference-Applied"] == "wait=10"
    assert response.json()["status"] == "ready"
    assert response.json() == client_of(owner).get(response["Location"]).json()
    assert len(pauses) == 1


@pytest.mark.parametrize("made", [False, True])
def test_a_photo_that_is_deleted_while_its_poster_waits_is_not_there(
    post: Any, monkeypatch: pytest.MonkeyPatch, work_off: Any, made: bool
) -> None:
    """Though its original is, for as long as the job that deletes it takes."""

    def sleep(_: float) -> None:
        if made:
            work_off()
        Photo.objects.all().delete()

    monkeypatch.setattr("jobs.news.time.sleep", sleep)
    response = post(headers={"Prefer": "wait=10"})
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("prefer", ["wait=11", "wait=-1", "wait=x", "wait", "wait=1.5", "", "return=minimal"])
def test_a_preference_that_makes_no_sense_is_ignored(post: Any, prefer: str) -> None:
    response = post(headers={"Prefer": prefer})
    assert response.status_code == 201
    assert not response.has_header("Preference-Applied")

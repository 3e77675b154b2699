"""Photos through the client and, where it hides something, through plain HTTP: who sees what, and when."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin, urlsplit

import pytest
from ht.api_clients.photos import Photo, PhotosApiClient
from ht.errors import Forbidden, Invalid, NotFound, NotSignedIn
from PIL import Image
from pl.stage import Stage

from hmlet.env_comm import HmletEnv
from hmlet.tests.accounts import Account, token_pair
from hmlet.tests.pictures import boxed, photo_bytes
from hmlet.tests.stored import is_stored, stored_originals
from hmlet.tests.waiting import wait_for
from hmlet.tests.web import Web

IMAGE = photo_bytes(11)


def ready(client: PhotosApiClient, name: str, *, draft: bool = False, image: bytes = IMAGE, caption: str = "") -> Photo:
    photo = client.photos.create(Photo(name=name, draft=draft, caption=caption, image=image), wait_s=10)
    return client.photos.wait_until_ready(photo)


def names(photos: list[Photo]) -> list[str]:
    return [photo.name for photo in photos]


# Who sees what


def test_a_draft_is_its_owners_alone(photos_api_client: PhotosApiClient, stranger: PhotosApiClient) -> None:
    draft = ready(photos_api_client, "mine", draft=True)
    assert names(photos_api_client.photos.list(owner="me")) == ["mine"]
    assert stranger.photos.list(search=draft.username) == []
    with pytest.raises(NotFound):
        stranger.photos.get(draft)


def test_a_published_photo_is_everyones_to_see_and_its_owners_to_change(
    photos_api_client: PhotosApiClient, stranger: PhotosApiClient
) -> None:
    photo = ready(photos_api_client, "ours")
    assert stranger.photos.list(search=photo.username) == [photo]
    assert stranger.photos.get(photo) == photo
    with pytest.raises(Forbidden):
        stranger.photos.update(photo, caption="mine now")
    with pytest.raises(Forbidden):
        stranger.photos.delete(photo)
    assert photos_api_client.photos.get(photo) == photo


def test_nobody_sees_nothing(photos_api_client: PhotosApiClient, anonymous: PhotosApiClient) -> None:
    photo = ready(photos_api_client, "ours")
    with pytest.raises(NotSignedIn):
        anonymous.photos.list()
    with pytest.raises(NotSignedIn):
        anonymous.photos.get(photo)


def test_a_photo_whose_thumbnail_failed_is_shown_to_its_owner_with_the_reason_and_to_nobody_else(
    photos_api_client: PhotosApiClient, stranger: PhotosApiClient
) -> None:
    broken = photos_api_client.photos.create(Photo(name="broken", image=IMAGE[: len(IMAGE) // 2]))
    photo = wait_for(
        lambda: next((p for p in photos_api_client.photos.list(owner="me") if p.status == "failed"), None),
        what="the photo fails",
    )
    assert photo.id == broken.id
    assert photo.failure is not None
    assert photo.failure.code == "image_truncated"
    assert photo.thumbnail is None
    assert stranger.photos.list(search=photo.username) == []
    with pytest.raises(NotFound):
        stranger.photos.get(photo)


# Filters, order, pages


def test_search_finds_part_of_a_username_in_either_case(
    photos_api_client: PhotosApiClient, stranger: PhotosApiClient
) -> None:
    photo = ready(photos_api_client, "found")
    part = str(photo.username)[2:-1]
    assert photo in stranger.photos.list(search=part)
    assert photo in stranger.photos.list(search=part.upper())
    assert photo not in stranger.photos.list(search=f"{part}no")


def test_owner_me_leaves_out_the_photos_of_others(
    photos_api_client: PhotosApiClient, stranger: PhotosApiClient
) -> None:
    photo = ready(photos_api_client, "not theirs")
    assert photo.id not in {other.id for other in stranger.photos.list(owner="me")}
    assert photos_api_client.photos.list(owner="me") == [photo]


def test_draft_narrows_to_drafts_or_to_what_is_published(photos_api_client: PhotosApiClient) -> None:
    ready(photos_api_client, "draft", draft=True)
    ready(photos_api_client, "published")
    assert names(photos_api_client.photos.list(owner="me", draft=True)) == ["draft"]
    assert names(photos_api_client.photos.list(owner="me", draft=False)) == ["published"]


def test_tag_narrows_to_captions_that_hold_it(photos_api_client: PhotosApiClient) -> None:
    ready(photos_api_client, "tagged", caption="#Alps, in #winter")
    ready(photos_api_client, "untagged", caption="alps")
    assert names(photos_api_client.photos.list(owner="me", tag="alps")) == ["tagged"]


def test_ordering_goes_by_publish_date_with_drafts_last_in_both_directions(photos_api_client: PhotosApiClient) -> None:
    for name in ("first", "second", "third"):
        ready(photos_api_client, name)
    ready(photos_api_client, "draft", draft=True)
    oldest_first = names(photos_api_client.photos.list(owner="me", ordering="publish_date"))
    newest_first = names(photos_api_client.photos.list(owner="me", ordering="-publish_date"))
    assert oldest_first == ["first", "second", "third", "draft"]
    assert newest_first == ["third", "second", "first", "draft"]
    assert names(photos_api_client.photos.list(owner="me")) == newest_first


def test_an_ordering_that_is_none_is_refused_by_name(photos_api_client: PhotosApiClient) -> None:
    with pytest.raises(Invalid, match="publish_date") as caught:
        photos_api_client.photos.list(ordering="image")
    assert set(caught.value.field_errors) == {"ordering"}


def test_the_client_reads_all_pages(photos_api_client: PhotosApiClient) -> None:
    wanted = [f"photo {number:02}" for number in range(23)]
    for name in wanted:
        photos_api_client.photos.create(Photo(name=name, image=IMAGE))
    assert names(photos_api_client.photos.list(owner="me", ordering="publish_date")) == wanted


def test_pages_neither_repeat_nor_skip_while_photos_come_and_go(photos_api_client: PhotosApiClient, web: Web) -> None:
    photos = [ready(photos_api_client, f"photo {number}") for number in range(5)]
    first = web.get("/api/v1/photos/", params={"owner": "me", "page_size": "2"}).json()
    assert first["previous"] is None
    assert [photo["name"] for photo in first["results"]] == ["photo 4", "photo 3"]

    ready(photos_api_client, "photo 5")
    photos_api_client.photos.delete(photos[4])
    second = web.get(first["next"]).json()
    assert [photo["name"] for photo in second["results"]] == ["photo 2", "photo 1"]
    third = web.get(second["next"]).json()
    assert [photo["name"] for photo in third["results"]] == ["photo 0"]
    assert third["next"] is None
    back = web.get(second["previous"]).json()
    assert [photo["name"] for photo in back["results"]] == ["photo 5", "photo 3"]


@pytest.mark.parametrize("query", [{"cursor": "not-one"}, {"page_size": "0"}, {"page_size": "1000"}, {"owner": "them"}])
def test_a_query_that_makes_no_sense_is_refused_by_name(web: Web, query: dict[str, str]) -> None:
    answer = web.get("/api/v1/photos/", params=query)
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == set(query)


# Changes


def test_publishing_sets_the_date_once_and_unpublishing_takes_it_away(photos_api_client: PhotosApiClient) -> None:
    photos = photos_api_client.photos
    draft = ready(photos_api_client, "draft", draft=True)
    assert draft.publish_date is None

    published = photos.update(draft, draft=False)
    assert published.publish_date is not None
    assert abs(datetime.now(UTC) - published.publish_date) < timedelta(minutes=1)
    assert photos.update(published, draft=False).publish_date == published.publish_date
    assert photos.update(published, caption="#new").publish_date == published.publish_date

    assert photos.update(published, draft=True).publish_date is None


def test_patch_changes_what_is_sent_and_nothing_else(photos_api_client: PhotosApiClient) -> None:
    photo = ready(photos_api_client, "before", caption="#kept", draft=True)
    changed = photos_api_client.photos.update(photo, name="after")
    assert changed == replace(photo, name="after")
    assert photos_api_client.photos.get(photo) == changed


def test_put_replaces_all_text_and_keeps_the_image(photos_api_client: PhotosApiClient, web: Web) -> None:
    photo = ready(photos_api_client, "before", caption="#gone", draft=True)
    path = f"/api/v1/photos/{photo.id}/"
    answer = web.put(path, json={"name": "after", "caption": "", "draft": False})
    assert answer.status_code == 200
    after = photos_api_client.photos.get(photo)
    assert (after.name, after.caption, after.draft, after.tags) == ("after", "", False, ())
    assert after.status == "ready"
    refused = web.put(path, json={"caption": "no name"})
    assert refused.status_code == 400
    assert "name" in refused.json()["errors"]


def test_a_new_image_makes_a_new_thumbnail(photos_api_client: PhotosApiClient) -> None:
    photo = ready(photos_api_client, "photo")
    before = photos_api_client.photos.download_thumbnail(photo)
    upright = (300, 400)
    photos_api_client.photos.update(photo, image=photo_bytes(12, upright))
    after = photos_api_client.photos.wait_until_ready(photo)
    assert (after.width, after.height) == upright
    thumbnail = photos_api_client.photos.download_thumbnail(after)
    assert thumbnail != before
    with Image.open(io.BytesIO(thumbnail)) as image:
        assert image.size == boxed(upright)


def test_the_same_bytes_make_two_photos_and_one_object_that_goes_with_the_last(
    account: Account, photos_api_client: PhotosApiClient, stage: Stage
) -> None:
    first, second = ready(photos_api_client, "first"), ready(photos_api_client, "second")
    assert first.id != second.id
    (original,) = stored_originals(stage, account.name)
    assert original.photos == {first.id, second.id}

    photos_api_client.photos.delete(first)
    assert photos_api_client.photos.download_thumbnail(second)
    (kept,) = stored_originals(stage, account.name)
    assert kept.sha256 == original.sha256 != ""

    photos_api_client.photos.delete(second)
    wait_for(lambda: not is_stored(stage, original.key), what="the object goes with its last photo", pause_s=0.5)
    assert stored_originals(stage, account.name) == []


# Waiting for the thumbnail


def test_prefer_wait_answers_with_the_thumbnail(web: Web) -> None:
    answer = web.post("/api/v1/photos/", data={"name": "waited"}, files={"image": IMAGE}, headers={"Prefer": "wait=10"})
    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "wait=10"
    assert answer.json()["status"] == "ready"
    assert answer.json()["thumbnail"]
    assert answer.headers["Location"] == urljoin(web.base_url, f"/api/v1/photos/{answer.json()['id']}/")


@pytest.mark.parametrize("preference", ["", "wait=11", "wait=-1", "wait=soon", "respond-async"])
def test_without_a_wait_that_may_be_the_answer_comes_at_once(web: Web, preference: str) -> None:
    answer = web.post(
        "/api/v1/photos/", data={"name": "unwaited"}, files={"image": IMAGE}, headers={"Prefer": preference}
    )
    assert answer.status_code == 201
    assert "Preference-Applied" not in answer.headers


# Sign-in


def test_a_refresh_token_gives_an_access_token_that_works(env: HmletEnv, account: Account, anonymous_web: Web) -> None:
    pair = token_pair(env, account)
    answer = anonymous_web.post("/api/v1/token/refresh/", json={"refresh": pair["refresh"]})
    assert answer.status_code == 200
    access = answer.json()["access"]
    assert access != pair["access"]
    listed = anonymous_web.get("/api/v1/photos/", headers={"Authorization": f"Bearer {access}"})
    assert listed.status_code == 200


def test_a_refresh_token_is_good_once_and_used_again_it_ends_the_sign_in(
    env: HmletEnv, account: Account, anonymous_web: Web
) -> None:
    first = token_pair(env, account)
    second = anonymous_web.post("/api/v1/token/refresh/", json={"refresh": first["refresh"]}).json()
    reused = anonymous_web.post("/api/v1/token/refresh/", json={"refresh": first["refresh"]})
    assert (reused.status_code, reused.json()["code"]) == (401, "token_reused")
    listed = anonymous_web.get("/api/v1/photos/", headers={"Authorization": f"Bearer {second['access']}"})
    assert (listed.status_code, listed.json()["code"]) == (401, "token_not_valid")


def test_who_signs_out_has_no_good_tokens_any_more(env: HmletEnv, account: Account, anonymous_web: Web) -> None:
    pair = token_pair(env, account)
    assert anonymous_web.post("/api/v1/token/revoke/", json={"refresh": pair["refresh"]}).status_code == 204
    listed = anonymous_web.get("/api/v1/photos/", headers={"Authorization": f"Bearer {pair['access']}"})
    assert (listed.status_code, listed.json()["code"]) == (401, "token_not_valid")
    refreshed = anonymous_web.post("/api/v1/token/refresh/", json={"refresh": pair["refresh"]})
    assert (refreshed.status_code, refreshed.json()["code"]) == (401, "token_not_valid")


def test_a_refresh_token_is_no_access_token(env: HmletEnv, account: Account, anonymous_web: Web) -> None:
    refresh = token_pair(env, account)["refresh"]
    answer = anonymous_web.get("/api/v1/photos/", headers={"Authorization": f"Bearer {refresh}"})
    assert answer.status_code == 401


# Pages and probes


@pytest.mark.parametrize("path", ["/docs/", "/api/v1/docs/"])
def test_the_docs_load_everything_from_this_platform(anonymous_web: Web, path: str) -> None:
    page = anonymous_web.get(path)
    assert page.status_code == 200
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)""", page.text)
    assert len(addresses) >= 3
    for address in addresses:
        assert not urlsplit(address).netloc, f"{address} is somebody else's"
        asset = anonymous_web.get(urljoin(path, address))
        assert (asset.status_code, bool(asset.content)) == (200, True), address
    assert not re.search(r"""["']https?://""", page.text)


def test_the_schema_describes_every_address_of_the_api(anonymous_web: Web) -> None:
    schema = anonymous_web.get("/api/v1/schema/", headers={"Accept": "application/json"}).json()
    assert schema["openapi"].startswith("3.")
    methods = {path: set(operations) for path, operations in schema["paths"].items()}
    assert methods["/api/v1/photos/"] >= {"get", "post"}
    assert methods["/api/v1/photos/{id}/"] >= {"get", "put", "patch", "delete"}
    assert "/api/v1/token/" in methods
    assert "/api/v1/token/refresh/" in methods


@pytest.mark.parametrize("path", ["/healthz/live", "/healthz/ready", "/status/", "/healthcheck", "/healthcheck/"])
def test_a_well_stage_says_so_to_anyone(anonymous_web: Web, path: str) -> None:
    answer = anonymous_web.get(path)
    assert answer.status_code == 200


def test_the_status_names_its_parts_to_programs(anonymous_web: Web) -> None:
    status = anonymous_web.get("/status/", headers={"Accept": "application/json"}).json()
    jobs, backup, integrity = (status.pop(part) for part in ("jobs", "backup", "integrity"))
    assert set(backup) == {"age_s"}
    assert set(integrity) == {"age_s", "found"}
    assert status == {"status": "ok", "parts": dict.fromkeys(("database", "queue", "storage", "workers"), "ok")}
    assert set(jobs) == {"waiting", "running", "oldest_waiting_s", "failed_last_hour"}
    assert all(number >= 0 for number in jobs.values())


def test_metrics_are_not_for_the_public(anonymous_web: Web) -> None:
    assert anonymous_web.get("/metrics").status_code == 404

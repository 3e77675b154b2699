"""The tags API through HTTP."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from gallery import tags
from gallery.models import Original, Photo, PhotoTag
from rest_framework.test import APIClient

from tests.images import encoded

URL = "/api/v1/tags/"
pytestmark = pytest.mark.django_db


def _counts(client: APIClient) -> dict[str, int]:
    return {tag["name"]: tag["count"] for tag in client.get(URL).json()["results"]}


def _tagged(owner: User, *names: str, draft: bool = False) -> None:
    original = Original.objects.create(
        owner=owner,
        sha256=names[0],
        key=f"{owner.pk}{names[0]}",
        bytes=1,
        format="PNG",
        width=1,
        height=1,
        state="ready",
    )
    date = None if draft else "2026-01-01T00:00:00Z"
    photo = Photo.objects.create(owner=owner, original=original, name=names[0], draft=draft, publish_date=date)
    PhotoTag.objects.bulk_create(PhotoTag(photo=photo, name=name) for name in names)


def test_tags_are_folded_and_counted_in_every_script(post: Any, api: APIClient) -> None:
    post(caption="#Été #sea #ÉTÉ #מים #東京 #straße")
    post(caption="At the #SEA, #e\u0301te\u0301!")
    assert _counts(api) == {"sea": 2, "strasse": 1, "été": 2, "מים": 1, "東京": 1}


def test_only_what_one_may_see_is_counted(post: Any, api: APIClient, strange_api: APIClient, work_off: Any) -> None:
    post(caption="#sea #secret", draft="true")
    photo = post(encoded(20, 20), caption="#sea").json()
    assert _counts(api) == {"sea": 2, "secret": 1}
    assert _counts(strange_api) == {}, "not ready yet"
    work_off()
    assert _counts(strange_api) == {"sea": 1}
    api.patch(f"/api/v1/photos/{photo['id']}/", {"caption": "#sun"})
    assert _counts(strange_api) == {"sun": 1}
    api.delete(f"/api/v1/photos/{photo['id']}/")
    assert _counts(strange_api) == {}
    assert _counts(api) == {"sea": 1, "secret": 1}


def test_pages_hold_every_tag_once_in_order_there_and_back(owner: User, stranger: User, api: APIClient) -> None:
    names = [f"tag{number:02}" for number in range(11)]
    for name in names:
        _tagged(owner, name)
        _tagged(stranger, f"{name}hidden", draft=True)
    pages, address = [], f"{URL}?page_size=4"
    while address:
        page = api.get(address).json()
        pages.append(page)
        address = page["next"]
    assert [tag["name"] for page in pages for tag in page["results"]] == names
    assert [len(page["results"]) for page in pages] == [4, 4, 3]
    back = [pages[-1]]
    while back[-1]["previous"]:
        back.append(api.get(back[-1]["previous"]).json())
    assert [page["results"] for page in back] == [page["results"] for page in reversed(pages)]


def test_a_page_is_one_statement_whatever_there_is(owner: User, api: APIClient, django_assert_num_queries: Any) -> None:
    for number in range(30):
        _tagged(owner, f"tag{number:02}", "all")
    with django_assert_num_queries(2):
        assert len(api.get(f"{URL}?page_size=25").json()["results"]) == 25


def test_a_tag_of_very_many_photos_is_counted_only_so_far(
    owner: User, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "COUNT_MAX", 3)
    for number in range(5):
        _tagged(owner, f"tag{number:02}", "all")
    assert api.get(URL).json()["results"][:2] == [
        {"name": "all", "count": 3, "more": True},
        {"name": "tag00", "count": 1, "more": False},
    ]


@pytest.mark.parametrize("query", ["cursor=nonsense", "cursor=W10", "cursor=WyJhIl0", "cursor=%00", "page_size=0"])
def test_a_query_that_makes_no_sense_is_refused(api: APIClient, query: str) -> None:
    response = api.get(f"{URL}?{query}")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_it_needs_a_sign_in(client: Any) -> None:
    assert client.get(URL).status_code == 401

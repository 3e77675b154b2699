"""The half of bench/lists.py that runs as the platform, with its settings. ``PHOTOS`` comes from there."""

# mypy: ignore-errors
# Its imports are the platform's, which mypy checks from the platform's own folder.

import base64
import resource
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

from django.contrib.auth import get_user_model
from django.core.files.storage import storages
from django.db import connection
from gallery.api.tags import TagsView
from gallery.api.views import PhotoViewSet
from gallery.buckets import thumbnails
from gallery.models import Original, Photo, Rendition
from gallery.renditions import SIZES_BY_KIND
from gallery.tags import TagCursor
from ops.pages import Cursor
from rest_framework import serializers
from rest_framework.pagination import CursorPagination
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.viewsets import ReadOnlyModelViewSet
from storages.backends.s3 import S3Storage

PHOTOS: int = globals()["PHOTOS"]
USERS = 1000
TAGS = 2000
ROUNDS = 60
PAGES = 2000
DRF, DRF_OUR_URLS = "DRF and django-storages", "DRF with our URLs"
DRF_RATIO, DEEP_RATIO, GROWTH_MB = 2.0, 1.5, 8.0

FILL = """
INSERT INTO auth_user
    (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
SELECT n, '!', false, 'user-' || n, '', '', '', false, true, now() FROM generate_series(1, %(users)s) n;

INSERT INTO gallery_original
    (id, owner_id, sha256, key, bytes, format, width, height, state, failure_code, failure_message, created)
SELECT md5('o' || n)::uuid, 1 + n %% %(users)s, md5('a' || n) || md5('b' || n), 'k/' || n, 4000000, 'JPEG', 4000, 3000,
    CASE WHEN n / 7 %% 100 = 0 THEN 'failed' ELSE 'ready' END, '', '', now() - n * interval '1 minute'
FROM generate_series(1, %(photos)s) n;

INSERT INTO gallery_rendition (original_id, kind, key, content_type, bytes, width, height)
SELECT md5('o' || n)::uuid, kind, md5('o' || n) || '-' || kind, 'image/jpeg', 4000, 128, 96
FROM generate_series(1, %(photos)s) n, unnest(%(kinds)s) kind WHERE n / 7 %% 100 != 0;

INSERT INTO gallery_photo (id, owner_id, original_id, name, caption, draft, publish_date, created, updated)
SELECT md5('p' || n)::uuid, 1 + n %% %(users)s, md5('o' || n)::uuid, 'photo ' || n,
    'At the lake #t' || n %% %(tags)s || ' #all', n / %(users)s %% 20 = 0,
    CASE WHEN n / %(users)s %% 20 != 0 THEN now() - n * interval '1 minute' END, now() - n * interval '1 minute', now()
FROM generate_series(1, %(photos)s) n;

INSERT INTO gallery_phototag (photo_id, name)
SELECT md5('p' || n)::uuid, tag FROM generate_series(1, %(photos)s) n, unnest(ARRAY['t' || n %% %(tags)s, 'all']) tag;
"""

factory = APIRequestFactory(SERVER_NAME="127.0.0.1")
ours = PhotoViewSet.as_view({"get": "list"})
tags = TagsView.as_view()


class DrfThumbnailSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]
    """With URLs as django-storages signs them."""

    url = serializers.SerializerMethodField()

    class Meta:
        model = Rendition
        fields = ("kind", "url", "width", "height")

    def get_url(self, rendition: Rendition) -> str:
        url: str = S3Storage.url(storages["thumbnails"], rendition.key)
        return url


class DrfOurUrlsSerializer(DrfThumbnailSerializer):
    """With URLs as the platform signs them."""

    class Meta(DrfThumbnailSerializer.Meta):
        pass

    def get_url(self, rendition: Rendition) -> str:
        return thumbnails().signed_url(rendition.key, rendition.content_type)


class DrfPhotoSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]
    """The same facts: what differs is how rows become JSON, and how a page is found."""

    thumbnails = DrfThumbnailSerializer(source="original.renditions", many=True)
    width = serializers.IntegerField(source="original.width")
    height = serializers.IntegerField(source="original.height")
    status = serializers.CharField(source="original.state")
    username = serializers.CharField(source="owner.username")

    class Meta:
        model = Photo
        fields = (
            "id",
            "name",
            "caption",
            "draft",
            "thumbnails",
            "width",
            "height",
            "username",
            "publish_date",
            "status",
        )


class DrfOurUrlsPhotoSerializer(DrfPhotoSerializer):
    thumbnails = DrfOurUrlsSerializer(source="original.renditions", many=True)

    class Meta(DrfPhotoSerializer.Meta):
        pass


class DrfPages(CursorPagination):
    page_size = 20
    ordering = ("-publish_date", "-id")


class DrfViewSet(ReadOnlyModelViewSet):  # type: ignore[type-arg]
    # With the condition by which the index is found.
    queryset = (
        Photo.objects.filter(publish_date__isnull=False, original__state=Original.State.READY)
        .select_related("owner", "original")
        .prefetch_related("original__renditions")
    )
    serializer_class = DrfPhotoSerializer
    pagination_class = DrfPages


drf = DrfViewSet.as_view({"get": "list"})
drf_our_urls = DrfViewSet.as_view({"get": "list"}, serializer_class=DrfOurUrlsPhotoSerializer)


def main() -> int:
    creation = connection.creation
    creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        fill()
        return compare()
    finally:
        creation.destroy_test_db(creation.connection.settings_dict["NAME"], verbosity=0)


def fill() -> None:
    began = time.monotonic()
    values = {"photos": PHOTOS, "users": USERS, "tags": TAGS, "kinds": list(SIZES_BY_KIND)}
    with connection.cursor() as cursor:
        for statement in FILL.strip().split(";\n"):
            cursor.execute(statement.rstrip(";"), values)
        cursor.execute("VACUUM ANALYZE")
    print(f"{PHOTOS} photos of {USERS} users, filled in {time.monotonic() - began:.0f} s", flush=True)


def compare() -> int:
    user = get_user_model().objects.get(pk=7)
    lists: dict[str, tuple[Callable[..., Any], str, Any, str]] = {
        "everyone's": (ours, "/?", user, "newest"),
        "oldest first": (ours, "/?ordering=publish_date", user, "oldest"),
        "the caller's own": (ours, "/?owner=me", user, "newest"),
        "the caller's drafts": (ours, "/?owner=me&draft=true", user, "drafts"),
        "of one user": (ours, "/?search=user-77", user, "newest"),
        "of a tag of few": (ours, "/?tag=t5", user, "newest"),
        "of a tag of all": (ours, "/?tag=all", user, "newest"),
        "tags": (tags, "/?", user, "tags"),
        DRF: (drf, "/?", user, "drf"),
        DRF_OUR_URLS: (drf_our_urls, "/?", user, "drf"),
    }
    cursors = deep_cursors()
    taken: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for name, (view, url, viewer, order) in lists.items():
            for place, cursor in (("first", ""), ("deep", f"&cursor={quote(cursors[order])}")):
                taken.setdefault((name, place), []).append(answered_ms(view, url + cursor, viewer))
    before = rss_mb()
    followed = sum(1 for _ in pages(ours, "/", user, PAGES))
    growth = rss_mb() - before
    wrong = 0
    print(f"{'a page of 20, ms (medians)':34} first   deep  deep/first")
    for name in lists:
        first, far = (statistics.median(taken[name, place]) for place in ("first", "deep"))
        # What DRF's own pages do is not ours to bound.
        flat = far <= first * DEEP_RATIO or name in (DRF, DRF_OUR_URLS)
        wrong += not flat
        print(f"  {name:32} {first:5.1f}  {far:5.1f}  {far / first:6.2f}{'' if flat else '  over the bound'}")
    ratio, beside = (over_ours(taken, name) for name in (DRF, DRF_OUR_URLS))
    print(f"{DRF} / ours: {ratio:.2f} (bound: at least {DRF_RATIO:g}); {DRF_OUR_URLS} / ours: {beside:.2f}")
    print(f"memory after {followed} pages more: {growth:+.1f} MB (bound: {GROWTH_MB:g})")
    return 1 if wrong or ratio < DRF_RATIO or growth > GROWTH_MB else 0


def over_ours(taken: dict[tuple[str, str], list[float]], name: str) -> float:
    """The median of the ratios, first and deep pages together, each of one round."""
    return statistics.median(
        theirs / mine
        for place in ("first", "deep")
        for theirs, mine in zip(taken[name, place], taken["everyone's", place], strict=True)
    )


def asked(view: Callable[..., Any], url: str, viewer: Any) -> Any:
    request = factory.get(url)
    force_authenticate(request, viewer)
    answer = view(request)
    answer.render()
    assert answer.status_code == 200, answer.content
    return answer


def answered_ms(view: Callable[..., Any], url: str, viewer: Any) -> float:
    began = time.perf_counter()
    asked(view, url, viewer)
    return (time.perf_counter() - began) * 1000


def pages(view: Callable[..., Any], url: str, viewer: Any, most: int) -> Iterator[str]:
    """The addresses of pages, from this one on."""
    while url and most:
        yield url
        most -= 1
        url = asked(view, url, viewer).data["next"] or ""


def deep_cursors() -> dict[str, str]:
    """By the kind of list, where its last twentieth begins."""
    late, early = (_photo_near(share) for share in (0.95, 0.05))
    theirs = urlencode({"p": str(late.publish_date)}).encode()
    return {
        "newest": Cursor(moment=late.publish_date, id=late.pk).encoded(),
        "oldest": Cursor(moment=early.publish_date, id=early.pk).encoded(),
        "drafts": Cursor(moment=None, id=uuid.UUID("0d" + "0" * 30)).encoded(),
        "tags": TagCursor(name="t95").encoded(),
        "drf": base64.b64encode(theirs).decode(),
    }


def _photo_near(share: float) -> Photo:
    """A published photo that this share of all is newer than."""
    near = (f"photo {number}" for number in range(int(PHOTOS * share), PHOTOS, USERS))
    return next(photo for photo in map(_named, near) if not photo.draft)


def _named(name: str) -> Photo:
    return Photo.objects.get(name=name)


def rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


sys.exit(main())

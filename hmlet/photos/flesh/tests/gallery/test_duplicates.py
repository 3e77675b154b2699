"""What it costs to say that photos are of the same bytes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from gallery.models import Original, Photo
from gallery.selectors import photos_visible

SAME = 2000


def _rows_read(node: dict[str, Any]) -> Iterator[float]:
    yield (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    for below in node.get("Plans", ()):
        yield from _rows_read(below)


@pytest.mark.postgresql
@pytest.mark.skipif(connection.vendor != "postgresql", reason="needs PostgreSQL: pl.test integration")
@pytest.mark.django_db
def test_the_first_photo_of_the_same_bytes_is_found_without_looking_at_the_others(owner: User) -> None:
    originals = Original.objects.bulk_create(
        Original(owner=owner, sha256=f"{number:064}", key=f"k/{number}", bytes=1, format="JPEG", width=1, height=1)
        for number in range(SAME)
    )
    others = [Photo(owner=owner, original=each, name=f"other {each.key}", draft=True) for each in originals]
    same = [Photo(owner=owner, original=originals[0], name=f"same {number}", draft=True) for number in range(SAME)]
    Photo.objects.bulk_create(others[1:] + same)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE gallery_photo, gallery_original")
    for photo, first in ((same[0], None), (same[SAME // 2], same[0].pk), (same[-1], same[0].pk)):
        asked = photos_visible(viewer=owner).filter(pk=photo.pk)
        assert [vars(found)["duplicate_of"] for found in asked] == [first]
        (told,) = json.loads(asked.explain(format="json", analyze=True))
        assert sum(_rows_read(told["Plan"])) < 50

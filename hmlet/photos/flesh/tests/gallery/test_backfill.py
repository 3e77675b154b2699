"""Renditions for photos of a version that had fewer of them."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from gallery import backfill
from gallery.models import Original, Rendition
from gallery.renditions import SIZES_BY_KIND
from jobs.models import Job

from tests.images import encoded

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("backfill_renditions", *arguments, stdout=out)
    return out.getvalue().strip()


def test_what_is_lacking_is_made_once_and_nothing_else(
    post: Any, work_off: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "BATCH", 2)
    for number in range(5):
        assert post(encoded(300 + number, 200, image_format="JPEG"), name=f"photo {number}").status_code == 201
    post(encoded(90, 90, image_format="JPEG")[:-200], name="broken")
    work_off()
    assert run() == "0 originals queued"
    older = Original.objects.filter(state="ready").order_by("pk")[1:4]
    Rendition.objects.filter(original__in=list(older), kind__contains="512").delete()
    assert run("--dry-run") == "3 originals lack renditions"
    assert not Job.objects.filter(state="queued").exists()
    assert run() == "3 originals queued"
    assert run() == "0 originals queued"
    assert Job.objects.filter(state="queued", background=True, owner=None).count() == 3
    work_off()
    assert all(set(each.renditions.values_list("kind", flat=True)) == set(SIZES_BY_KIND) for each in older)

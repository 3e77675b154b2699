"""A bucket of archives; and fewer statements than a backup takes of a stage that holds something in all folders."""

import uuid
from collections.abc import Iterator

import pytest
from backups import services
from backups.bucket import BackupsBucket
from diffs.models import Diff, Side
from django.core.files.storage import storages
from gallery import integrity
from gallery.models import Original

from tests.s3 import KEYS


class FoldersInUse:
    """Of the 256 folders those that rows know: each of the others costs a dozen statements to find nothing."""

    def __iter__(self) -> Iterator[str]:
        keys = {original.hex for original in Original.objects.values_list("id", flat=True)}
        keys.update(Original.objects.values_list("key", flat=True))
        keys.update(key for key in Side.objects.values_list("key", flat=True) if key)
        keys.update(Diff.objects.values_list("picture_key", flat=True))
        return iter({f"{key[:2]}/" for key in keys})

    def __or__(self, there: set[str]) -> set[str]:
        return set(self) | there


@pytest.fixture(autouse=True)
def _few_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (integrity, services):
        monkeypatch.setattr(module, "FOLDERS", FoldersInUse())


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> BackupsBucket:
    """Of archives, on a real server."""
    made = BackupsBucket(**KEYS, endpoint_url=s3_endpoint, bucket_name=f"backups-{uuid.uuid4().hex[:8]}")
    made.ensure()
    monkeypatch.setitem(storages._storages, "backups", made)  # type: ignore[attr-defined]
    return made

"""What is really stored, asked beside the platform's processes: rows, and the objects that they name."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pl.stage import Stage

_QUESTION = """
import hashlib, io, json, sys
from django.core.files.storage import storages
from gallery.models import Original

def digest(key):
    found = io.BytesIO()
    try:
        storages["originals"].read(key, found)
    except FileNotFoundError:
        return ""
    return hashlib.sha256(found.getvalue()).hexdigest()

rows = Original.objects.filter(owner__username={username!r}).prefetch_related("photos")
print("\\n" + json.dumps([
    [row.key, digest(row.key), [str(photo.id) for photo in row.photos.all()]] for row in rows
]))
"""
_QUESTION_OBJECT = """
import io
from django.core.files.storage import storages
try:
    storages["originals"].read({key!r}, io.BytesIO())
except FileNotFoundError:
    print("\\n" + "false")
else:
    print("\\n" + "true")
"""


@dataclass(frozen=True, kw_only=True)
class StoredOriginal:
    """``sha256`` is of the object's bytes, empty when there is none; ``photos`` are ids."""

    key: str
    sha256: str
    photos: frozenset[str]


def stored_originals(stage: Stage, username: str) -> list[StoredOriginal]:
    """The originals of a user."""
    rows = _answer(stage, _QUESTION.format(username=username))
    return [StoredOriginal(key=key, sha256=sha256, photos=frozenset(photos)) for key, sha256, photos in rows]


def is_stored(stage: Stage, key: str) -> bool:
    """Whether the bucket of originals has an object of this key."""
    return bool(_answer(stage, _QUESTION_OBJECT.format(key=key)))


def _answer(stage: Stage, question: str):  # type: ignore[no-untyped-def]
    printed = stage.run_inside(["python", "manage.py", "shell", "--no-imports", "-c", question])
    return json.loads(printed.strip().splitlines()[-1])

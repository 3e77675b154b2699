"""A photo, as it is sent and answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from ht.answers import Fields, Json
from ht.multipart import Image
from ht.paths import path_in

PhotoId: TypeAlias = int | str

PATH = "/api/v1/photos/"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a photo's thumbnails could not be made: ``code`` for programs, ``message`` for its owner, as ``str``."""

    code: str
    message: str

    @classmethod
    def from_json(cls, value: Json) -> Failure:
        fields = Fields(value, what="failure of a photo")
        return cls(code=fields.text("code"), message=fields.text("message"))

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photo, as it is to be created or as the server describes it. ``dataclasses.replace`` makes a changed one.

    You set ``name`` (unique among your photos), ``caption`` (words with # become tags), ``draft`` and ``image``: a
    path, bytes, or a file opened in binary mode. ``image`` is sent and never answered: no original leaves the server.

    The server sets the rest. ``thumbnail`` is the signed URL of the one that fits 128×128 pixels, ``thumbnails`` maps a
    size ("128") and a format ("jpeg", "webp") to such URLs; these expire, so neither repr nor comparison shows them.
    ``width`` and ``height`` are pixels of the original. ``publish_date`` is aware, None while a draft. ``status`` is
    "processing", "ready" or "failed", in which case ``failure`` tells its owner why. ``duplicate_of`` is the id of your
    first photo of the same bytes, where this is another one.
    """

    name: str
    caption: str = ""
    draft: bool = False
    image: Image | None = field(default=None, repr=False, compare=False)
    id: PhotoId | None = None
    thumbnail: str | None = field(default=None, repr=False, compare=False)
    thumbnails: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False, compare=False)
    width: int | None = None
    height: int | None = None
    username: str | None = None
    publish_date: datetime | None = None
    status: str | None = None
    failure: Failure | None = None
    tags: tuple[str, ...] = ()
    duplicate_of: PhotoId | None = None

    @classmethod
    def from_json(cls, value: Json) -> Photo:
        """Reads an answer; ignores unknown fields, raises AnswerNotUnderstood for missing ones and wrong types."""
        fields = Fields(value, what="photo")
        failure = fields.value_or_none("failure")
        return cls(
            id=fields.identifier("id"),
            name=fields.text("name"),
            caption=fields.text_or_none("caption") or "",
            draft=fields.flag("draft"),
            thumbnail=fields.text_or_none("thumbnail"),
            thumbnails=fields.texts_by_name("thumbnails"),
            width=fields.integer_or_none("width"),
            height=fields.integer_or_none("height"),
            username=fields.text("username"),
            publish_date=fields.moment_or_none("publish_date"),
            status=fields.text("status"),
            failure=None if failure is None else Failure.from_json(failure),
            tags=fields.texts("tags"),
            duplicate_of=fields.text_or_none("duplicate_of"),
        )


def path_of(photo: Photo | PhotoId) -> str:
    """The address of a photo. Raises ValueError for one that has no id."""
    photo_id = photo.id if isinstance(photo, Photo) else photo
    return path_in(PATH, photo_id, missing="The photo has no id: create it first, or get it")


def texts_of(photo: Photo) -> dict[str, str | bool]:
    """What a photo has besides its image."""
    return {"name": photo.name, "caption": photo.caption, "draft": photo.draft}

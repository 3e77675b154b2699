"""Many changes of photos in one request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ht.answers import Fields, Json, error_from_json
from ht.api_clients.photo import Photo, PhotoId, texts_of
from ht.api_clients.uploads import Upload, UploadId
from ht.errors import ApiError

PATH = "/api/v1/photos/batch/"
ITEMS_MAX = 1000
#: How long the server works on a batch before it leaves the rest undone.
WORK_S = 45.0


@dataclass(frozen=True, kw_only=True)
class Create:
    """Makes a photo of an upload, with the name, caption and draft of ``photo``."""

    photo: Photo
    upload: Upload | UploadId

    def to_json(self) -> dict[str, Json]:
        upload_id = self.upload.id if isinstance(self.upload, Upload) else self.upload
        return {"action": "create", **texts_of(self.photo), "image": upload_id}


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Changes what is given."""

    photo: Photo | PhotoId
    name: str | None = None
    caption: str | None = None
    draft: bool | None = None
    upload: Upload | UploadId | None = None

    def to_json(self) -> dict[str, Json]:
        upload_id = self.upload.id if isinstance(self.upload, Upload) else self.upload
        given: dict[str, Json] = {"name": self.name, "caption": self.caption, "draft": self.draft, "image": upload_id}
        return {
            "action": "edit",
            "id": _id_of(self.photo),
            **{name: value for name, value in given.items() if value is not None},
        }


@dataclass(frozen=True)
class Publish:
    """Shows a photo to everyone."""

    photo: Photo | PhotoId

    def to_json(self) -> dict[str, Json]:
        return {"action": "publish", "id": _id_of(self.photo)}


@dataclass(frozen=True)
class Unpublish:
    """Makes a photo its owner's again."""

    photo: Photo | PhotoId

    def to_json(self) -> dict[str, Json]:
        return {"action": "unpublish", "id": _id_of(self.photo)}


@dataclass(frozen=True)
class Delete:
    """Deletes a photo."""

    photo: Photo | PhotoId

    def to_json(self) -> dict[str, Json]:
        return {"action": "delete", "id": _id_of(self.photo)}


Change: TypeAlias = Create | Edit | Publish | Unpublish | Delete


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of a change: the photo (None once deleted), or the error that it alone would have raised."""

    status: int
    photo: Photo | None
    error: ApiError | None

    @property
    def ok(self) -> bool:
        return self.error is None

    @classmethod
    def from_json(cls, value: Json) -> Result:
        fields = Fields(value, what="result of a batch")
        status = fields.integer("status")
        photo, error = fields.value_or_none("photo"), fields.value_or_none("error")
        return cls(
            status=status,
            photo=None if photo is None else Photo.from_json(photo),
            error=None if error is None else error_from_json(status, error),
        )


def _id_of(photo: Photo | PhotoId) -> str:
    photo_id = photo.id if isinstance(photo, Photo) else photo
    if photo_id is None:
        raise ValueError("The photo has no id: create it first, or get it")
    return str(photo_id)

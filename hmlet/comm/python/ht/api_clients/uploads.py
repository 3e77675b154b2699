"""Uploads that go straight to the storage, in one piece or in parts, and can be gone on with after a break."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias, cast

from ht.answers import Fields, Json
from ht.api_clients.photo import PATH as PHOTOS_PATH
from ht.api_clients.photo import Photo, texts_of
from ht.bodies import SliceBody, content_type_of
from ht.connection import Connection
from ht.errors import Unsendable
from ht.multipart import FilePart, Image, Progress, opened_image, readable
from ht.paths import path_in

PATH = f"{PHOTOS_PATH}uploads/"
UploadId: TypeAlias = str


@dataclass(frozen=True, kw_only=True)
class SignedPut:
    """Where ``bytes`` bytes are to be put with which headers. The URL is signed, so no repr shows it."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    bytes: int

    @classmethod
    def from_json(cls, value: Json) -> SignedPut:
        fields = Fields(value, what="signed upload")
        return cls(url=fields.text("url"), headers=fields.texts_of("headers"), bytes=fields.integer("bytes"))


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An announced upload. ``part_bytes`` is None for one in one piece, which ``put`` says where to put; ``parts`` are
    the numbers of those that have arrived. ``photo`` is the id of the photo that was made of it."""

    id: UploadId
    bytes: int
    content_type: str
    sha256: str
    expires: datetime | None
    photo: str | None = None
    put: SignedPut | None = None
    part_bytes: int | None = None
    part_count: int | None = None
    parts: frozenset[int] = frozenset()

    @classmethod
    def from_json(cls, value: Json) -> Upload:
        fields = Fields(value, what="upload")
        put = fields.value_or_none("put")
        return cls(
            id=fields.text("id"),
            bytes=fields.integer("bytes"),
            content_type=fields.text("content_type"),
            sha256=fields.text("sha256"),
            expires=fields.moment_or_none("expires"),
            photo=fields.text_or_none("photo"),
            put=None if put is None else SignedPut.from_json(put),
            part_bytes=fields.integer_or_none("part_bytes"),
            part_count=fields.integer_or_none("part_count"),
            parts=frozenset(Fields(part, what="part").integer("number") for part in fields.items("parts")),
        )


class Uploads:
    """``client.uploads``. Each method raises the errors of ``ht.errors``; those named below are the ones to expect.

    Example::

        upload = client.uploads.create("large.tif")
        try:
            client.uploads.send(upload, "large.tif")
        except ConnectionFailed:
            client.uploads.send(upload.id, "large.tif")    # a day later, what is missing
        photo = client.uploads.finalise(upload, Photo(name="Large"))
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, image: Image) -> Upload:
        """Announces the image: its length, its SHA-256 and, by its first bytes, its type.

        Raises Unsendable (no such file, no image), Invalid, TooLarge, Conflict (too many that are not finalised).
        """
        with opened_image(image) as file:
            whole = SliceBody(file, offset=0, size=file.size)
            asked = {"bytes": file.size, "content_type": content_type_of(_start(file)), "sha256": whole.sha256()}
        return Upload.from_json(self._connection.request("POST", PATH, json=cast(Json, asked)))

    def get(self, upload: Upload | UploadId) -> Upload:
        """The upload with what has arrived of it, and with fresh URLs. Raises NotFound when it has expired."""
        return Upload.from_json(self._connection.request("GET", _path_of(upload)))

    def send(self, upload: Upload | UploadId, image: Image, *, progress: Progress | None = None) -> None:
        """Puts what has not arrived yet; may be called again after a failure. ``image`` must be the one announced.

        ``progress`` is called with the bytes that have arrived or were sent, and their total.
        Raises Unsendable for another image, NotFound, ConnectionFailed, TimedOut.
        """
        by_id = not isinstance(upload, Upload)
        if not isinstance(upload, Upload) or upload.part_bytes is not None:
            upload = self.get(upload)
        with opened_image(image) as file:
            whole = SliceBody(file, offset=0, size=file.size)
            if file.size != upload.bytes or (by_id and whole.sha256() != upload.sha256):
                raise Unsendable(f"{file.filename!r} is not the file that was announced")
            if upload.photo is not None:
                return
            if upload.part_bytes is None:
                self._send_whole(upload, file, _told(progress, 0, upload.bytes))
            else:
                self._send_parts(upload, upload.part_bytes, file, progress)

    def finalise(self, upload: Upload | UploadId, photo: Photo) -> Photo:
        """Makes a photo of it, with the name, caption and draft of ``photo``; once, however often it is called.

        Raises Conflict (something is missing, or the name is taken), Invalid (it is no such image as was announced).
        """
        path = f"{_path_of(upload)}finalise/"
        # As good as a key: an upload becomes one photo.
        answer = self._connection.request("POST", path, json=dict(texts_of(photo)), repeatable=True)
        return Photo.from_json(answer)

    def delete(self, upload: Upload | UploadId) -> None:
        """Gives it up. Raises NotFound, Conflict when it is a photo already."""
        self._connection.request("DELETE", _path_of(upload))

    def _send_whole(self, upload: Upload, file: FilePart, sent: Callable[[int], None] | None) -> None:
        put = upload.put or self.get(upload).put
        if put is None:
            raise Unsendable("The upload is over")
        body = SliceBody(file, offset=0, size=upload.bytes, sent=sent)
        self._connection.put(put.url, headers=put.headers, body=body)

    def _send_parts(self, upload: Upload, part_bytes: int, file: FilePart, progress: Progress | None) -> None:
        count = -(-upload.bytes // part_bytes)
        arrived = sum(_part_size(upload, part_bytes, number) for number in upload.parts if number <= count)
        for number in sorted(set(range(1, count + 1)) - upload.parts):
            size = _part_size(upload, part_bytes, number)
            sent = _told(progress, arrived, upload.bytes)
            body = SliceBody(file, offset=(number - 1) * part_bytes, size=size, sent=sent)
            put = self._sign_part(upload, number, body.sha256())
            self._connection.put(put.url, headers=put.headers, body=body)
            arrived += size

    def _sign_part(self, upload: Upload, number: int, sha256: str) -> SignedPut:
        asked = {"parts": [{"number": number, "sha256": sha256}]}
        path = f"{_path_of(upload)}parts/"
        answer = self._connection.request("POST", path, json=cast(Json, asked), repeatable=True)
        return SignedPut.from_json(Fields(answer, what="signed parts").items("parts")[0])


def _path_of(upload: Upload | UploadId) -> str:
    upload_id = upload.id if isinstance(upload, Upload) else upload
    return path_in(PATH, upload_id, missing="The upload has no id: create it first")


def _part_size(upload: Upload, part_bytes: int, number: int) -> int:
    return min(part_bytes, upload.bytes - part_bytes * (number - 1))


def _told(progress: Progress | None, before: int, total: int) -> Callable[[int], None] | None:
    return None if progress is None else lambda sent: progress(before + sent, total)


def _start(file: FilePart) -> bytes:
    with readable():
        file.stream.seek(file.start)
        return file.stream.read(32)

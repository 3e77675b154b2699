"""The client of hmlet photos.

Example::

    with PhotosApiClient("http://localhost:8000", "ann", "secret") as client:
        photo = client.photos.create(Photo(name="Sunrise", caption="#alps", image="sunrise.jpg"))
        photo = client.photos.wait_until_ready(photo)
        small = client.photos.download_thumbnail(photo)
"""

from __future__ import annotations

import builtins
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self, TypeAlias
from urllib.parse import parse_qsl, quote, urlsplit

from requests.adapters import BaseAdapter

from ht.answers import Fields, Json
from ht.connection import Connection, Timeout
from ht.errors import AnswerNotUnderstood, Forbidden, NoThumbnail, PhotoFailed, WaitTimedOut
from ht.multipart import Image, MultipartBody, Progress, opened_image
from ht.retry import Clock
from ht.tokens import Credentials

__all__ = ["Failure", "Image", "Photo", "PhotoId", "Photos", "PhotosApiClient", "Progress"]

PhotoId: TypeAlias = int | str

PATH = "/api/v1/photos/"
DEFAULT_TIMEOUT_S = (10.0, 30.0)
DEFAULT_RETRIES = 3
#: The longest that the server waits for a thumbnail on behalf of ``Prefer: wait=N``.
PREFER_WAIT_MAX_S = 10
FIRST_POLL_S = 0.1
LONGEST_POLL_S = 2.0


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
    "processing", "ready" or "failed", in which case ``failure`` tells its owner why.
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
        )


class Photos:
    """``client.photos``. Each method raises the errors of ``ht.errors``; those named below are the ones to expect."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def iterate(
        self,
        *,
        search: str | None = None,
        owner: str | None = None,
        draft: bool | None = None,
        tag: str | None = None,
        ordering: str | None = None,
    ) -> Iterator[Photo]:
        """Photos one by one, a page asked for when it is needed.

        ``search``: part of a username; ``owner``: "me"; ``tag``: without its #; ``ordering``: "publish_date" or
        "-publish_date". Raises Invalid for another ordering.

        Example::

            newest = next(client.photos.iterate(ordering="-publish_date"), None)
        """
        wanted = {"search": search, "owner": owner, "draft": draft, "tag": tag, "ordering": ordering}
        query = {name: _form_value(value) for name, value in wanted.items() if value is not None}
        seen: set[str] = set()
        while True:
            page = Fields(self._connection.request("GET", PATH, query=query), what="page of photos")
            yield from map(Photo.from_json, page.items("results"))
            next_url = page.text_or_none("next")
            if not next_url:
                return
            if next_url in seen:
                raise AnswerNotUnderstood("page of photos: the next page is one that was already given")
            seen.add(next_url)
            query = _query_of(next_url)

    def list(
        self,
        *,
        search: str | None = None,
        owner: str | None = None,
        draft: bool | None = None,
        tag: str | None = None,
        ordering: str | None = None,
    ) -> builtins.list[Photo]:
        """All photos of all pages; filters as for ``iterate``.

        Example::

            drafts = client.photos.list(owner="me", draft=True)
        """
        return [*self.iterate(search=search, owner=owner, draft=draft, tag=tag, ordering=ordering)]

    def create(self, photo: Photo, *, wait_s: int | None = None, progress: Progress | None = None) -> Photo:
        """Uploads ``photo.image`` and gives the photo as stored: durable, its thumbnails perhaps still being made.

        ``wait_s`` (0 to 10) asks the server to answer when they are, or after that many seconds. ``progress`` is called
        with the bytes sent and their total. The file is streamed. It is never uploaded twice unasked: when the
        connection breaks during or after the upload, ConnectionFailed or TimedOut say so, and the photo may exist.

        Raises Unsendable (no such file), Invalid (no image, or a name that cannot be), Conflict (the name is taken),
        TooLarge.

        Example::

            photo = client.photos.create(Photo(name="Sunrise", image=Path("sunrise.jpg")), wait_s=10)
        """
        return self._upload("POST", PATH, _texts_of(photo), photo.image, wait_s=wait_s, progress=progress)

    def get(self, photo: Photo | PhotoId) -> Photo:
        """The photo as it is now. Raises NotFound, for another's draft too."""
        return Photo.from_json(self._connection.request("GET", _path_of(photo)))

    def update(
        self,
        photo: Photo | PhotoId,
        *,
        name: str | None = None,
        caption: str | None = None,
        draft: bool | None = None,
        image: Image | None = None,
        wait_s: int | None = None,
        progress: Progress | None = None,
    ) -> Photo:
        """Changes what is given; without any of it, sets name, caption, draft and, if it has one, image of ``photo``.

        ``draft=False`` publishes. ``wait_s`` and ``progress`` as for ``create``.
        Raises NotFound, Forbidden, Invalid, Conflict, Unsendable; ValueError for an id with nothing to change.

        Example::

            photo = client.photos.update(photo, caption="#alps at dawn")
            photo = client.photos.update(replace(photo, draft=False))
        """
        given: dict[str, str | bool | None] = {"name": name, "caption": caption, "draft": draft}
        changes = {field: value for field, value in given.items() if value is not None}
        if not changes and image is None:
            if not isinstance(photo, Photo):
                raise ValueError("update(id) needs something to change, caption=... for example")
            changes, image = _texts_of(photo), photo.image
        path = _path_of(photo)
        if image is not None:
            return self._upload("PATCH", path, changes, image, wait_s=wait_s, progress=progress)
        answer = self._connection.request(
            "PATCH", path, json=dict(changes), headers=_prefer(wait_s), wait_s=wait_s or 0
        )
        return Photo.from_json(answer)

    def delete(self, photo: Photo | PhotoId) -> None:
        """Deletes the photo. Raises NotFound, unless an attempt of this very call may have deleted it."""
        self._connection.request("DELETE", _path_of(photo))

    def wait_until_ready(self, photo: Photo | PhotoId, timeout_s: float = 60.0) -> Photo:
        """The photo once its thumbnails are made. Raises PhotoFailed, or WaitTimedOut after ``timeout_s`` seconds.

        The time is looked at between requests: a server that falls silent may take up to the client's own ``timeout_s``
        longer.
        """
        clock = self._connection.clock
        deadline_s = clock.monotonic() + timeout_s
        pause_s = FIRST_POLL_S
        while True:
            current = self.get(photo)
            if current.status == "ready":
                return current
            if current.status == "failed":
                raise PhotoFailed(current)
            left_s = deadline_s - clock.monotonic()
            if left_s <= 0:
                raise WaitTimedOut(current, timeout_s)
            clock.sleep(min(pause_s, left_s))
            pause_s = min(LONGEST_POLL_S, pause_s * 1.5)

    def download_thumbnail(self, photo: Photo | PhotoId, size: str = "128", *, image_format: str = "jpeg") -> bytes:
        """The bytes of a thumbnail, asked for by its signed URL alone; one that has expired is renewed once.

        ``size`` is a key of ``photo.thumbnails``, ``image_format`` "jpeg" or "webp". Raises NoThumbnail.

        Example::

            Path("small.jpg").write_bytes(client.photos.download_thumbnail(photo))
        """
        if not isinstance(photo, Photo):
            return self._connection.fetch(_thumbnail_url(self.get(photo), size, image_format))
        try:
            return self._connection.fetch(_thumbnail_url(photo, size, image_format))
        except Forbidden:
            return self._connection.fetch(_thumbnail_url(self.get(photo), size, image_format))

    def _upload(
        self,
        method: str,
        path: str,
        values: Mapping[str, str | bool],
        image: Image | None,
        *,
        wait_s: int | None,
        progress: Progress | None,
    ) -> Photo:
        texts = {name: _form_value(value) for name, value in values.items()}
        with opened_image(image) as file:
            body = MultipartBody(texts, file_field="image", file=file, progress=progress)
            answer = self._connection.request(method, path, body=body, headers=_prefer(wait_s), wait_s=wait_s or 0)
        return Photo.from_json(answer)


class PhotosApiClient:
    """A user of hmlet photos. Threads may share one. Close it, or use it in a ``with`` statement.

    ``base_url``: scheme, host and port, as ``deploy`` prints them. Without ``username`` and ``password`` requests are
    anonymous. With them the client signs in when first needed and stays so.

    ``timeout_s``: seconds to connect and seconds of silence, as a pair or one number for both. ``retries``: how often a
    request is repeated after a broken connection or HTTP 429, 502, 503, 504, with growing pauses; POST and PATCH only
    when no connection was made. ``transport``: an adapter of requests, to send in another way. ``clock``: what tells
    the time and sleeps, like the module ``time``.

    Raises ValueError for arguments that make no sense; makes no connection yet.

    >>> client = PhotosApiClient("http://localhost:8000", "ann", "secret", timeout_s=5, retries=1)
    >>> client
    PhotosApiClient('http://localhost:8000', username='ann')
    >>> client.close()
    """

    def __init__(
        self,
        base_url: str,
        username: str | None = None,
        password: str | None = None,
        *,
        timeout_s: Timeout = DEFAULT_TIMEOUT_S,
        retries: int = DEFAULT_RETRIES,
        transport: BaseAdapter | None = None,
        clock: Clock = time,
    ) -> None:
        if (username is None) != (password is None):
            raise ValueError("username and password go together")
        credentials = None
        if username is not None and password is not None:
            credentials = Credentials(username=username, password=password)
        self._username = username
        self._connection = Connection(
            base_url,
            credentials=credentials,
            timeout_s=timeout_s,
            retries=retries,
            transport=transport,
            clock=clock,
        )
        self.photos = Photos(self._connection)

    def __repr__(self) -> str:
        return f"PhotosApiClient({self._connection.base_url!r}, username={self._username!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the pooled connections."""
        self._connection.close()


def _path_of(photo: Photo | PhotoId) -> str:
    photo_id = photo.id if isinstance(photo, Photo) else photo
    text = "" if photo_id is None else str(photo_id)
    if text.strip(".") == "":
        raise ValueError("The photo has no id: create it first, or get it")
    return f"{PATH}{quote(text, safe='')}/"


def _texts_of(photo: Photo) -> dict[str, str | bool]:
    return {"name": photo.name, "caption": photo.caption, "draft": photo.draft}


def _query_of(next_url: str) -> dict[str, str]:
    """Of the link to the next page only the query is followed, at ``base_url``: the token must not go elsewhere."""
    try:
        query = dict(parse_qsl(urlsplit(next_url).query, keep_blank_values=True))
    except ValueError:
        query = {}
    if not query:
        raise AnswerNotUnderstood("page of photos: the link to the next page has no query")
    return query


def _form_value(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value


def _prefer(wait_s: int | None) -> dict[str, str]:
    if wait_s is None:
        return {}
    if not 0 <= wait_s <= PREFER_WAIT_MAX_S:
        raise ValueError(f"wait_s is from 0 to {PREFER_WAIT_MAX_S}")
    return {"Prefer": f"wait={int(wait_s)}"}


def _thumbnail_url(photo: Photo, size: str, image_format: str) -> str:
    url = photo.thumbnails.get(size, {}).get(image_format)
    if url is None and (size, image_format) == ("128", "jpeg"):
        url = photo.thumbnail
    if url is None:
        sizes = ", ".join(f"{name} ({' '.join(urls)})" for name, urls in photo.thumbnails.items()) or "none yet"
        raise NoThumbnail(f"Photo {photo.id} has no {image_format} thumbnail of size {size}; it has: {sizes}")
    return url

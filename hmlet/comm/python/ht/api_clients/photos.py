"""The client of hmlet photos.

Example::

    with PhotosApiClient("http://localhost:8000", "ann", "secret") as client:
        photo = client.photos.create(Photo(name="Sunrise", caption="#alps", image="sunrise.jpg"))
        photo = client.photos.wait_until_ready(photo)
        small = client.photos.download_thumbnail(photo)
"""

from __future__ import annotations

import builtins
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from requests.adapters import BaseAdapter

from ht.answers import Fields, Json
from ht.api_clients.batch import ITEMS_MAX, Change, Create, Delete, Edit, Publish, Result, Unpublish
from ht.api_clients.batch import PATH as BATCH_PATH
from ht.api_clients.batch import WORK_S as BATCH_WORK_S
from ht.api_clients.diffs import Diffs
from ht.api_clients.jobs import Jobs
from ht.api_clients.photo import PATH, Failure, Photo, PhotoId, path_of, texts_of
from ht.api_clients.tags import Tag, Tags
from ht.api_clients.thumbnails import Thumbnails
from ht.api_clients.transfers import OnProgress, PhotoOf, Uploaded, UploadProgress, photo_of_file, upload_many
from ht.api_clients.uploads import Upload, Uploads
from ht.connection import Connection, Timeout
from ht.errors import Forbidden, NoThumbnail, PhotoFailed, PhotoNotReady, Unsendable
from ht.multipart import Image, MultipartBody, Progress, opened_image
from ht.pages import iterate_pages
from ht.retry import Clock, Pauses
from ht.tokens import Credentials, TokenStore

__all__ = [
    "Create",
    "Delete",
    "Edit",
    "Failure",
    "Image",
    "Photo",
    "PhotoId",
    "Photos",
    "PhotosApiClient",
    "Progress",
    "Publish",
    "Result",
    "Tag",
    "Unpublish",
    "Upload",
    "UploadProgress",
    "Uploaded",
]

DEFAULT_TIMEOUT_S = (10.0, 30.0)
DEFAULT_RETRIES = 3
#: The longest that the server waits for a thumbnail on behalf of ``Prefer: wait=N``.
PREFER_WAIT_MAX_S = 10


class Photos:
    """``client.photos``. Each method raises the errors of ``ht.errors``; those named below are the ones to expect."""

    def __init__(self, connection: Connection, uploads: Uploads) -> None:
        self._connection = connection
        self._uploads = uploads

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
        yield from map(Photo.from_json, iterate_pages(self._connection, PATH, query, what="page of photos"))

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

    def create(
        self,
        photo: Photo,
        *,
        wait_s: int | None = None,
        progress: Progress | None = None,
        key: str | None = None,
        direct: bool = False,
    ) -> Photo:
        """Uploads ``photo.image`` and gives the photo as stored: durable, its thumbnails perhaps still being made.

        ``wait_s`` (0 to 10) asks the server to answer when they are, or after that many seconds. ``progress`` is called
        with the bytes sent and their total. The file is streamed. It is never uploaded twice unasked: when the
        connection breaks during or after the upload, ConnectionFailed or TimedOut say so, and the photo may exist.

        ``key``, up to 255 characters that you use for this photo alone, asks: the upload is then repeated when the
        connection breaks, and so may you, for a day; there will be one photo. ``direct`` sends the bytes straight to
        the storage, in parts if they are many, and repeats each as needed (see ``client.uploads``).

        Raises Unsendable (no such file), Invalid (no image, or a name that cannot be), Conflict (the name is taken),
        TooLarge.

        Example::

            photo = client.photos.create(Photo(name="Sunrise", image=Path("sunrise.jpg")), wait_s=10)
        """
        if not direct:
            return self._upload("POST", PATH, texts_of(photo), photo.image, wait_s=wait_s, progress=progress, key=key)
        if photo.image is None:
            raise Unsendable("The photo has no image: give a path, bytes or a file opened in binary mode")
        upload = self._uploads.create(photo.image)
        self._uploads.send(upload, photo.image, progress=progress)
        created = self._uploads.finalise(upload, photo)
        return self._waited(created, wait_s) if wait_s else created

    def upload_many(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        parallel: int = 4,
        photo_of: PhotoOf = photo_of_file,
        on_progress: OnProgress | None = None,
    ) -> builtins.list[Uploaded]:
        """Posts a photo for each file, several at once, large ones straight to the storage. One outcome for each path,
        in their order: a file that fails keeps no other from being posted. Each is repeated as needed and posted once.

        ``photo_of`` says what photo a path becomes; by default one named like the file. ``on_progress`` is called with
        an UploadProgress, from one thread at a time.

        Example::

            for done in client.photos.upload_many(Path("album").glob("*.jpg"), parallel=8):
                print(done.path, done.error or done.photo.id)
        """

        def create(photo: Photo, direct: bool, key: str, progress: Progress) -> Photo:
            return self.create(photo, direct=direct, key=key, progress=progress)

        return upload_many(paths, create=create, parallel=parallel, photo_of=photo_of, on_progress=on_progress)

    def batch(self, changes: Iterable[Change], *, key: str | None = None) -> builtins.list[Result]:
        """Makes many changes, a thousand in a request, each whole or not at all; one result for each, in their order.

        A change that fails raises nothing: its result tells. ``key`` as for ``create``; without one each request has a
        random one, so that it can be repeated when the connection breaks. Up to a thousand changes go under one key.

        Example::

            results = client.photos.batch([Publish(photo) for photo in client.photos.list(owner="me", draft=True)])
            failed = [result.error for result in results if not result.ok]
        """
        items: builtins.list[Json] = [change.to_json() for change in changes]
        if key is not None and len(items) > ITEMS_MAX:
            raise ValueError(f"Up to {ITEMS_MAX} changes go under one key")
        results: builtins.list[Result] = []
        for start in range(0, len(items), ITEMS_MAX):
            answer = self._connection.request(
                "POST",
                BATCH_PATH,
                json={"items": items[start : start + ITEMS_MAX]},
                key=key or secrets.token_urlsafe(24),
                wait_s=BATCH_WORK_S,
            )
            results += map(Result.from_json, Fields(answer, what="answer to a batch").items("results"))
        return results

    def get(self, photo: Photo | PhotoId) -> Photo:
        """The photo as it is now. Raises NotFound, for another's draft too."""
        return Photo.from_json(self._connection.request("GET", path_of(photo)))

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
            changes, image = texts_of(photo), photo.image
        path = path_of(photo)
        if image is not None:
            return self._upload("PATCH", path, changes, image, wait_s=wait_s, progress=progress)
        answer = self._connection.request(
            "PATCH", path, json=dict(changes), headers=_prefer(wait_s), wait_s=wait_s or 0
        )
        return Photo.from_json(answer)

    def delete(self, photo: Photo | PhotoId) -> None:
        """Deletes the photo. Raises NotFound, unless an attempt of this very call may have deleted it."""
        self._connection.request("DELETE", path_of(photo))

    def wait_until_ready(self, photo: Photo | PhotoId, timeout_s: float = 60.0) -> Photo:
        """The photo once its thumbnails are made. Raises PhotoFailed, or WaitTimedOut after ``timeout_s`` seconds.

        The time is looked at between requests: a server that falls silent may take up to the client's own ``timeout_s``
        longer.
        """
        pauses = Pauses(self._connection.clock, timeout_s)
        while True:
            current = self.get(photo)
            if current.status == "ready":
                return current
            if current.status == "failed":
                raise PhotoFailed(current)
            if not pauses.pause():
                raise PhotoNotReady(current, timeout_s)

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
        key: str | None = None,
    ) -> Photo:
        texts = {name: _form_value(value) for name, value in values.items()}
        with opened_image(image) as file:
            body = MultipartBody(texts.items(), files={"image": file}, progress=progress)
            answer = self._connection.request(
                method, path, body=body, headers=_prefer(wait_s), wait_s=wait_s or 0, key=key
            )
        return Photo.from_json(answer)

    def _waited(self, photo: Photo, wait_s: int) -> Photo:
        """As ``Prefer: wait`` does it: the photo when it is no more processing, or after that time."""
        try:
            return self.wait_until_ready(photo, timeout_s=wait_s)
        except (PhotoFailed, PhotoNotReady) as outcome:
            return outcome.photo


class PhotosApiClient:
    """A user of hmlet photos. Threads may share one. Close it, or use it in a ``with`` statement.

    ``base_url``: scheme, host and port, as ``deploy`` prints them. Without ``username`` and ``password`` requests are
    anonymous. With them the client signs in when first needed and stays so.

    ``timeout_s``: seconds to connect and seconds of silence, as a pair or one number for both. ``retries``: how often a
    request is repeated after a broken connection or HTTP 429, 502, 503, 504, with growing pauses; POST and PATCH only
    when no connection was made. ``transport``: an adapter of requests, to send in another way. ``clock``: what tells
    the time and sleeps, like the module ``time``. ``tokens``: where the user's tokens are kept between processes; with
    it, username and password may be left out for as long as those can be renewed.

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
        tokens: TokenStore | None = None,
        ca_file: str | Path | None = None,
    ) -> None:
        """``ca_file``: the authorities (PEM) to trust instead of this machine's, for an https address."""
        if ca_file is not None and not Path(ca_file).is_file():
            raise ValueError(f"ca_file: there is no file {ca_file}")
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
            tokens=tokens,
            ca_file=None if ca_file is None else str(ca_file),
        )
        self.uploads = Uploads(self._connection)
        self.photos = Photos(self._connection, self.uploads)
        self.tags = Tags(self._connection)
        self.jobs = Jobs(self._connection)
        self.thumbnails = Thumbnails(self._connection)
        self.diffs = Diffs(self._connection)

    def __repr__(self) -> str:
        return f"PhotosApiClient({self._connection.base_url!r}, username={self._username!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def sign_in(self) -> None:
        """Signs in now, instead of on first need. Raises NotSignedIn."""
        self._connection.sign_in()

    def logout(self) -> None:
        """Ends the sign-in: the server refuses its tokens from now on, and they are forgotten here. What is asked later
        signs in anew, where the client has a password. Raises ConnectionFailed, TimedOut or ServerError when the
        server did not hear of it: the tokens are kept then."""
        self._connection.sign_out()

    def close(self) -> None:
        """Closes the pooled connections."""
        self._connection.close()


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

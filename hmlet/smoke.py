"""What proves that a stage works: a photo goes all the way and leaves nothing behind."""

from __future__ import annotations

import struct
import time
import zlib
from uuid import uuid4

from pl.errors import PlError, SmokeFailed
from pl.stage import Stage

from hmlet.env_comm import HmletEnv
from hmlet.users import ensure_user

SMOKE_USER = "smoke"
_ANSWERS_WITHIN_S = 15.0
_THUMBNAIL_WITHIN_S = 60.0


def smoke(env: HmletEnv, stage: Stage) -> str:
    """Post a photo through the client, wait for its thumbnail, fetch it, delete the photo. Raises SmokeFailed."""
    from ht.api_clients.photos import Photo, PhotosApiClient
    from ht.errors import ConnectionFailed, HtError, NotSignedIn

    def sign_in(client: PhotosApiClient) -> None:
        """As soon as there is an answer: a node hears of a Service that is made anew a little later."""
        deadline = time.monotonic() + _ANSWERS_WITHIN_S
        while True:
            try:
                return client.sign_in()
            except ConnectionFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def walk() -> bytes:
        password = env.smoke_password.reveal()
        with PhotosApiClient(env.web_url, SMOKE_USER, password, ca_file=env.ca_file or None) as client:
            sign_in(client)
            image = _png(width=300, height=200)
            photo = client.photos.create(Photo(name=f"smoke {uuid4()}", draft=True, image=image), wait_s=10)
            try:
                photo = client.photos.wait_until_ready(photo, timeout_s=_THUMBNAIL_WITHIN_S)
                return client.photos.download_thumbnail(photo)
            finally:
                client.photos.delete(photo)

    try:
        try:
            thumbnail = walk()
        except NotSignedIn:
            # The first time; a management command takes as long as all the rest.
            ensure_user(stage, SMOKE_USER, env.smoke_password.reveal())
            thumbnail = walk()
    except (HtError, PlError) as error:
        raise SmokeFailed("no photo gets through", why=str(error), hint="ht.logs") from None
    if not thumbnail.startswith(b"\xff\xd8\xff"):
        raise SmokeFailed("the thumbnail is no JPEG", why=f"its first bytes: {thumbnail[:16]!r}")
    return "a photo was posted, its thumbnail made and fetched, and the photo deleted"


def _png(*, width: int, height: int) -> bytes:
    """A small picture of one colour, different at every call, so that no stored original answers for it."""
    colour = uuid4().bytes[:3]
    rows = (b"\0" + colour * width) * height

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

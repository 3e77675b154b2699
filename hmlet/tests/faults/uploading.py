"""Clients that upload all the time, note what became of each upload, and do not mind that the platform dies."""

from __future__ import annotations

import hashlib
import io
import random
from dataclasses import dataclass, field

from ht.api_clients.photos import Photo, PhotosApiClient, Progress
from ht.errors import HtError
from PIL import Image

from hmlet.tests.background import Background
from hmlet.tests.pictures import distinct, grainy, jpeg, landscape

PAUSE_S = 0.8
"""Between two uploads of a client: eight of them keep the stage busy without filling a disk."""
SILENCE_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A photo that was answered with 201, and the digest of what was sent."""

    photo_id: str
    name: str
    sha256: str
    bytes: int


@dataclass
class Record:
    """What all clients noted. Appending is atomic."""

    uploads: list[Upload] = field(default_factory=list)
    failures: list[HtError] = field(default_factory=list)
    broken: list[BaseException] = field(default_factory=list)


class Uploading(Background):
    """``clients`` threads that upload until this is left, each image another one. ``label`` tells their photos apart
    from those of others who write to the same ``record``."""

    def __init__(
        self,
        base_url: str,
        username: str,
        password: str,
        *,
        clients: int,
        record: Record | None = None,
        label: str = "",
    ) -> None:
        self.record = Record() if record is None else record
        self._label = label
        self._images = _images()
        super().__init__(lambda number: self._upload(base_url, username, password, number), clients)

    def _upload(self, base_url: str, username: str, password: str, number: int) -> None:
        try:
            with PhotosApiClient(base_url, username, password, timeout_s=SILENCE_S, retries=0) as client:
                turn = 0
                while not self.over.wait(PAUSE_S):
                    turn += 1
                    name = f"{self._label}client {number} upload {turn}"
                    image = distinct(self._images[(number + turn) % len(self._images)], name)
                    upload(client, self.record, name, image)
        except BaseException as error:  # noqa: BLE001 - told to the test, in whose thread it means something
            self.record.broken.append(error)


def upload(
    client: PhotosApiClient, record: Record, name: str, image: bytes, *, progress: Progress | None = None
) -> None:
    """Post a photo, and note what became of it."""
    try:
        photo = client.photos.create(Photo(name=name, draft=len(name) % 2 == 0, image=image), progress=progress)
    except HtError as error:
        record.failures.append(error)
    else:
        digest = hashlib.sha256(image).hexdigest()
        record.uploads.append(Upload(photo_id=str(photo.id), name=name, sha256=digest, bytes=len(image)))


def _images() -> list[bytes]:
    """From 50 KB to 2 MB, in random order."""
    sides = ((600, 450), (1200, 900), (1600, 1200), (2000, 1500), (2400, 1800))
    made = [
        jpeg(grainy(landscape(seed, size), seed), quality=quality)
        for seed, size, quality in zip(range(len(sides)), sides, (70, 85, 88, 90, 92), strict=True)
    ]
    random.Random(5).shuffle(made)
    return made


def size_of(image: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(image)) as opened:
        opened.load()
        return opened.size

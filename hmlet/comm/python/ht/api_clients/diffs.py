"""Comparisons: what changed from one image to another."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from ht.answers import Fields, Json
from ht.api_clients.photo import Failure, Photo
from ht.connection import Connection
from ht.errors import DiffFailed, DiffNotDone, Forbidden, NoPicture
from ht.multipart import Image, MultipartBody, Progress, opened_image
from ht.pages import iterate_pages
from ht.paths import path_in
from ht.retry import Pauses

DiffId: TypeAlias = str
Side: TypeAlias = Image | Photo
Noise: TypeAlias = Literal["measure", "none", "tolerate"]
Alignment: TypeAlias = Literal["refuse", "scale", "pad"]
Layout: TypeAlias = Literal["side_by_side", "blended"]
Box: TypeAlias = tuple[int, int, int, int]

PATH = "/api/v1/diffs/"


@dataclass(frozen=True, kw_only=True)
class DiffOptions:
    """How two images are compared. What is None is as the platform has it; its ``OPTIONS`` tells that and all limits.

    ``threshold``: a pixel has changed when a channel did by more than this, of 255. ``area_min``: regions of fewer
    changed pixels are dropped. ``merge_distance``: closer regions become one. ``ignore``: boxes (x, y, width, height),
    in pixels of the first image, in which nothing counts. ``noise``: whether to see through what encoders and sensors
    do to every pixel: as the images show traces of it, never, or always. ``shift_max``: how many pixels the second may
    stand beside the first. ``alignment``: what to do with two sizes. ``layout`` and ``picture_side_max``, in pixels:
    of the annotated picture.
    """

    threshold: int | None = None
    area_min: int | None = None
    merge_distance: int | None = None
    ignore: Sequence[Box] = ()
    noise: Noise | None = None
    shift_max: int | None = None
    alignment: Alignment | None = None
    layout: Layout | None = None
    picture_side_max: int | None = None

    def fields(self) -> list[tuple[str, str]]:
        """As a form holds them."""
        names = ("threshold", "area_min", "merge_distance", "noise", "shift_max", "alignment", "layout")
        given = [(name, getattr(self, name)) for name in (*names, "picture_side_max")]
        boxes = [("ignore", ",".join(map(str, box))) for box in self.ignore]
        return [(name, str(value)) for name, value in given if value is not None] + boxes


@dataclass(frozen=True, kw_only=True)
class Region:
    """A box around changed pixels, in pixels of the first image. ``area``: how many have changed in it; ``mean`` and
    ``peak``: by how much, of 255."""

    x: int
    y: int
    width: int
    height: int
    area: int
    mean: float
    peak: int

    @classmethod
    def from_json(cls, value: Json) -> Region:
        fields = Fields(value, what="region of a comparison")
        names = ("x", "y", "width", "height", "area", "peak")
        return cls(**{name: fields.integer(name) for name in names}, mean=fields.number("mean"))


@dataclass(frozen=True, kw_only=True)
class DiffSide:
    """One of the two: a photo's id or None for a file, its name, and its size in pixels once that is known."""

    photo: str | None
    name: str
    width: int | None
    height: int | None

    @classmethod
    def from_json(cls, value: Json) -> DiffSide:
        fields = Fields(value, what="image of a comparison")
        return cls(
            photo=fields.text_or_none("photo"),
            name=fields.text("name"),
            width=fields.integer_or_none("width"),
            height=fields.integer_or_none("height"),
        )


@dataclass(frozen=True, kw_only=True)
class Changes:
    """``regions_found`` may be more than are told. ``shift``: how far right and down the second stands of the first.
    ``aligned``: how two sizes were made one, else None."""

    regions_found: int
    pixels_changed: int
    pixels_compared: int
    share_changed: float
    aligned: str | None
    shift: tuple[int, int]

    @classmethod
    def from_json(cls, value: Json) -> Changes:
        fields = Fields(value, what="changes of a comparison")
        shift = Fields(fields.value_or_none("shift"), what="shift of a comparison")
        return cls(
            regions_found=fields.integer("regions_found"),
            pixels_changed=fields.integer("pixels_changed"),
            pixels_compared=fields.integer("pixels_compared"),
            share_changed=fields.number("share_changed"),
            aligned=fields.text_or_none("aligned"),
            shift=(shift.integer("right"), shift.integer("down")),
        )


@dataclass(frozen=True, kw_only=True)
class DiffPicture:
    """The annotated picture, a PNG. ``url`` is signed, and valid for up to an hour."""

    url: str
    bytes: int
    width: int
    height: int

    @classmethod
    def from_json(cls, value: Json) -> DiffPicture:
        fields = Fields(value, what="picture of a comparison")
        sizes = {name: fields.integer(name) for name in ("bytes", "width", "height")}
        return cls(url=fields.text("url"), **sizes)


@dataclass(frozen=True, kw_only=True)
class Diff:
    """A comparison as the server describes it.

    ``state`` is "processing", "done" or "failed", and ``failure`` says why. ``changes`` and ``picture`` are None until
    it is done. ``regions`` are by area, the largest first; a list of comparisons leaves them out. ``keep``: it stays
    until it is deleted. Times are aware.
    """

    id: DiffId
    state: str
    keep: bool
    before: DiffSide
    after: DiffSide
    created: datetime | None = None
    finished: datetime | None = None
    failure: Failure | None = None
    changes: Changes | None = None
    regions: tuple[Region, ...] = ()
    picture: DiffPicture | None = None

    @classmethod
    def from_json(cls, value: Json) -> Diff:
        """Reads an answer; ignores unknown fields, raises AnswerNotUnderstood for missing ones and wrong types."""
        fields = Fields(value, what="comparison")
        names = ("failure", "changes", "picture", "regions")
        failure, changes, picture, regions = map(fields.value_or_none, names)
        return cls(
            id=fields.text("id"),
            state=fields.text("state"),
            keep=fields.flag("keep"),
            before=DiffSide.from_json(fields.value_or_none("before")),
            after=DiffSide.from_json(fields.value_or_none("after")),
            created=fields.moment_or_none("created"),
            finished=fields.moment_or_none("finished"),
            failure=None if failure is None else Failure.from_json(failure),
            changes=None if changes is None else Changes.from_json(changes),
            regions=() if regions is None else tuple(map(Region.from_json, fields.items("regions"))),
            picture=None if picture is None else DiffPicture.from_json(picture),
        )

    @property
    def changed(self) -> bool:
        """Whether anything has. Ask one that is done."""
        return self.changes is not None and self.changes.regions_found > 0


class Diffs:
    """``client.diffs``: your own comparisons. Each method raises the errors of ``ht.errors``.

    Example::

        diff = client.diffs.wait_until_done(client.diffs.create("before.png", "after.png"))
        if diff.changed:
            Path("changes.png").write_bytes(client.diffs.download(diff))
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        before: Side,
        after: Side,
        options: DiffOptions | None = None,
        *,
        keep: bool | None = None,
        progress: Progress | None = None,
        key: str | None = None,
    ) -> Diff:
        """Has two images compared, each a file or a Photo that you may see; another's takes part as its 1440 rendition.

        ``keep``: as the platform has it if None; what is not kept is forgotten after some hours. ``progress`` is called
        with the bytes sent and their total. With a ``key`` of your choice the request may be repeated, and is when the
        connection breaks: there will be one comparison.

        Raises Unsendable (no such file), Invalid (no image, an option that cannot be), NotFound (no such photo),
        TooLarge, Conflict (as many as one may have).
        """
        fields = [*(options or DiffOptions()).fields(), *([("keep", str(keep).lower())] if keep is not None else [])]
        with contextlib.ExitStack() as opened:
            files = {}
            for place, side in (("before", before), ("after", after)):
                if isinstance(side, Photo):
                    fields.append((place, str(side.id)))
                else:
                    files[place] = opened.enter_context(opened_image(side))
            body = MultipartBody(fields, files=files, progress=progress)
            return Diff.from_json(self._connection.request("POST", PATH, body=body, key=key))

    def get(self, diff: Diff | DiffId) -> Diff:
        """The comparison as it is now, with its regions. Raises NotFound, for another's too."""
        return Diff.from_json(self._connection.request("GET", _path_of(diff)))

    def iterate(
        self,
        *,
        state: str | None = None,
        changed: bool | None = None,
        photo: Photo | str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Iterator[Diff]:
        """Comparisons that were kept, newest first, a page asked for when it is needed; without their regions.

        ``changed``: whether anything did; ``photo``: one that takes part. Times are aware. Raises Invalid for a state
        that is none.
        """
        wanted = {
            "state": state,
            "changed": None if changed is None else str(changed).lower(),
            "photo": str(photo.id) if isinstance(photo, Photo) else photo,
            "created_after": created_after.isoformat() if created_after else None,
            "created_before": created_before.isoformat() if created_before else None,
        }
        query = {name: value for name, value in wanted.items() if value is not None}
        yield from map(Diff.from_json, iterate_pages(self._connection, PATH, query, what="page of comparisons"))

    def list(
        self,
        *,
        state: str | None = None,
        changed: bool | None = None,
        photo: Photo | str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> builtins.list[Diff]:
        """All of them; filters as for ``iterate``."""
        return [
            *self.iterate(
                state=state, changed=changed, photo=photo, created_after=created_after, created_before=created_before
            )
        ]

    def delete(self, diff: Diff | DiffId) -> None:
        """Deletes it, done or not. Raises NotFound, unless an attempt of this very call may have deleted it."""
        self._connection.request("DELETE", _path_of(diff))

    def download(self, diff: Diff | DiffId) -> bytes:
        """The bytes of the annotated picture, a PNG, asked for by its signed URL alone; one that has expired is renewed
        once. Raises NoPicture where there is none, or none yet.
        """
        if isinstance(diff, Diff) and diff.picture is not None:
            with contextlib.suppress(Forbidden):
                return self._connection.fetch(diff.picture.url)
        current = self.get(diff)
        if current.picture is None:
            raise NoPicture(current)
        return self._connection.fetch(current.picture.url)

    def wait_until_done(self, diff: Diff | DiffId, timeout_s: float = 60.0) -> Diff:
        """The comparison once it is done. Raises DiffFailed, or DiffNotDone after ``timeout_s`` seconds.

        The time is looked at between requests: a server that falls silent may take up to the client's own ``timeout_s``
        longer.
        """
        pauses = Pauses(self._connection.clock, timeout_s)
        while True:
            current = self.get(diff)
            if current.state == "done":
                return current
            if current.state == "failed":
                raise DiffFailed(current)
            if not pauses.pause():
                raise DiffNotDone(current, timeout_s)


def _path_of(diff: Diff | DiffId) -> str:
    return path_in(PATH, diff.id if isinstance(diff, Diff) else diff, missing="The comparison has no id")

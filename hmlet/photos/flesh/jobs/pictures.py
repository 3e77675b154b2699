"""What a job's picture was and became. Apps register who knows it for their kinds, so that jobs knows none of them."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from jobs.models import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Its size: of the file, and in pixels."""

    bytes: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail(Picture):
    """``link`` takes the name to save it as, and gives a signed URL."""

    link: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Of the original nothing but its size; no thumbnail before it is made and after it is gone."""

    original: Picture
    thumbnail: Thumbnail | None


class PicturesOf(Protocol):
    """Knows the pictures of some kinds of jobs."""

    def __call__(self, jobs: Sequence[Job]) -> Mapping[uuid.UUID, Pictures]:
        """By the job's id, in a number of queries that does not depend on the number of jobs."""


_known: dict[str, PicturesOf] = {}


def pictures_register(kind: str, pictures_of: PicturesOf) -> None:
    """Have ``pictures_of`` asked about the jobs of ``kind``."""
    _known[kind] = pictures_of


def pictures_find(jobs: Sequence[Job]) -> dict[uuid.UUID, Pictures]:
    """The pictures of those jobs that have any, by the job's id."""
    found: dict[uuid.UUID, Pictures] = {}
    for pictures_of in dict.fromkeys(_known.values()):
        of_its_kinds = [job for job in jobs if _known.get(job.kind) is pictures_of]
        if of_its_kinds:
            found.update(pictures_of(of_its_kinds))
    return found

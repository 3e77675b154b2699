"""A copy of what a build sees: tagged and built from the same bytes, whoever saves a file meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pl.cluster.platform import Image
from pl.errors import ImageInvalid
from pl.images.inputs import files_of


def taken(file: Path, images: Sequence[Image], to: Path) -> tuple[Path, list[Image]]:
    """Copy a skaffold.yaml, and the contexts of some of its images to the same places beside the copy.

    Returns both as they are there. Raises ImageInvalid.
    """
    root = file.parent.resolve()
    copies = []
    for image in images:
        try:
            copy = replace(image, context=to / image.context.resolve().relative_to(root))
            _copy(image, copy.context)
        except (OSError, ValueError) as error:
            raise ImageInvalid(image.name, why=str(error)) from None
        copies.append(copy)
    return Path(shutil.copyfile(file, to / file.name)), copies


def _copy(image: Image, to: Path) -> None:
    rules = (f"{image.dockerfile}.dockerignore", ".dockerignore")
    extra = [image.dockerfile, *(name for name in rules if (image.context / name).exists())]
    for path in {*files_of(image), *extra}:
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(image.context / path, to / path, follow_symlinks=False)

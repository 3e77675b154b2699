"""The tag of an image: a short hash over all that it is made of.

That is every file that its build sees, with its mode; the Dockerfile; the target; the build arguments; the platform;
and the images that it builds on, by the digests under which the engine pulled them. Not times, nor where the checkout
is. So two machines agree on a tag when they have pulled the same base image; a Dockerfile that names it by its digest
makes them.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from pl.cluster.engine import Engine
from pl.cluster.platform import Image
from pl.errors import ImageInvalid
from pl.images import dockerfile, dockerignore, engine_images
from pl.tools.registry import this_platform

Identify = Callable[[str], str]
"""The id of an image by its reference; an empty text where the engine has none."""

_FORM = "1"
_DIGITS = 16


def references(
    images: Sequence[Image], registry: str, *, platform: str = "", engine: Engine | None = None
) -> dict[str, str]:
    """By the name of each image, what it is called in ``registry`` (HOST[:PORT][/PATH]), built or not.

    ``platform`` is what the images are for ("linux/amd64"), this machine's processor when empty.
    Raises ImageInvalid, EngineAway.
    """
    identify = ids_of(engine or Engine())
    tags = {image.name: content_tag(image, identify, platform=platform) for image in images}
    return {name: f"{registry}/{name}:{tag}" for name, tag in tags.items()}


def content_tag(image: Image, identify: Identify, *, platform: str = "") -> str:
    """Sixteen hexadecimal digits. Raises ImageInvalid, and what ``identify`` raises."""
    text = dockerfile_of(image)
    recipe = {
        "form": _FORM,
        "platform": platform or own_platform(),
        "dockerfile": text,
        "target": image.target,
        "arguments": dict(image.arguments),
        "bases": {base: base_id(base, identify) for base in dockerfile.bases(text, image.arguments)},
    }
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    try:
        for path in files_of(image):
            digest.update(_file_digest(image.context / path, path))
    except OSError as error:
        raise ImageInvalid(image.name, why=str(error)) from None
    return digest.hexdigest()[:_DIGITS]


def own_platform() -> str:
    """What an engine on this machine builds for, whatever its own system."""
    return f"linux/{this_platform().partition('-')[2]}"


def files_of(image: Image) -> list[str]:
    """What the build sees, as paths below its context. Raises OSError."""
    return list(dockerignore.let_in(image.context, dockerignore.of_build(image.context, image.dockerfile)))


def dockerfile_of(image: Image) -> str:
    """Raises ImageInvalid."""
    try:
        return (image.context / image.dockerfile).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ImageInvalid(image.name, why=str(error)) from None


def bases_of(image: Image) -> tuple[str, ...]:
    """References of the images that it builds on. Raises ImageInvalid."""
    return dockerfile.bases(dockerfile_of(image), image.arguments)


def ids_of(engine: Engine) -> Identify:
    """Asks the engine, once for each image."""
    known: dict[str, str] = {}

    def identify(name: str) -> str:
        if name not in known:
            known[name] = engine_images.published_identity(name, engine)
        return known[name]

    return identify


def base_id(base: str, identify: Identify) -> str:
    """A digest says it itself; whatever else may mean another image tomorrow."""
    _, _, digest = base.partition("@")
    return digest or identify(base)


def _file_digest(file: Path, name: str) -> bytes:
    info = file.lstat()
    digest = hashlib.sha256(f"{name}\0{stat.S_IFMT(info.st_mode):o}\0".encode(errors="surrogateescape"))
    if stat.S_ISLNK(info.st_mode):
        # A link has no mode of its own that counts anywhere.
        digest.update(os.fsencode(file.readlink()))
    else:
        digest.update(f"{stat.S_IMODE(info.st_mode):o}\0".encode())
        digest.update(file.read_bytes())
    return digest.digest()

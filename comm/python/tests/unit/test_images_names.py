"""What others' images are called in a mirror, and what an image is known by wherever it was pulled."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pl.cluster.engine import Engine
from pl.images.engine_images import published_identity
from pl.images.third_party import below


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("postgres:18", "m.example/docker.io/library/postgres:18"),
        ("valkey/valkey:8.1", "m.example/docker.io/valkey/valkey:8.1"),
        ("quay.io/minio/minio:R1", "m.example/quay.io/minio/minio:R1"),
        ("localhost/a:1", "m.example/localhost/a:1"),
    ],
)
def test_a_mirror_has_images_under_the_names_of_their_registries(name: str, expected: str) -> None:
    assert below("m.example", name) == expected


class _Images:
    """An engine that has one image, whatever it is asked for."""

    def __init__(self, *digests: str) -> None:
        self._digests = digests

    def inspect(self, thing: str, _name: str) -> dict[str, Any]:
        assert thing == "image"
        return {"Id": "sha256:engine", "RepoDigests": list(self._digests)}


@pytest.mark.parametrize("reference", ["python:3.11", "docker.io/library/python:3.11", "python"])
def test_an_image_is_known_by_the_digest_of_its_own_registry_and_by_no_other(reference: str) -> None:
    engine = cast(Engine, _Images("127.0.0.1:5000/mirror/python@sha256:elsewhere", "python@sha256:hub"))
    assert published_identity(reference, engine) == "sha256:hub"


def test_an_image_that_was_never_in_a_registry_is_known_by_its_id() -> None:
    assert published_identity("python:3.11", cast(Engine, _Images())) == "sha256:engine"

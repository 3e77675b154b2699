"""The tag of an image changes with all that it is made of, and with nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pl.cluster.platform import Image
from pl.errors import ImageInvalid
from pl.images.inputs import content_tag

BASES = {"python:3.11": "sha256:aa", "busybox": "sha256:bb"}


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """An image of two files that builds on python:3.11."""
    context = tmp_path / "context"
    (context / "app").mkdir(parents=True)
    (context / "Dockerfile").write_text("FROM python:3.11\nCOPY . /\n", encoding="utf-8")
    (context / ".dockerignore").write_text("**/*.pyc\nDockerfile\n.dockerignore\n", encoding="utf-8")
    (context / "app/main.py").write_text("print(1)\n", encoding="utf-8")
    (context / "readme").write_text("read me\n", encoding="utf-8")
    return Image(name="app", context=context)


def tag(image: Image, bases: dict[str, str] = BASES, platform: str = "linux/amd64") -> str:
    return content_tag(image, lambda base: bases.get(base, ""), platform=platform)


def _content(image: Image) -> None:
    (image.context / "app/main.py").write_text("print(2)\n", encoding="utf-8")


def _mode(image: Image) -> None:
    (image.context / "app/main.py").chmod(0o755)


def _new(image: Image) -> None:
    (image.context / "app/new.py").write_text("", encoding="utf-8")


def _gone(image: Image) -> None:
    (image.context / "readme").unlink()


def _renamed(image: Image) -> None:
    (image.context / "readme").rename(image.context / "readme2")


def _linked(image: Image) -> None:
    (image.context / "readme").unlink()
    (image.context / "readme").symlink_to("read me\n")


def _dockerfile(image: Image) -> None:
    (image.context / "Dockerfile").write_text("FROM python:3.11\nCOPY . /x\n", encoding="utf-8")


def _let_in(image: Image) -> None:
    (image.context / ".dockerignore").write_text("Dockerfile\n", encoding="utf-8")


@pytest.mark.parametrize("change", [_content, _mode, _new, _gone, _renamed, _linked, _dockerfile, _let_in])
def test_the_tag_changes_with_what_the_build_sees(image: Image, change: Callable[[Image], None]) -> None:
    before = tag(image)
    change(image)
    assert tag(image) != before


def test_the_tag_changes_with_target_arguments_and_platform(image: Image) -> None:
    tags = {
        tag(image),
        tag(replace(image, target="web")),
        tag(replace(image, arguments={"OWNER": "1"})),
        tag(replace(image, arguments={"OWNER": "2"})),
        tag(image, platform="linux/arm64"),
    }
    assert len(tags) == 5


def test_the_tag_changes_with_the_image_that_is_built_on_and_with_no_other(image: Image) -> None:
    before = tag(image)
    assert tag(image, {**BASES, "python:3.11": "sha256:cc"}) != before
    assert tag(image, {**BASES, "busybox": "sha256:cc"}) == before
    (image.context / "Dockerfile").write_text("FROM python:3.11\nCOPY --from=busybox /x /x\n", encoding="utf-8")
    copying = tag(image)
    assert tag(image, {**BASES, "busybox": "sha256:cc"}) != copying


def test_a_base_that_is_named_by_its_digest_is_not_asked_for(image: Image) -> None:
    (image.context / "Dockerfile").write_text("FROM python:3.11@sha256:dd\n", encoding="utf-8")

    def nobody(base: str) -> str:
        raise AssertionError(base)

    assert content_tag(image, nobody, platform="linux/amd64")


def test_the_tag_does_not_change_with_times_ignored_files_or_empty_folders(image: Image) -> None:
    before = tag(image)
    os.utime(image.context / "app/main.py", (1, 1))
    (image.context / "app/main.pyc").write_text("compiled", encoding="utf-8")
    (image.context / "empty").mkdir()
    assert tag(image) == before


def test_the_tag_does_not_change_with_the_place_of_the_checkout(image: Image, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(image.context, tmp_path / "elsewhere/deeper", symlinks=True)
    assert tag(replace(image, context=elsewhere)) == tag(image)


def test_the_tag_may_stand_in_a_label_of_kubernetes(image: Image) -> None:
    assert len(tag(image)) == 16
    assert set(tag(image)) <= set("0123456789abcdef")


def test_a_missing_dockerfile_is_told_with_the_name_of_the_image(image: Image) -> None:
    (image.context / "Dockerfile").unlink()
    with pytest.raises(ImageInvalid, match="the image app") as caught:
        tag(image)
    assert "Dockerfile" in caught.value.why

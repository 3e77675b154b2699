"""The images that a Dockerfile builds on."""

from __future__ import annotations

from pl.images.dockerfile import bases


def test_stages_are_no_images_of_others() -> None:
    text = "FROM python:3.11 AS one\nFROM one AS two\nfrom  ONE\nFROM scratch\nCOPY --from=two / /\nCOPY --from=0 / /\n"
    assert bases(text, {}) == ("python:3.11",)


def test_what_is_copied_or_mounted_from_another_image_counts() -> None:
    text = (
        "FROM debian AS one\n"
        "COPY --chown=1 --from=busybox:1 /bin/sh /\n"
        "RUN --mount=type=cache,target=/c --mount=type=bind,from=golang:1,source=/x true\n"
        "RUN --mount=type=bind,from=one,source=/x true\n"
        "COPY from.txt /\n"
    )
    assert bases(text, {}) == ("busybox:1", "debian", "golang:1")


def test_arguments_before_the_first_stage_stand_in_its_name() -> None:
    text = (
        'ARG V=3.11\nARG KIND="-slim"\nARG HOST\nFROM ${HOST:-docker.io}/python:$V${KIND} AS x\nARG V=9\nFROM y:${V}\n'
    )
    assert bases(text, {}) == ("docker.io/python:3.11-slim", "y:3.11")
    assert bases(text, {"V": "3.12", "HOST": "here"}) == ("here/python:3.12-slim", "y:3.12")


def test_comments_continued_lines_and_flags_are_read_as_docker_reads_them() -> None:
    text = (
        "# syntax=docker/dockerfile:1\n#FROM no\n"
        "FROM --platform=linux/amd64 \\\n  # why\n  alpine:3@sha256:ab \\\n  AS b\nFROM b\n"
    )
    assert bases(text, {}) == ("alpine:3@sha256:ab", "docker/dockerfile:1")

"""What a project runs in a cluster, as data: images, Secrets, releases. pl.host.platform has the host stage's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pl.env import Secret


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that the project builds. Its tag is a hash of all its inputs."""

    name: str
    """The last part of its reference: ``hmlet-web``."""
    context: Path
    """The folder that the build sees, less what its .dockerignore leaves out."""
    dockerfile: str = "Dockerfile"
    """Relative to the context."""
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Build arguments. No secrets: they stay in the image."""


@dataclass(frozen=True, kw_only=True)
class Development:
    """How an image is worked on in running containers: files are put in their places there as they are saved."""

    folder: str = ""
    """Where the files of the context are in the image."""
    files: tuple[str, ...] = ()
    """Which of them, as patterns below the context (``**/*.py``). A change of any other file means another build."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Build arguments that let the container's user replace them."""
    after: tuple[str, ...] = ()
    """What each container runs when files were replaced; nothing where its program looks for itself."""


@dataclass(frozen=True, kw_only=True)
class SecretObject:
    """A Secret in the cluster, made by the toolkit and never by a chart: charts name it and mount its keys."""

    name: str
    keys: Mapping[str, Secret | str]
    """The key in the object, and the stage's secret that it holds (or plain text that only goes with secrets)."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """A chart, installed under a name.

    Its values are, each overriding those before: the chart's own, ``values`` (the stage's file, in git), ``settings``
    (what follows from the stage's fields), the references of ``images``, and the digests of ``secrets``.
    """

    name: str
    chart: Path
    app: str = ""
    """The app whose ``app.py`` works on it; none for what all apps share."""
    values: Path | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    """A tree of values. No secrets: what is in a release can be read by whoever may read the release."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Where an image's reference goes, as a path with dots, and which: an ``Image.name`` or an upstream reference."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Where the digest of a SecretObject goes, as a path with dots, and its name: a changed secret rolls the pods."""
    needs: tuple[str, ...] = ()
    """Releases that must work before this one is touched."""
    development: Mapping[str, object] = field(default_factory=dict)
    """Values on top of all others while it is worked on in the cluster."""


@dataclass(frozen=True, kw_only=True)
class Inside:
    """Where commands run in the cluster: ``terminal``, management commands, the unit suite."""

    workload: str
    """As kubectl names it: ``deployment/backend-web``."""
    container: str


@dataclass(frozen=True, kw_only=True)
class Suite:
    """An app's unit tests, in an image made of the one that is deployed. What that starts runs them, and takes pytest's
    arguments; it writes nowhere but below /tmp.
    """

    image: Image
    """Its build argument IMAGE is the reference of the one to build on."""
    of: str
    """That one's name."""


@dataclass(frozen=True, kw_only=True)
class ClusterPlatform:
    """All of a project in a cluster."""

    namespace: str
    images: tuple[Image, ...]
    secrets: tuple[SecretObject, ...]
    releases: tuple[Release, ...]
    inside: Mapping[str, Inside]
    """By app; the project's own under an empty name."""
    host_names: tuple[str, ...]
    """The names under which the edge answers: for /etc/hosts."""
    edge: str
    """The edge's Service: what these names lead to."""
    places: Mapping[str, Inside] = field(default_factory=dict)
    """Where else commands run that need other rights than an app's own: by a name that the project chooses."""
    scheduled: Mapping[str, str] = field(default_factory=dict)
    """By name, the CronJobs that may be run by hand as well."""
    development: Mapping[str, Development] = field(default_factory=dict)
    """By image, for those that can be worked on in the cluster."""
    suites: Mapping[str, Suite] = field(default_factory=dict)
    """By app."""

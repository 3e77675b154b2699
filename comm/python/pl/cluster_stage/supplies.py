"""What releases need before they can be installed: images in the stage's registry, and Secrets in the namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pl.cluster.api import Api
from pl.cluster.engine import Engine
from pl.cluster.platform import ClusterPlatform, Image, Release
from pl.cluster.secret_objects import digests, ensure_secrets, stale_secrets
from pl.cluster.state import ClusterState
from pl.cluster_env import ClusterEnv, KindEnv
from pl.images import build, inputs, third_party
from pl.images.registry import holds
from pl.stage import Change
from pl.steps import Progress


@dataclass(frozen=True, kw_only=True)
class Supplies:
    """What there is, and what is missing of it. ``references`` are of images, by name; ``digests`` of Secrets."""

    references: Mapping[str, str]
    digests: Mapping[str, str]
    missing_images: tuple[str, ...]
    stale_secrets: tuple[str, ...]

    def changes(self) -> tuple[Change, ...]:
        images = (
            Change(name=f"image {name}", action="build", why="not in the registry") for name in self.missing_images
        )
        objects = (
            Change(name=f"Secret/{name}", action="create", why="not as the stage's secrets are")
            for name in self.stale_secrets
        )
        return (*images, *objects)


class Supplier:
    """Looks for what releases need, and brings it. ``say`` hears what builds are at."""

    def __init__(self, env: ClusterEnv, state: ClusterState, say: Callable[[str], None]) -> None:
        self._env = env
        self._state = state
        self._say = say
        self._engine = Engine()

    def look(self, api: Api, platform: ClusterPlatform, releases: Sequence[Release]) -> Supplies:
        """What there is for ``releases``. Changes nothing."""
        own, upstream = _images(platform, releases)
        references = inputs.references(own, self._env.registry, engine=self._engine)
        references |= self._mirrored(upstream)
        return Supplies(
            references=references,
            digests=digests(platform.secrets),
            missing_images=tuple(name for name, reference in references.items() if not holds(reference, self._engine)),
            stale_secrets=tuple(stale_secrets(api, platform.namespace, platform.secrets)),
        )

    def bring(
        self, api: Api, platform: ClusterPlatform, releases: Sequence[Release], found: Supplies, progress: Progress
    ) -> Mapping[str, str]:
        """Bring what is missing; returns the images' references as they are then."""
        if found.stale_secrets:
            ensure_secrets(api, platform.namespace, platform.secrets)
        references = dict(found.references)
        own, upstream = _images(platform, releases)
        missing = [name for name in upstream if name in found.missing_images]
        if missing:
            references |= third_party.ensure_mirrored(
                missing,
                registry=self._env.registry,
                state=self._state.cache,
                say=self._say,
                progress=progress,
                engine=self._engine,
            )
        unbuilt = [image for image in own if image.name in found.missing_images]
        if unbuilt:
            references |= build.ensure_built(
                unbuilt,
                registry=self._env.registry,
                state=self._state.cache,
                checkout=self._env.checkout,
                say=self._say,
                progress=progress,
                engine=self._engine,
            )
        return references

    def _mirrored(self, upstream: Sequence[str]) -> dict[str, str]:
        """A kind cluster pulls through its registry, which is quicker and needs no network; others pull themselves."""
        if not isinstance(self._env, KindEnv):
            return {}
        return third_party.references(
            upstream, registry=self._env.registry, state=self._state.cache, engine=self._engine
        )


def _images(platform: ClusterPlatform, releases: Iterable[Release]) -> tuple[list[Image], list[str]]:
    """Those of the project that the releases use, and the references of the others."""
    own = {image.name: image for image in platform.images}
    used = dict.fromkeys(image for release in releases for image in release.images.values())
    return [own[name] for name in used if name in own], [name for name in used if name not in own]

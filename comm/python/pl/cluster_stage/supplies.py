"""What releases need before they can be installed: images in the stage's registry, and Secrets in the namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pl.cluster.api import Api
from pl.cluster.engine import Engine
from pl.cluster.namespace import namespace_fault
from pl.cluster.platform import ClusterPlatform, Image, Release
from pl.cluster.secret_objects import digests, ensure_secrets, stale_secrets
from pl.cluster.state import ClusterState
from pl.cluster_env import ClusterEnv, ExistingEnv
from pl.digest import text_digest
from pl.errors import ImageAbsent
from pl.images import build, engine_images, inputs, third_party
from pl.images.registry import holds
from pl.stage import Change
from pl.steps import IO_BOUND_WORKERS, Progress


@dataclass(frozen=True, kw_only=True)
class Supplies:
    """What there is, and what is missing of it. ``references`` are of images, by name; ``digests`` of Secrets.

    ``namespace_fault`` is why the namespace is to be written, ``absent`` what nodes could not pull and nobody builds.
    """

    references: Mapping[str, str]
    digests: Mapping[str, str]
    missing_images: tuple[str, ...]
    stale_secrets: tuple[str, ...]
    namespace: str
    namespace_fault: str = ""
    absent: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Follows from what would be written to the cluster. Whether an image was pushed meanwhile makes no difference:
        its reference says what is in it.
        """
        return text_digest(
            self.namespace_fault, *(f"{name} {self.digests.get(name, '')}" for name in sorted(self.stale_secrets))
        )

    def changes(self) -> tuple[Change, ...]:
        namespaces = [Change(name=f"namespace {self.namespace}", action="create", why=self.namespace_fault)]
        images = (
            Change(name=f"image {name}", action="build", why="not in the registry") for name in self.missing_images
        )
        objects = (
            Change(name=f"Secret/{name}", action="create", why="not as the stage's secrets are")
            for name in self.stale_secrets
        )
        return (*(namespaces if self.namespace_fault else ()), *images, *objects)


class Supplier:
    """Looks for what releases need, and brings it. ``say`` hears what builds are at."""

    def __init__(self, env: ClusterEnv, state: ClusterState, say: Callable[[str], None]) -> None:
        self._env = env
        self._state = state
        self._say = say
        self._engine = Engine()

    def look(self, api: Api, platform: ClusterPlatform, releases: Sequence[Release]) -> Supplies:
        """What there is for ``releases``. Changes nothing but the engine, which gets what images are built on."""
        own, upstream = _images(platform, releases)
        references = self._own_references(own)
        mirrored = self._mirrored(upstream)
        references |= mirrored
        missing = self._missing(references)
        existing = isinstance(self._env, ExistingEnv)
        return Supplies(
            references=references,
            digests=digests(platform.secrets),
            missing_images=tuple(name for name in missing if not (existing and name in mirrored)),
            stale_secrets=tuple(stale_secrets(api, platform.namespace, platform.secrets)),
            namespace=platform.namespace,
            namespace_fault=namespace_fault(api, platform.namespace) if existing else "",
            absent=tuple(references[name] for name in missing if existing and name in mirrored),
        )

    def bring_images(
        self, platform: ClusterPlatform, releases: Sequence[Release], found: Supplies, progress: Progress
    ) -> Mapping[str, str]:
        """Build, and send to the registry, what it lacks; returns the images' references as they are then.

        Nothing is written to the cluster. Raises ImageAbsent, RegistryAway, and what builds raise.
        """
        if found.absent:
            raise ImageAbsent(found.absent)
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
            references |= self.built(unbuilt, progress)
        return references

    def built(self, images: Sequence[Image], progress: Progress, *, config: Path | None = None) -> dict[str, str]:
        """Have images in the stage's registry; returns their references. Raises what ``ensure_built`` does.

        ``config`` is the skaffold.yaml that lists them, where it is not above their contexts.
        """
        return build.ensure_built(
            images,
            registry=self._env.registry,
            state=self._state.cache,
            checkout=self._env.checkout,
            say=self._say,
            progress=progress,
            platform=self._env.image_platform,
            config=config,
            engine=self._engine,
        )

    def bring_secrets(self, api: Api, platform: ClusterPlatform, found: Supplies) -> None:
        if found.stale_secrets:
            ensure_secrets(api, platform.namespace, platform.secrets)

    def _own_references(self, own: Sequence[Image]) -> dict[str, str]:
        if isinstance(self._env, ExistingEnv):
            # A tag says what an image is built on: without that, it would be another on each machine.
            bases = {base for image in own for base in inputs.bases_of(image) if "@" not in base}
            engine_images.bring(sorted(bases), self._engine, self._say)
        return inputs.references(own, self._env.registry, platform=self._env.image_platform, engine=self._engine)

    def _mirrored(self, upstream: Sequence[str]) -> dict[str, str]:
        """A kind cluster pulls through its registry, which is quicker and needs no network; others pull themselves."""
        if isinstance(self._env, ExistingEnv):
            mirror = self._env.image_mirror
            return {name: third_party.below(mirror, name) for name in upstream} if mirror else {}
        return third_party.references(
            upstream, registry=self._env.registry, state=self._state.cache, engine=self._engine
        )

    def _missing(self, references: Mapping[str, str]) -> tuple[str, ...]:
        with ThreadPoolExecutor(max_workers=IO_BOUND_WORKERS) as pool:
            there = list(pool.map(lambda reference: holds(reference, self._engine), references.values()))
        return tuple(name for name, is_there in zip(references, there, strict=True) if not is_there)


def _images(platform: ClusterPlatform, releases: Iterable[Release]) -> tuple[list[Image], list[str]]:
    """Those of the project that the releases use, and the references of the others."""
    own = {image.name: image for image in platform.images}
    used = dict.fromkeys(image for release in releases for image in release.images.values())
    return [own[name] for name in used if name in own], [name for name in used if name not in own]

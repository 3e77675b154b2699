"""Builds what a stage's registry does not have yet, and pushes it there."""

from __future__ import annotations

import re
import tempfile
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pl.cluster.engine import Engine
from pl.cluster.platform import Image
from pl.errors import BuildFailed, ImageInvalid, PlError, RegistryAway
from pl.images import engine_images, inputs, skaffold, snapshot
from pl.images.registry import holds
from pl.steps import Progress, Step, run_steps
from pl.tools.install import program

_STEP = re.compile(r"#\d+ (\[[^\]]*\d+/\d+\] .*)")
_NOISE = re.compile(
    r"\d{4}/\d\d/\d\d [\d:]+ (traces export|error detecting resource)|exit status \d+\. Docker build|If this keeps"
)
_FAILED_STEP = re.compile(r"^------\n > (.*?)^------$", re.DOTALL | re.MULTILINE)
_SUMMARY = re.compile(r"^ERROR: (?:failed to build: )?(?:failed to solve: )?(.*)$", re.MULTILINE)
_NO_PUSH = re.compile(r"^could not push image .*$", re.MULTILINE)
_LINES_OF_STEP = 14
_WIDTH = 90


def ensure_built(
    images: Sequence[Image],
    *,
    registry: str,
    state: Path,
    checkout: Path,
    say: Callable[[str], None],
    progress: Progress,
    platform: str = "",
    config: Path | None = None,
    engine: Engine | None = None,
) -> dict[str, str]:
    """See to it that every image is in ``registry`` (HOST[:PORT][/PATH]); returns their references by name.

    What is there already is neither built nor sent, which takes milliseconds; the others are built at the same time.
    ``say`` hears what builds are at. ``config`` is the skaffold.yaml that lists the images, looked for above their
    contexts when it is not given. Raises StepsFailed with a failure for each image that could not be built or sent,
    ImageInvalid, ImagesInvalid, PullFailed for an image to build on, EngineAway, RegistryAway, ToolMissing.
    """
    engine = engine or Engine()
    bases = {base for image in images for base in inputs.bases_of(image) if "@" not in base}
    engine_images.bring(sorted(bases), engine, say)
    found = inputs.references(images, registry, platform=platform, engine=engine)
    missing = [image for image in images if not holds(found[image.name], engine)]
    if missing:
        building = _Building(
            skaffold=program(checkout, "skaffold"),
            config=config or _config_of(missing[0]),
            registry=registry,
            state=state,
            platform=platform,
            engine=engine,
            say=say,
        )
        found |= building.build(missing, progress)
    return found


@dataclass(frozen=True, kw_only=True)
class _Building:
    skaffold: Path
    config: Path
    registry: str
    state: Path
    platform: str
    engine: Engine
    say: Callable[[str], None]

    def build(self, missing: Sequence[Image], progress: Progress) -> dict[str, str]:
        self._check_listed(missing)
        with tempfile.TemporaryDirectory(prefix="pl-images-") as folder:
            config, copies = snapshot.taken(self.config, missing, Path(folder))
            found = inputs.references(copies, self.registry, platform=self.platform, engine=self.engine)
            env = skaffold.environment(
                self.state, {name: reference.rpartition(":")[2] for name, reference in found.items()}
            )
            run_steps([self._step(config, name, reference, env) for name, reference in found.items()], progress)
        return found

    def _check_listed(self, missing: Sequence[Image]) -> None:
        """What skaffold builds is what its file says: it had better be what was asked for."""
        listed = {image.name: image for image in skaffold.images_of(self.config)}
        for image in missing:
            there = listed.get(image.name)
            if there is None or replace(there, context=there.context.resolve()) != replace(
                image, context=image.context.resolve()
            ):
                raise ImageInvalid(image.name, why=f"{self.config} lists {there or 'no such image'}")

    def _step(self, config: Path, name: str, reference: str, env: Mapping[str, str]) -> Step:
        def run() -> str:
            done = skaffold.build(
                self.skaffold,
                config,
                name,
                registry=self.registry,
                platform=self.platform,
                env=env,
                on_line=lambda line: self._tell(name, line),
            )
            if done.status != 0:
                raise _failure(name, self.registry, done.stdout)
            if not holds(reference, self.engine):
                raise BuildFailed(name, why=f"skaffold ended well, but {reference} is not there")
            return f"built {reference.rpartition(':')[2]}"

        return Step(name=f"image {name}", run=run)

    def _tell(self, name: str, line: str) -> None:
        step = _STEP.match(line)
        if step:
            self.say(f"{name}: {textwrap.shorten(step[1], _WIDTH, placeholder=' ...')}")


def _failure(name: str, registry: str, output: str) -> PlError:
    """What went wrong, from all that skaffold and the builder said."""
    refused = _NO_PUSH.search(output)
    if refused:
        return RegistryAway(
            registry, why=refused[0], hint=f"see whether it runs; docker login {registry} if it wants one"
        )
    steps, summary = _FAILED_STEP.findall(output), _SUMMARY.findall(output)
    told = steps[-1].rstrip().splitlines() if steps else []
    lines = [*told[:1], *told[1:][-_LINES_OF_STEP:], *summary[-1:]]
    if not lines:
        lines = [line for line in output.splitlines() if line.strip() and not _NOISE.match(line)][-_LINES_OF_STEP:]
    hint = ""
    if "no space left on device" in output.lower():
        hint = "docker system df says what takes the engine's disk; docker builder prune frees the cache of builds"
    return BuildFailed(name, why="\n".join(lines), hint=hint)


def _config_of(image: Image) -> Path:
    for folder in (image.context, *image.context.parents):
        if (folder / skaffold.FILE).is_file():
            return folder / skaffold.FILE
    raise ImageInvalid(image.name, why=f"there is no {skaffold.FILE} above {image.context} that lists it")

"""What a project tells the toolkit about itself, and the stage that its commands work on.

pl knows no project. A project's ``cluster.py`` names its ``Project`` once, and all commands, fixtures and smoke tests
get at a stage through ``open_stage``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from pl.env import StageEnv
from pl.errors import StageUnsupported
from pl.stage import Stage

if TYPE_CHECKING:
    from pl.cluster.platform import ClusterPlatform
    from pl.cluster_stage.stage import Cluster
    from pl.host.platform import Platform
    from pl.tools.fetch import Transfers


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A backup that was read to its end and is whole. ``about`` is what people are told of it, ``held`` how much the
    stage holds now that a restore would replace, and ``what`` of."""

    file: Path
    identity: Path
    about: str
    held: int
    what: str
    facts: Mapping[str, Any]


class Backups(Protocol):
    """How a project is backed up and restored. All take the environment and the stage first."""

    def take(self, env: Any, stage: Stage, file: Path, progress: Transfers) -> str:
        """Write a backup to a file, whole or not at all. What was done. Raises BackupUnusable, StageDown."""

    def verify(self, env: Any, stage: Stage, file: Path, identity: Path | None, progress: Transfers) -> Archive:
        """Read all of a backup, and ask the stage whether it could be restored. Changes nothing. Raises
        BackupUnusable, StageDown."""

    def restore(self, env: Any, stage: Stage, archive: Archive, progress: Transfers) -> str:
        """Replace what the stage holds. What was done. Raises RestoreIncomplete, StageDown."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project. Its functions take the environment of the project's own class."""

    env: type[StageEnv]
    host_platform: Callable[[Any], Platform]
    """What the host stage runs."""
    cluster_platform: Callable[[Any], ClusterPlatform] | None = None
    """What the stages in a cluster run, if the project has come that far."""
    smoke: Callable[[Any, Stage], str]
    """Proves that a stage works: returns what was done, raises SmokeFailed."""
    addresses: Callable[[Any], Mapping[str, str]]
    """What people want to open: a label and a URL each."""
    credentials: Callable[[Any], Mapping[str, str]]
    """Names of accounts and their passwords, for ``credentials`` alone."""
    backups: Callable[[], Backups] | None = None
    """Where the project has something to back up. Called by the commands that do."""


def open_stage(project: Project, env: StageEnv, say: Callable[[str], None]) -> Stage:
    """The stage of an environment, ready for commands. Raises StageUnsupported for one that the project has not."""
    if env.runs_on == "host":
        from pl.host.stage import HostStage

        return HostStage(env, project.host_platform, project.smoke, say)
    platform_of = project.cluster_platform
    if platform_of is None:
        raise StageUnsupported(
            f"the stage {env.stage} cannot be used yet",
            why=f"the project {env.root.name} does not say what it runs in a cluster (Project.cluster_platform)",
            hint=f"{env.root.name}/shell.py host",
        )
    from pl.cluster_stage.stage import ClusterStage

    return ClusterStage(_cluster(platform_of, env, say), platform_of, project.smoke, say)


def _cluster(platform_of: Callable[[Any], ClusterPlatform], env: StageEnv, say: Callable[[str], None]) -> Cluster:
    from pl.cluster_env import ExistingEnv, KindEnv

    if isinstance(env, KindEnv):
        from pl.cluster.kind import KindCluster

        return KindCluster(env, say)
    from pl.cluster.existing import ExistingCluster

    return ExistingCluster(cast(ExistingEnv, env), say, lambda: platform_of(env).secrets)

"""What a project tells the toolkit about itself, and the stage that its commands work on.

pl knows no project. A project's ``cluster.py`` names its ``Project`` once, and all commands, fixtures and smoke tests
get at a stage through ``open_stage``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pl.env import StageEnv
from pl.errors import StageUnsupported
from pl.host.platform import Platform
from pl.host.stage import HostStage


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project. Its functions take the environment of the project's own class."""

    env: type[StageEnv]
    host_platform: Callable[[Any], Platform]
    """What the host stage runs."""
    smoke: Callable[[Any, HostStage], str]
    """Proves that a stage works: returns what was done, raises SmokeFailed."""
    addresses: Callable[[Any], Mapping[str, str]]
    """What people want to open: a label and a URL each."""
    credentials: Callable[[Any], Mapping[str, str]]
    """Names of accounts and their passwords, for ``credentials`` alone."""


_MISSING_PARTS = {
    "kind": "bringing up a KIND cluster and deploying releases to it is not part of this version",
    "existing": "deploying to an existing cluster is not part of this version",
}


def open_stage(project: Project, env: StageEnv, say: Callable[[str], None]) -> HostStage:
    """The stage of an environment, ready for commands. Raises StageUnsupported for one that cannot be driven yet."""
    if env.runs_on != "host":
        raise StageUnsupported(
            f"the stage {env.stage} cannot be used yet",
            why=_MISSING_PARTS[env.runs_on],
            hint=f"{env.root.name}/shell.py host",
        )
    return HostStage(env, project.host_platform, project.smoke, say)

"""The fields that a stage in a cluster has, whatever the project. Standard library only, as ``env``."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import ClassVar

from pl.env import Port, StageEnv, chosen_port


class ClusterEnv(StageEnv):
    """A stage that runs in a Kubernetes cluster, reached by the kubeconfig in its own state and nothing else."""

    prefix: ClassVar[str] = "PL"

    namespace: str
    image_platform: str = ""
    """What the stage's nodes run ("linux/amd64"); this machine's processor when empty."""

    @functools.cached_property
    def registry(self) -> str:
        """Where images are pushed to and pulled from: HOST[:PORT][/PATH]."""
        raise NotImplementedError


class KindEnv(ClusterEnv):
    """A kind cluster of the stage's own on this machine, with a registry beside it."""

    runs_on = "kind"

    node_image: str = "kindest/node:v1.34.10"
    registry_image: str = "registry:3"
    registry_port: Port = chosen_port()

    @functools.cached_property
    def cluster(self) -> str:
        """The cluster's name for kind and Docker, unlike that of any other checkout's."""
        return f"{self.root.name}-{self.stage}-{self.instance}"

    @functools.cached_property
    def kind_config(self) -> Path:
        """Read with the stage's variables put in for ``${NAME}``."""
        return self.root / "envs" / self.stage / "kind.yaml"

    @functools.cached_property
    def registry(self) -> str:
        return f"127.0.0.1:{self.registry_port}"


class ExistingEnv(ClusterEnv):
    """A cluster that exists, found by the name of a context in somebody's kubeconfig."""

    runs_on = "existing"

    kube_context: str
    kube_source: Path = Path("~/.kube/config").expanduser()
    """Where the context is defined. The stage copies that one context into its own kubeconfig on first contact."""
    cluster_uid: str = ""
    """The UID of the cluster's namespace kube-system: a machine that was never in contact with it knows it by that."""
    image_platform = "linux/amd64"
    image_registry: str
    """Where the stage's images are pushed: HOST[:PORT][/PATH]. Its login is Docker's affair."""
    image_mirror: str = ""
    """Where nodes pull third-party images from, as HOST[:PORT][/PATH]: ``postgres:18`` is docker.io/library/postgres:18
    below it. From where they are published when empty."""
    storage_class: str = ""
    """Of the volumes; the cluster's default when empty."""
    needs_clean_git: bool = False
    confirm_by_name: bool = False
    """A deploy shows what it would change and wants the stage's name typed, or the digest of what was reviewed."""
    may_be_destroyed: bool = True
    """Whether ``destroy`` removes the releases, on the stage's typed name. Never the volumes."""

    @functools.cached_property
    def registry(self) -> str:
        return self.image_registry

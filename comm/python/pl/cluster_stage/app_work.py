"""What ``app.py`` does on one app of a stage in a cluster: what ``cluster.py`` has no need of."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from pl.cluster import lock
from pl.cluster.api import Api
from pl.cluster.platform import ClusterPlatform
from pl.cluster.state import ClusterState
from pl.cluster_env import ClusterEnv
from pl.cluster_stage.kubectl import Kubectl
from pl.cluster_stage.supplies import Supplier
from pl.errors import StageUnsupported
from pl.release.plan import with_needs
from pl.steps import Progress


class AppWork:
    """One app of a stage that was deployed. ``say`` tells the user one line."""

    def __init__(
        self,
        app: str,
        *,
        env: ClusterEnv,
        state: ClusterState,
        api: Api,
        platform: ClusterPlatform,
        kubectl: Kubectl,
        say: Callable[[str], None],
    ) -> None:
        self._app = app
        self._env = env
        self._state = state
        self._api = api
        self._platform = platform
        self._kubectl = kubectl
        self._say = say

    def skaffold(self) -> int:
        """Work on the app until Ctrl-C; returns skaffold's status. What it leaves, a deploy puts right.

        Nobody else deploys meanwhile. Raises StageUnsupported, StateBusy, ToolMissing.
        """
        from pl.cluster_stage.develop import Bench, develop, developed

        names = [release.name for release in developed(self._platform, self._app)]
        found = self._supplier().look(self._api, self._platform, with_needs(self._platform.releases, names))
        bench = Bench(
            checkout=self._env.checkout,
            access=self._api.access,
            registry=self._env.registry,
            folder=self._state.cache / "develop" / self._app,
        )
        with self._state.locked(self._say), lock.held(self._api, self._platform.namespace, say=self._say):
            return develop(bench, self._platform, self._app, references=found.references, digests=found.digests)

    def forward(self, name: str, ports: Sequence[str]) -> None:
        """Forward ports until Ctrl-C. Raises UsageError, PortTaken, StageDown."""
        from pl.cluster_stage.forward import forward

        forward(self._kubectl, self._api, name, ports, say=self._say)

    def doors(self) -> list[tuple[str, str]]:
        """What can be forwarded: its name, and the Service and port that it means."""
        from pl.cluster_stage.forward import doors

        return [(door.names[0], f"{door.service}:{door.port}") for door in doors(self._api, self._platform.namespace)]

    def built_suite(self, progress: Progress) -> str:
        """The reference of the image with the app's unit tests, built where it was not. Raises StageUnsupported."""
        from pl.cluster_stage.in_cluster_tests import suite_image

        suite = self._platform.suites.get(self._app)
        if suite is None:
            raise StageUnsupported(f"{self._app} has no unit tests that run in a cluster")
        images = {image.name: image for image in self._platform.images}
        supplier = self._supplier()
        base = supplier.built([images[suite.of]], progress)[suite.of]
        image, config = suite_image(suite, base, self._state.cache / "tests" / self._app)
        return supplier.built([image], progress, config=config)[image.name]

    def test(self, image: str, arguments: Sequence[str], *, on_line: Callable[[str], None]) -> int:
        """Run the unit tests of an image in a pod; returns pytest's status. Raises PodFailed."""
        from pl.cluster_stage.in_cluster_tests import run_suite

        return run_suite(self._api, self._platform.namespace, self._app, image, arguments, on_line=on_line)

    def telepresence(self, port: str, argv: Sequence[str]) -> int:
        """Have the app's requests come to this machine while a command runs. Raises ToolMissing, CommandFailed."""
        from pl.cluster_stage.telepresence import Intercept, installed, run_intercepted

        program = installed(self._env.checkout, os.environ.get("PL_MIRROR", ""))
        inside = self._platform.inside.get(self._app)
        if inside is None:
            raise StageUnsupported(f"{self._app} has no program in the cluster")
        intercept = Intercept(workload=inside.workload.partition("/")[2], container=inside.container, port=port)
        return run_intercepted(program, self._api.access, self._platform.namespace, intercept, argv, say=self._say)

    # -- parts

    def _supplier(self) -> Supplier:
        return Supplier(self._env, self._state, self._say)

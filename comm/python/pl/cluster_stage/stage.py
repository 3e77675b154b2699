"""The commands of a stage in a cluster: what ``cluster.py`` does where there is one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Protocol

from pl import secrets
from pl.cluster import identity, lock
from pl.cluster.api import Api
from pl.cluster.namespace import ensure_namespace
from pl.cluster.platform import ClusterPlatform
from pl.cluster.state import ClusterState
from pl.cluster_env import ClusterEnv, ExistingEnv, KindEnv
from pl.cluster_stage import removal
from pl.cluster_stage.checkout import must_be_clean, obstacle
from pl.cluster_stage.reviews import changes_of, remarks_of
from pl.cluster_stage.supplies import Supplier, Supplies
from pl.digest import text_digest
from pl.errors import PlanChanged, StageDown, StageUnsupported
from pl.proc import Command
from pl.release.apply import apply
from pl.release.helm import Helm
from pl.release.plan import Plan, plan, with_needs
from pl.release.target import Target
from pl.resolving import resolving
from pl.stage import Change, LogLine, Review, Stage, Status
from pl.steps import Progress, Step, run_steps
from pl.tools.install import known, program

if TYPE_CHECKING:
    from pl.cluster_stage.app_work import AppWork
    from pl.cluster_stage.kubectl import Kubectl

_LOOPBACK = "127.0.0.1"


class Cluster(Protocol):
    """A way to have a cluster: pl.cluster.kind, pl.cluster.existing."""

    @property
    def env(self) -> ClusterEnv: ...
    @property
    def state(self) -> ClusterState: ...
    def bootstrap(self, progress: Progress, *, new_ports: bool = False) -> bool: ...
    def connect(self) -> Api: ...
    def what_dies(self) -> list[str]: ...
    def destroy(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class _Deployment:
    """What a deploy finds, and would do. ``cluster`` is the UID of the cluster."""

    platform: ClusterPlatform
    supplies: Supplies
    plan: Plan
    target: Target
    cluster: str

    @property
    def digest(self) -> str:
        return text_digest(self.cluster, self.supplies.digest, self.plan.digest)

    @property
    def changes(self) -> tuple[Change, ...]:
        return (*self.supplies.changes(), *changes_of(self.plan))


class ClusterStage:
    """One project in a cluster.

    ``platform_of`` builds the platform for an environment; it is called anew when ports were chosen. ``smoke`` proves
    that the platform works and raises SmokeFailed. ``say`` tells the user one line.
    """

    def __init__(
        self,
        cluster: Cluster,
        platform_of: Callable[[ClusterEnv], ClusterPlatform],
        smoke: Callable[[ClusterEnv, Stage], str],
        say: Callable[[str], None],
    ) -> None:
        self._cluster = cluster
        self._platform_of = platform_of
        self._smoke = smoke
        self._say = say

    @property
    def env(self) -> ClusterEnv:
        return self._cluster.env

    @property
    def state(self) -> ClusterState:
        return self._cluster.state

    # -- what changes the stage

    def bootstrap(self, progress: Progress, *, new_ports: bool = False) -> bool:
        return self._cluster.bootstrap(progress, new_ports=new_ports)

    def deploy(
        self, progress: Progress, names: Sequence[str] = (), *, expected: str = "", clean: bool = False
    ) -> tuple[Change, ...]:
        """Have the cluster, then what the releases need, then the releases.

        Images come first: nothing is written to the cluster for the sake of one that cannot be had. Ends with the smoke
        test, unless nothing changed since it last passed.
        """
        self._cluster.bootstrap(progress)
        api = self._cluster.connect()
        with self._changing():
            found = self._look(api, names, clean=clean)
            if expected and found.digest != expected:
                raise PlanChanged(expected, found.digest, hint=f"{self.env.command('diff')} shows what it is now")
            changes = found.changes
            if changes:
                must_be_clean(self.env)
                releases = with_needs(found.platform.releases, names)
                references = self._supplier().bring_images(found.platform, releases, found.supplies, progress)
                ensure_namespace(api, found.platform.namespace)
                with lock.held(api, found.platform.namespace, say=self._say):
                    self._bring(api, found, references, names, progress, clean=clean, expected=expected)
            proof = _proof(found.plan)
            if not names and (changes or self.state.proven() != proof):
                run_steps(self._proving(api, found.platform), progress)
                self.state.prove(proof)
        return changes

    def destroy(self) -> bool:
        if not isinstance(self.env, ExistingEnv):
            return self._cluster.destroy()
        removal.must_be_allowed(self.env)
        api, platform = self._cluster.connect(), self._platform()
        if not removal.installed(api, platform.namespace):
            return False
        with self._changing("destroy"), lock.held(api, platform.namespace, say=self._say):
            removal.remove_releases(self._target(api, platform), platform.releases, self._say)
        return True

    # -- what looks at it

    def diff(self, names: Sequence[str] = (), *, clean: bool = False) -> Review:
        if self.state.exists():
            self.state.check()
        if not self.state.exists() or not secrets.is_complete(self.env):
            return Review(changes=(Change(name="cluster", action="create", why="the stage was never bootstrapped"),))
        found = self._look(self._cluster.connect(), names, clean=clean)
        return Review(
            changes=found.changes,
            digest=found.digest,
            remarks=() if clean else remarks_of(found.plan),
            obstacles=tuple(self._obstacles(found)),
        )

    def smoke(self) -> str:
        with resolving(self._own_names()):
            return self._smoke(self.env, self)

    def status(self) -> Status:
        from pl.cluster_stage.status import cluster_status

        return cluster_status(self._cluster.connect(), self._platform())

    def logs(self, names: Sequence[str] = (), *, lines: int, follow: bool) -> Iterator[LogLine]:
        from pl.cluster_stage.logs import merged

        return merged(self._cluster.connect(), self._platform(), names, lines=lines, follow=follow)

    def run_inside(self, argv: Sequence[str], *, input: str = "") -> str:
        from pl.cluster_stage.inside import run_inside

        platform = self._platform()
        return run_inside(self._kubectl(platform), self._cluster.connect(), platform.inside[""], argv, input=input)

    def stream_inside(
        self,
        argv: Sequence[str],
        *,
        source: Command | None = None,
        stdout: IO[bytes] | None = None,
        on_line: Callable[[str], bool],
        where: str = "",
    ) -> None:
        from pl.cluster_stage.inside import stream_inside

        platform = self._platform()
        inside = platform.places[where] if where else platform.inside[""]
        kubectl, api = self._kubectl(platform), self._cluster.connect()
        stream_inside(kubectl, api, inside, argv, source=source, stdout=stdout, on_line=on_line)

    def run_scheduled(self, name: str, arguments: Sequence[str] = (), *, on_line: Callable[[str], None]) -> int:
        from pl.cluster_stage.scheduled import run_scheduled

        platform = self._platform()
        cron_job = platform.scheduled.get(name)
        if cron_job is None:
            raise StageUnsupported(f"the stage {self.env.stage} has no {name} that is run by a schedule")
        return run_scheduled(self._cluster.connect(), platform.namespace, cron_job, arguments, on_line=on_line)

    def terminal(self, argv: Sequence[str], *, app: str = "") -> int:
        from pl.cluster_stage.inside import terminal

        platform = self._platform()
        inside = platform.inside[app]
        prompt = f"{self.env.emoji} "
        return terminal(self._kubectl(platform), self._cluster.connect(), inside, argv, prompt=prompt)

    def work_on(self, app: str) -> AppWork:
        """What ``app.py`` does on one app."""
        from pl.cluster_stage.app_work import AppWork

        platform = self._platform()
        return AppWork(
            app,
            env=self.env,
            state=self.state,
            api=self._cluster.connect(),
            platform=platform,
            kubectl=self._kubectl(platform),
            say=self._say,
        )

    def host_names(self) -> Mapping[str, Sequence[str]]:
        from pl.cluster.hosts import LOOPBACK, addresses_of

        platform = self._platform()
        if isinstance(self.env, KindEnv):
            return dict.fromkeys(platform.host_names, LOOPBACK)
        if not platform.host_names:
            return {}
        found = addresses_of(self._cluster.connect(), platform.namespace, platform.edge)
        return dict.fromkeys(platform.host_names, found)

    def must_exist(self) -> None:
        self.state.check()
        if not (self.state.exists() and secrets.is_complete(self.env)):
            raise StageDown(f"the stage {self.env.stage} was never deployed", hint=self.env.command("deploy"))

    def what_dies(self) -> Sequence[str]:
        if not isinstance(self.env, ExistingEnv):
            return self._cluster.what_dies()
        removal.must_be_allowed(self.env)
        return removal.what_dies(self._cluster.connect(), self.env.namespace)

    def what_stays(self) -> Sequence[str]:
        if not isinstance(self.env, ExistingEnv):
            return ()
        left = removal.what_stays(self._cluster.connect(), self.env.namespace)
        return (*left, f"the secrets that go with these, in {self.state.folder}")

    # -- parts

    def _proving(self, api: Api, platform: ClusterPlatform) -> list[Step]:
        smoke = Step(name="smoke", run=self.smoke)
        if not isinstance(self.env, ExistingEnv):
            return [smoke]
        from pl.cluster_stage.edge import await_load_balancer

        edge = Step(name="load balancer", run=lambda: await_load_balancer(api, platform.namespace, platform.edge))
        return [edge, replace(smoke, needs=(edge.name,))]

    def _obstacles(self, found: _Deployment) -> Iterator[str]:
        """Why a deploy would be refused."""
        unclean = obstacle(self.env) if found.changes else ""
        if unclean:
            yield unclean
        if found.supplies.absent:
            yield f"not in the stage's mirror: {', '.join(found.supplies.absent)}"

    def _platform(self) -> ClusterPlatform:
        return self._platform_of(self.env)

    def _look(self, api: Api, names: Sequence[str], *, clean: bool) -> _Deployment:
        platform = self._platform()
        supplies = self._supplier().look(api, platform, with_needs(platform.releases, names))
        cluster = identity.recorded(self.state.identity)
        target = self._target(api, platform)
        return _Deployment(
            cluster=cluster.uid if cluster else "",
            platform=platform,
            supplies=supplies,
            plan=plan(
                platform,
                target,
                references=supplies.references,
                digests=supplies.digests,
                names=names,
                remove_additions=clean,
            ),
            target=target,
        )

    def _bring(
        self,
        api: Api,
        found: _Deployment,
        references: Mapping[str, str],
        names: Sequence[str],
        progress: Progress,
        *,
        clean: bool,
        expected: str,
    ) -> None:
        """Do it all, planned anew now that nobody else changes anything."""
        now = plan(
            found.platform,
            found.target,
            references=references,
            digests=found.supplies.digests,
            names=names,
            remove_additions=clean,
        )
        if expected and now.digest != found.plan.digest:
            changed = replace(found, plan=now).digest
            raise PlanChanged(expected, changed, hint=f"{self.env.command('diff')} shows what it is now")
        self._supplier().bring_secrets(api, found.platform, found.supplies)
        apply(now, found.target, progress)

    def _supplier(self) -> Supplier:
        return Supplier(self.env, self.state, self._say)

    def _target(self, api: Api, platform: ClusterPlatform) -> Target:
        version = api.get("/version") or {}
        return Target(
            api=api,
            helm=Helm(
                program=program(self.env.checkout, "helm"),
                version=known(self.env.checkout)["helm"].version,
                kubeconfig=self.state.kubeconfig,
                namespace=platform.namespace,
                home=self.state.cache / "helm",
            ),
            kube_version=str(version.get("gitVersion", "")).removeprefix("v").partition("+")[0],
            folder=self.state.releases,
        )

    def _kubectl(self, platform: ClusterPlatform) -> Kubectl:
        from pl.cluster_stage.kubectl import Kubectl

        return Kubectl(
            program=program(self.env.checkout, "kubectl"),
            kubeconfig=self.state.kubeconfig,
            namespace=platform.namespace,
        )

    def _own_names(self) -> dict[str, str]:
        """The names of the stage, which this machine may not know yet, and where they lead."""
        platform = self._platform()
        if isinstance(self.env, KindEnv):
            return dict.fromkeys(platform.host_names, _LOOPBACK)
        from pl.cluster_stage.edge import addresses_of_unknown

        return addresses_of_unknown(platform.host_names, self._cluster.connect(), platform.namespace, platform.edge)

    def _changing(self, command: str = "deploy") -> contextlib.AbstractContextManager[None]:
        return self.state.changing(self._say, goes_on=f"{self.env.command(command)} goes on from there")


def _proof(found: Plan) -> str:
    """What the smoke test passed with: it is not repeated for the same."""
    return text_digest(*(str(one.manifest) for one in found.releases))

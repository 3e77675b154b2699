"""Do what was planned: releases in the order of their needs, in parallel where that allows."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pl.errors import Interrupted, PlError, ReleaseInvalid
from pl.release import live
from pl.release.deployed import histories
from pl.release.plan import Plan, ReleasePlan, plan_anew
from pl.release.readiness import why_not_ready
from pl.release.repair import remove, repair
from pl.release.running import end_survivors
from pl.release.target import Target
from pl.release.upgrade import await_ready, upgrade
from pl.release.watch import Watch
from pl.steps import Progress, Step, run_steps

TIMEOUT_S = 300.0


def apply(plan: Plan, target: Target, progress: Progress, *, timeout_s: float = TIMEOUT_S) -> None:
    """Bring the cluster to what was planned; the caller holds the stage's lock since before the plan was made.

    ``timeout_s`` is how long one release may take to come up. Every release is a step, and what is unchanged says so.
    Raises StepsFailed, with a ReleaseFailed for each that was taken back, and Interrupted, which says of each release
    what became of it.
    """
    end_survivors(target.folder)
    applying = _Applying(plan, target, timeout_s)
    try:
        run_steps(applying.steps(), progress, interrupted=applying.interrupted)
    except Interrupted as error:
        raise Interrupted(error.what, why=applying.what_became(), hint=error.hint) from None


class _Applying:
    """The state of one apply. Steps run in several threads; each writes its own entry of ``_became``."""

    def __init__(self, plan: Plan, target: Target, timeout_s: float) -> None:
        self._plan = plan
        self._target = target
        self._timeout_s = timeout_s
        self._became: dict[str, str] = {}
        self.interrupted = threading.Event()

    def steps(self) -> list[Step]:
        names = {one.name for one in self._plan.releases}
        staying = tuple(one.name for one in self._plan.releases if one.action != "uninstall")
        return [
            Step(
                name=one.name,
                run=self._told(one),
                # What goes may be what others used until now.
                needs=staying if one.release is None else tuple(need for need in one.release.needs if need in names),
            )
            for one in self._plan.releases
        ]

    def what_became(self) -> str:
        """A line for each release that is not as it was planned to be."""
        lines = []
        for one in self._plan.releases:
            if one.name not in self._became:
                if not one.is_idle:
                    lines.append(f"{one.name}: not begun")
            elif self._became[one.name]:
                lines.append(f"{one.name}: {self._became[one.name]}")
        return "\n".join(lines)

    def _told(self, one: ReleasePlan) -> Callable[[], str]:
        def run() -> str:
            self._became[one.name] = "half-done: the next deploy takes it back first"
            try:
                remark = self._apply(one)
            except PlError as error:
                self._became[one.name] = error.why if isinstance(error, Interrupted) else f"failed: {error.what}"
                raise
            self._became[one.name] = "" if one.is_idle else f"done ({remark})"
            return remark

        return run

    def _apply(self, one: ReleasePlan) -> str:
        if one.action == "uninstall":
            return self._uninstall(one)
        repaired = ""
        if one.unfinished:
            repaired = repair(self._target, one.name, timeout_s=self._timeout_s, interrupted=self.interrupted)
            one = plan_anew(one, self._target, remove_additions=self._plan.removes_additions)
        remarks = [repaired, self._changed(one), self._cleaned(one)]
        return ", ".join(remark for remark in remarks if remark) or "unchanged"

    def _changed(self, one: ReleasePlan) -> str:
        if self.interrupted.is_set():
            raise Interrupted(f"{one.name} was interrupted", why="not begun")
        if one.action in ("install", "upgrade"):
            return upgrade(self._target, one, timeout_s=self._timeout_s, interrupted=self.interrupted)
        if one.action == "restore":
            return self._restore(one)
        if self._is_needed(one) and any(standing.live and why_not_ready(standing.live) for standing in one.standings):
            objects = one.manifest.objects if one.manifest else ()
            watch = Watch(self._target, one.name, objects, judges_old_pods=True)
            await_ready(self._target, one, watch, timeout_s=self._timeout_s, interrupted=self.interrupted)
        return ""

    def _restore(self, one: ReleasePlan) -> str:
        """Put right the objects that drifted, and no others."""
        if one.refusals:
            raise ReleaseInvalid(
                one.name, "\n".join(one.refusals), hint="the cluster refuses that; nothing was touched"
            )
        drifted = [standing for standing in one.standings if standing.is_missing or standing.changes]
        watch = Watch(self._target, one.name, [standing.wanted for standing in drifted])
        for standing in drifted:
            live.repair(self._target.api, standing)
        await_ready(self._target, one, watch, timeout_s=self._timeout_s, interrupted=self.interrupted)
        return f"put right: {', '.join(str(standing.ref) for standing in drifted)}"

    def _cleaned(self, one: ReleasePlan) -> str:
        """Remove what others added, if that was asked for. helm leaves it as it is."""
        if not self._plan.removes_additions:
            return ""
        added = [standing for standing in one.standings if standing.additions]
        for standing in added:
            live.remove_additions(self._target.api, standing)
        return f"removed what others added to {', '.join(str(standing.ref) for standing in added)}" if added else ""

    def _uninstall(self, one: ReleasePlan) -> str:
        history = histories(self._target.api, self._target.namespace, one.name).get(one.name)
        if history is None:
            return "gone already"
        remove(self._target, one.name, history, timeout_s=self._timeout_s, interrupted=self.interrupted)
        return "removed"

    def _is_needed(self, one: ReleasePlan) -> bool:
        """Whether something that is to be changed needs it."""
        return any(
            other.release is not None and one.name in other.release.needs and not other.is_idle
            for other in self._plan.releases
        )

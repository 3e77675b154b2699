"""One release, installed or upgraded by helm under watch, and what is done when it does not come up.

helm itself notices a failure at its timeout and names no cause. So somebody looks, names the cause, keeps the logs and
interrupts helm, which then takes the release back while the pods from before go on serving. A first install that fails
is removed by helm, as nothing of it ever served; the volumes that StatefulSets claimed stay for the next one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pl import proc
from pl.cluster.api import Object
from pl.errors import Interrupted, PlError, ReleaseFailed, ReleaseInvalid
from pl.release.deployed import histories
from pl.release.helm import values_text
from pl.release.plan import ReleasePlan
from pl.release.readiness import WORKLOADS, why_not_ready
from pl.release.repair import end_jobs, remove_hooks, repair
from pl.release.running import noted
from pl.release.target import Target
from pl.release.watch import LOOK_EVERY_S, Cause, Watch

_TAKEN_BACK_WITHIN_S = 120.0
_HELM_LATER_S = 60.0  # helm's own timeout comes after ours: it is the watch that knows why
_SERVES_WITHIN_S = 30.0


@dataclass(frozen=True, kw_only=True)
class _End:
    """How helm ended: by itself, or because it was told to, for a cause or by Ctrl-C."""

    result: proc.Result
    cause: Cause | None
    interrupted: bool
    logs: str


def upgrade(target: Target, one: ReleasePlan, *, timeout_s: float, interrupted: threading.Event) -> str:
    """Install or upgrade a release as planned, and return its new revision as a remark.

    Raises ReleaseFailed or Interrupted when it was taken back, ReleaseStuck when not even that could be done.
    """
    if one.release is None or one.values is None or one.manifest is None:
        raise ValueError(f"{one.name} is not in the platform")
    if one.refusals:
        raise ReleaseInvalid(
            one.name, "\n".join(one.refusals), hint="the cluster would refuse that; nothing was touched"
        )
    watch = Watch(target, one.name, (*one.manifest.objects, *one.manifest.hooks))
    running = target.helm.start_upgrade(
        one.name,
        one.release.chart,
        values_text(one.values.tree),
        timeout_s=timeout_s + _HELM_LATER_S,
        skips_hooks=one.skips_hooks,
    )
    with noted(target.folder, running):
        end = _watched(running, watch, timeout_s=timeout_s, interrupted=interrupted)
    if end.result.status == 0:
        return f"revision {_revision(target, one.name)}"
    end_jobs(target, one.manifest.hooks)
    outcome = _settled(target, one)
    if end.interrupted:
        raise Interrupted(f"{one.name} was interrupted", why=outcome)
    cause = end.cause or Cause(what=_helms_words(end.result), detail=watch.blind)
    raise ReleaseFailed(one.name, cause.what, detail=cause.detail, outcome=outcome, logs=end.logs)


def _watched(running: proc.Running, watch: Watch, *, timeout_s: float, interrupted: threading.Event) -> _End:
    """Wait for helm, and tell it to take everything back as soon as it is known that it will not succeed."""
    deadline = time.monotonic() + timeout_s
    cause: Cause | None = None
    stopped = False
    logs = ""
    while (result := running.wait(LOOK_EVERY_S)) is None:
        if stopped:
            if time.monotonic() > deadline:
                running.kill()  # what it leaves pending is repaired
            continue
        if not interrupted.is_set():
            cause = watch.look()
            if cause is None and time.monotonic() > deadline:
                cause = watch.at_last() or Cause(what=f"it is not ready after {timeout_s:g} s")
            if cause is None:
                continue
            logs = str(watch.save() or "")
        running.interrupt()
        stopped, deadline = True, time.monotonic() + _TAKEN_BACK_WITHIN_S
    if result.status != 0 and not stopped:
        # helm saw the failure first: a hook's, or the server's refusal.
        cause = watch.at_last()
        logs = str(watch.save(said=result.stderr) or "")
    return _End(result=result, cause=cause, interrupted=stopped and cause is None, logs=logs)


def _settled(target: Target, one: ReleasePlan) -> str:
    """What serves after helm ended badly, seen to: a revision from before, or nothing."""
    try:
        # A Ctrl-C is a reason to be here, and none to leave it half-done.
        repair(target, one.name, timeout_s=_TAKEN_BACK_WITHIN_S, interrupted=threading.Event())
        history = histories(target.api, target.namespace, one.name).get(one.name)
        if history is None or history.way_back is None:
            remove_hooks(target, one.manifest.hooks if one.manifest else ())
            return "nothing of it is left but the volumes that it claimed"
        lacking = wait_until_ready(target, history.way_back.manifest().objects, timeout_s=_SERVES_WITHIN_S)
    except PlError as error:
        return str(error)
    if lacking:
        return f"taken back to revision {one.revision}, which does not work yet: {lacking}"
    return f"taken back to revision {one.revision}, which serves"


def wait_until_ready(target: Target, objects: Sequence[Object], *, timeout_s: float) -> str:
    """Wait for the workloads among objects; empty when all are ready, else what is not."""
    deadline = time.monotonic() + timeout_s
    while True:
        lacking = not_ready(target, objects)
        if not lacking or time.monotonic() > deadline:
            return lacking
        time.sleep(LOOK_EVERY_S)


def not_ready(target: Target, objects: Sequence[Object]) -> str:
    """What of the workloads among objects is not ready, in one line; empty when all are."""
    lacking = []
    for obj in objects:
        if obj.get("kind") not in WORKLOADS:
            continue
        live = target.api.get(target.api.path_of(obj, namespace=target.namespace))
        why = "it is not there" if live is None else why_not_ready(live)
        if why:
            lacking.append(f"{obj['kind']}/{obj['metadata']['name']}: {why}")
    return ", ".join(lacking)


def await_ready(
    target: Target, one: ReleasePlan, watch: Watch, *, timeout_s: float, interrupted: threading.Event
) -> None:
    """Wait until a release that nothing was upgraded of works. Raises ReleaseFailed with the cause, and Interrupted."""
    objects = one.manifest.objects if one.manifest else ()
    deadline = time.monotonic() + timeout_s
    while lacking := not_ready(target, objects):
        if interrupted.is_set():
            raise Interrupted(f"{one.name} was interrupted", why=f"not ready yet: {lacking}")
        cause = watch.look()
        if cause is None and time.monotonic() > deadline:
            cause = watch.at_last() or Cause(what=f"it is not ready after {timeout_s:g} s")
        if cause:
            logs = str(watch.save() or "")
            raise ReleaseFailed(one.name, cause.what, detail=cause.detail, outcome=f"not ready: {lacking}", logs=logs)
        interrupted.wait(LOOK_EVERY_S)


def _revision(target: Target, release: str) -> int:
    history = histories(target.api, target.namespace, release).get(release)
    return history.latest.number if history else 0


def _helms_words(result: proc.Result) -> str:
    said = [line for line in (result.stderr or result.stdout).splitlines() if line.strip()]
    return "\n".join(said) or f"helm ended with status {result.status}"

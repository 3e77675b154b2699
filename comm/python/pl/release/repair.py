"""Releases that a killed run left half-done: taken back to what served, by helm, which knows every object of both.

A pending revision's Secret is never deleted: it alone names the objects that came with it. A live deploy looks pending,
too, so all of this is for who holds the stage's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from pl import proc
from pl.cluster.api import Object
from pl.errors import ApiRefused, ReleaseStuck
from pl.release.changes import is_kept
from pl.release.deployed import History, Revision, histories
from pl.release.fields import Ref
from pl.release.running import noted
from pl.release.target import Target

_LOOK_EVERY_S = 0.25
_FINISHED = ("Complete", "Failed")
_HOOK = "helm.sh/hook"


def repair(target: Target, release: str, *, timeout_s: float, interrupted: threading.Event) -> str:
    """Finish or take back what was begun, and say what was done; empty when nothing was left half-done.

    Raises ReleaseStuck when helm can do neither.
    """
    history = histories(target.api, target.namespace, release).get(release)
    if history is None or not history.is_unfinished:
        return ""
    end_hooks(target, history.latest)
    back = history.way_back
    if back is None:
        remove(target, release, history, timeout_s=timeout_s, interrupted=interrupted)
        return f"revision {history.latest.number} was left {history.latest.status} and is gone"
    running = target.helm.start_rollback(release, back.number, timeout_s=timeout_s)
    result = ended(target, running, interrupted)
    if result.status != 0:
        _must_not_be_pending(target, release, back, result)
    _sweep(target, history, back)
    if result.status != 0:
        return f"taken back to revision {back.number}, which does not work yet"
    return f"taken back to revision {back.number}"


def remove(target: Target, release: str, history: History, *, timeout_s: float, interrupted: threading.Event) -> None:
    """Remove a release with its hooks. The volumes that StatefulSets claimed stay. Raises ReleaseStuck."""
    hooks = history.latest.manifest().hooks
    result = ended(target, target.helm.start_uninstall(release, timeout_s=timeout_s), interrupted)
    if result.status != 0:
        raise ReleaseStuck(f"{release} could not be removed", why=result.stderr or result.stdout)
    remove_hooks(target, hooks)


def remove_hooks(target: Target, hooks: Iterable[Object]) -> None:
    """Remove what hooks of a release that is gone have left: helm forgets them, they are no part of a release."""
    for hook in hooks:
        _delete(target, hook, mark=_HOOK)


def end_hooks(target: Target, revision: Revision) -> None:
    """End the hook Jobs of a revision that still run, which helm leaves. Those that have finished keep their logs."""
    end_jobs(target, revision.manifest().hooks)


def end_jobs(target: Target, hooks: Iterable[Object]) -> None:
    for hook in hooks:
        if hook.get("kind") == "Job":
            _delete(target, hook, mark=_HOOK, only_unfinished=True)


def ended(target: Target, running: proc.Running, interrupted: threading.Event) -> proc.Result:
    """Wait for helm's end. A Ctrl-C is passed on, once."""
    told = False
    with noted(target.folder, running):
        while (result := running.wait(_LOOK_EVERY_S)) is None:
            if interrupted.is_set() and not told:
                running.interrupt()
                told = True
    return result


def _sweep(target: Target, history: History, back: Revision) -> None:
    """Delete what revisions after ``back`` brought and it does not have.

    A rollback that is killed leaves such objects in no revision that helm would look at: it compares with the latest
    one, which is the copy of ``back`` that it had begun.
    """
    kept = {Ref.of(obj, target.namespace) for obj in back.manifest().objects}
    swept: set[Ref] = set()
    for revision in history.revisions:
        if revision.number <= back.number:
            continue
        for obj in revision.manifest().objects:
            ref = Ref.of(obj, target.namespace)
            if ref not in kept | swept and not is_kept(obj):
                swept.add(ref)
                _delete(target, obj, mark="meta.helm.sh/release-name", value=back.release)


def _must_not_be_pending(target: Target, release: str, back: Revision, result: proc.Result) -> None:
    """A way back that is only slow ends as failed, and an upgrade may follow; one that is pending may not."""
    history = histories(target.api, target.namespace, release).get(release)
    if history is None or history.latest.status != "failed":
        status = history.latest.status if history else "gone"
        raise ReleaseStuck(
            f"{release} could not be taken back to revision {back.number}: it is {status}",
            why=result.stderr or result.stdout,
            hint="deploy again once the cluster can do it: nothing is lost",
        )


def _delete(target: Target, obj: Object, *, mark: str, value: str = "", only_unfinished: bool = False) -> None:
    """Delete an object that has an annotation still: the same name may be something else's by now."""
    try:
        path = target.api.path_of(obj, namespace=target.namespace)
    except ApiRefused as error:
        if error.status == 404:
            return
        raise
    there = target.api.get(path)
    found = (there["metadata"].get("annotations") or {}).get(mark) if there else None
    if there is None or found is None or (value and found != value):
        return
    if only_unfinished and _has_finished(there):
        return
    target.api.delete(path, uid=there["metadata"]["uid"])


def _has_finished(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(one["type"] in _FINISHED and one["status"] == "True" for one in conditions)

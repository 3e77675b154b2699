"""A plan of releases in the words that all stages have for what a deploy would do."""

from __future__ import annotations

from pl.release.changes import Change as ReleaseChange
from pl.release.fields import ABSENT
from pl.release.plan import Plan, ReleasePlan
from pl.stage import Action, Change, Difference

_ACTIONS: dict[str, Action] = {
    "install": "install",
    "upgrade": "upgrade",
    "restore": "repair",
    "clean": "clear",
    "uninstall": "remove",
    "unchanged": "repair",
}


def changes_of(plan: Plan) -> tuple[Change, ...]:
    """One for each release that something would be done about."""
    return tuple(_change(one, removes_additions=plan.removes_additions) for one in plan.releases if not one.is_idle)


def remarks_of(plan: Plan) -> tuple[str, ...]:
    """What others added by hand, and a deploy leaves."""
    return tuple(
        f"{one.name}: {added.where} {added.path} = {added.old} (by {added.by})"
        for one in plan.releases
        for added in one.additions
    )


def _change(one: ReleasePlan, *, removes_additions: bool) -> Change:
    shown = (*one.changes, *(one.additions if removes_additions else ()))
    why = "; ".join(text for text in (one.unfinished, one.why, *one.refusals) if text)
    return Change(
        name=one.name, action=_ACTIONS[one.action], why=why, differences=tuple(_difference(change) for change in shown)
    )


def _difference(change: ReleaseChange) -> Difference:
    """An object that comes or goes as a whole has no fields: it is its own old or new."""
    if not change.path:
        gone = change.sort in ("removed",)
        return Difference(path=change.where, old=change.sort if gone else "", new="" if gone else change.sort)
    return Difference(path=f"{change.where} {change.path}", old=_text(change.old), new=_text(change.new))


def _text(value: object) -> str:
    return "" if value is ABSENT else str(value)

"""``ht jobs``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from ht.cli.commands import AsJson, Limit, end_with, new_app
from ht.errors import ApiError, HtError, NotSignedIn

if TYPE_CHECKING:
    from ht.api_clients.jobs import Job
    from ht.cli.session import Session

app = new_app("Jobs: the work that is done after an upload.")

Ids: TypeAlias = Annotated[list[str], typer.Argument(metavar="ID...", help="As `ht jobs list` shows them.")]


@app.command("list")
def list_jobs(
    context: typer.Context,
    state: Annotated[str, typer.Option(help="queued, running, done, failed or cancelled.")] = "",
    kind: Annotated[str, typer.Option(help="thumbnail, file_thumbnail, ...")] = "",
    owner: Annotated[str, typer.Option(help="me; for staff a username as well.")] = "",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Your jobs, newest first; everyone's for staff."""
    from ht.cli import output

    session: Session = context.obj
    with session.client() as client:
        found = client.jobs.iterate(state=state or None, kind=kind or None, owner=owner or None)
        jobs = list(islice(found, limit or None))
    if as_json:
        output.as_json(jobs)
        return
    output.table(
        ("ID", "STATE", "KIND", "NAME", "OWNER", "ATTEMPTS", "CREATED", "FAILURE"),
        [
            (job.id, job.state, job.kind, job.name, job.username, job.attempts, _moment(job.created), job.failure)
            for job in jobs
        ],
    )


@app.command()
def show(context: typer.Context, job_id: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """One job with its past."""
    from ht.cli import output

    session: Session = context.obj
    with session.client() as client:
        job = client.jobs.get(job_id)
    if as_json:
        output.as_json(job)
        return
    pictures = [("original", job.original), ("thumbnail", job.thumbnail)]
    output.table(
        ("", ""),
        [
            ("id", job.id),
            ("state", job.state),
            ("kind", job.kind),
            ("name", job.name),
            ("owner", job.username),
            ("attempts", job.attempts),
            *([("failure", job.failure)] if job.failure else []),
            *(
                (label, f"{picture.path} {picture.width}×{picture.height} {picture.bytes} bytes")
                for label, picture in pictures
                if picture
            ),
            *((_moment(event.at), f"{event.event} {event.message}".strip()) for event in job.timeline),
        ],
    )


@app.command()
def retry(context: typer.Context, job_ids: Ids, as_json: AsJson = False) -> None:
    """Try jobs again that failed or were cancelled."""
    session: Session = context.obj
    with session.client() as client:
        _each(job_ids, client.jobs.retry, as_json, what="jobs are not tried again")


@app.command()
def cancel(context: typer.Context, job_ids: Ids, as_json: AsJson = False) -> None:
    """Cancel jobs that wait or run: nothing comes of them."""
    session: Session = context.obj
    with session.client() as client:
        _each(job_ids, client.jobs.cancel, as_json, what="jobs are not cancelled")


def _each(job_ids: list[str], change: Callable[[str], Job], as_json: bool, *, what: str) -> None:
    """Past those that are refused; what fails for one cause for all ends it."""
    from ht.cli import output
    from ht.cli.entry import told

    changed: list[Job] = []
    failures: list[tuple[str, str]] = []
    wanted = list(dict.fromkeys(job_ids))
    with output.progress("jobs", count=len(wanted)) as progress:
        for job_id in wanted:
            try:
                changed.append(change(job_id))
                progress.ended(job_id, changed[-1].state)
            except NotSignedIn:
                raise
            except (ApiError, ValueError) as error:
                failures.append((job_id, told(error) if isinstance(error, HtError) else str(error)))
                progress.ended(job_id, "refused")
    if as_json:
        output.as_json(changed)
    else:
        output.table(("ID", "STATE"), [(job.id, job.state) for job in changed])
    end_with(failures, of=len(wanted), what=what)


def _moment(moment: object) -> str:
    return str(moment)[:19] if moment else ""

"""``ht photos``."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from ht.cli.commands import AsJson, Limit, Parallel, end_with, new_app

if TYPE_CHECKING:
    from ht.cli.session import Session

app = new_app("Photos.")

Tag: TypeAlias = Annotated[str, typer.Option(help="Those with this tag, without its #.")]
Search: TypeAlias = Annotated[str, typer.Option(help="Those of users whose name contains this.")]


class Format(StrEnum):
    jpeg = "jpeg"
    webp = "webp"


class Ordering(StrEnum):
    oldest_first = "publish_date"
    newest_first = "-publish_date"


class Owner(StrEnum):
    me = "me"


@app.command()
def upload(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Each becomes a photo named like it.")],
    caption: Annotated[str, typer.Option(help="Of each; words with # become tags.")] = "",
    draft: Annotated[bool, typer.Option("--draft", help="Do not publish them yet.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until their thumbnails are made.")] = False,
    timeout: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long --wait waits for each.")] = 120,
    parallel: Parallel = 4,
    as_json: AsJson = False,
) -> None:
    """Upload photos, several at once.

    What is refused is listed at the end and keeps no other from being uploaded. The same command once more uploads
    what is missing and nothing twice.
    """
    from ht.cli import output
    from ht.cli.entry import told
    from ht.cli.receipts import Receipts
    from ht.cli.uploading import Uploading, Wanted

    session: Session = context.obj
    paths = list(dict.fromkeys(files))
    wanted = Wanted(caption=caption, draft=draft, parallel=parallel, wait_s=timeout if wait else None)
    with session.client() as client, output.progress("photos", count=len(paths)) as progress:
        receipts = Receipts(session.address, session.as_whom())
        receipts.sweep()
        uploading = Uploading(client, receipts, wanted, progress)
        outcomes = uploading.run(paths)
    if as_json:
        output.as_json(
            [
                {
                    "path": done.path,
                    "photo": done.photo,
                    "there_before": done.path in uploading.there_before,
                    "error": told(done.error) if done.error else None,
                }
                for done in outcomes
            ]
        )
    else:
        photos = [done.photo for done in outcomes if done.photo]
        output.table(("ID", "NAME", "STATUS"), [(photo.id, photo.name, photo.status) for photo in photos])
    failures = [(str(done.path), told(done.error)) for done in outcomes if done.error]
    end_with(failures, of=len(paths), what="files did not become what was asked for")


@app.command("list")
def list_photos(
    context: typer.Context,
    owner: Annotated[Owner | None, typer.Option(help="Your own, drafts too.")] = None,
    tag: Tag = "",
    search: Search = "",
    ordering: Annotated[Ordering | None, typer.Option(help="By the time of publishing.")] = None,
    draft: Annotated[bool | None, typer.Option("--draft/--published", help="These alone.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List photos: a table on a terminal, columns between tabs elsewhere."""
    from ht.cli import output

    session: Session = context.obj
    with session.client() as client:
        found = client.photos.iterate(
            owner=owner, tag=tag or None, search=search or None, ordering=ordering, draft=draft
        )
        photos = list(islice(found, limit or None))
        more = bool(limit) and len(photos) == limit and next(found, None) is not None
    if as_json:
        output.as_json(photos)
    else:
        output.table(
            ("ID", "NAME", "OWNER", "STATUS", "PUBLISHED", "SIZE", "TAGS"),
            [
                (
                    photo.id,
                    photo.name,
                    photo.username,
                    "draft" if photo.draft and photo.status == "ready" else photo.status,
                    str(photo.publish_date)[:19] if photo.publish_date else "",
                    f"{photo.width}×{photo.height}" if photo.width else "",
                    " ".join(photo.tags),
                )
                for photo in photos
            ],
        )
    if more:
        output.note(f"the first {limit}; --limit 0 lists all")


@app.command()
def download_thumbnails(
    context: typer.Context,
    size: Annotated[str, typer.Option(help="128, 256 (a square), 512, 1440: box in pixels.")] = "128",
    image_format: Annotated[Format, typer.Option("--format", help="Of the files.")] = Format.jpeg,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where to; made if it is not there.")] = Path(),
    everyone: Annotated[bool, typer.Option("--everyone", help="Of others' published photos too.")] = False,
    tag: Tag = "",
    search: Search = "",
    limit: Limit = 0,
    parallel: Parallel = 4,
    as_json: AsJson = False,
) -> None:
    """Download thumbnails of your photos into files.

    What is there already is not downloaded again, and no file is ever half-written.
    """
    from ht.cli import output
    from ht.cli.thumbnail_files import Wanted, download

    session: Session = context.obj
    wanted = Wanted(size=size, image_format=image_format.value, folder=to, parallel=parallel)
    with session.client() as client:
        owner = None if everyone else "me"
        photos = list(islice(client.photos.iterate(owner=owner, tag=tag or None, search=search or None), limit or None))
        with output.progress("thumbnails", count=len(photos)) as progress:
            outcomes = download(client, photos, wanted, progress)
    if as_json:
        output.as_json(outcomes)
    else:
        output.table(("RESULT", "FILE"), [(done.result, done.file) for done in outcomes if not done.error])
    end_with(
        [(done.name, done.error) for done in outcomes if done.error], of=len(outcomes), what="thumbnails are missing"
    )

"""``ht diff``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ht.cli.commands import AsJson
from ht.errors import HtError

if TYPE_CHECKING:
    from ht.api_clients.diffs import Box, Diff, DiffOptions, Side
    from ht.cli.session import Session

SAME, CHANGED, TROUBLE = 0, 1, 2
PHOTO = "photo:"


class Noise(StrEnum):
    measure = "measure"
    none = "none"
    tolerate = "tolerate"


class Alignment(StrEnum):
    refuse = "refuse"
    scale = "scale"
    pad = "pad"


class Layout(StrEnum):
    side_by_side = "side_by_side"
    blended = "blended"


def diff(
    context: typer.Context,
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="A file, or photo:ID.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="A file, or photo:ID.")],
    picture: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Write the annotated picture here, changed or not.")
    ] = None,
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Write none.")] = False,
    threshold: Annotated[int | None, typer.Option(help="A smaller change of a pixel is none, of 255.")] = None,
    area_min: Annotated[int | None, typer.Option(help="Of a region, in pixels.")] = None,
    merge_distance: Annotated[int | None, typer.Option(help="Closer regions become one, in pixels.")] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="X,Y,W,H", help="Nothing counts there; repeatable.")
    ] = None,
    noise: Annotated[Noise | None, typer.Option(help="What encoders do to every pixel.")] = None,
    shift_max: Annotated[int | None, typer.Option(help="Of the whole image, in pixels.")] = None,
    alignment: Annotated[Alignment | None, typer.Option(help="What to do with two sizes.")] = None,
    layout: Annotated[Layout | None, typer.Option(help="Of the picture.")] = None,
    picture_side_max: Annotated[int | None, typer.Option(help="Of the picture, in pixels.")] = None,
    keep: Annotated[bool | None, typer.Option("--keep/--no-keep", help="On the platform; as the stage has it.")] = None,
    timeout: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for it.")] = 120,
    as_json: AsJson = False,
) -> None:
    """Compare two images, and print a box for each change.

    Where something changed, both images with these boxes are written to BEFORE-AFTER.diff.png in this folder.

    Ends with 0 when nothing changed, 1 when something did, 2 when that could not be found out: as diff does.
    """
    from ht.api_clients.diffs import DiffOptions
    from ht.cli.entry import told

    session: Session = context.obj
    options = DiffOptions(
        threshold=threshold,
        area_min=area_min,
        merge_distance=merge_distance,
        ignore=[_box(text) for text in ignore or ()],
        noise=_value(noise),  # type: ignore[arg-type]
        shift_max=shift_max,
        alignment=_value(alignment),  # type: ignore[arg-type]
        layout=_value(layout),  # type: ignore[arg-type]
        picture_side_max=picture_side_max,
    )
    try:
        done = _compared(session, before, after, options, keep=keep, timeout_s=timeout)
        written = None
        if not no_picture and (picture is not None or done.changed):
            written = _written(session, done, picture or Path(f"{_stem(before)}-{_stem(after)}.diff.png"))
    except HtError as error:
        _trouble(told(error))
    except OSError as error:
        _trouble(f"{error.filename or ''}: {error.strerror or error} → make room or give rights, and repeat")
    _print(done, written, as_json=as_json)
    raise typer.Exit(CHANGED if done.changed else SAME)


def _compared(
    session: Session, before: str, after: str, options: DiffOptions, *, keep: bool | None, timeout_s: float
) -> Diff:
    with session.client() as client:
        asked = client.diffs.create(_side(before), _side(after), options, keep=keep)
        return client.diffs.wait_until_done(asked, timeout_s=timeout_s)


def _written(session: Session, done: Diff, file: Path) -> Path:
    from ht.cli.whole_files import write_whole

    with session.client() as client:
        write_whole(file, client.diffs.download(done))
    return file


def _print(done: Diff, written: Path | None, *, as_json: bool) -> None:
    from ht.cli import output

    if as_json:
        output.as_json({**_told(done), "file": written})
        return
    output.table(
        ("X", "Y", "WIDTH", "HEIGHT", "PIXELS", "MEAN", "PEAK"),
        [
            (region.x, region.y, region.width, region.height, region.area, f"{region.mean:.0f}", region.peak)
            for region in done.regions
        ],
    )
    changes = done.changes
    if changes is not None:
        found = "1 region" if changes.regions_found == 1 else f"{changes.regions_found} regions"
        told = [f"{found}, {changes.share_changed:.3%} of the pixels"]
        if changes.shift != (0, 0):
            told.append(f"the second stands {changes.shift[0]} right and {changes.shift[1]} down of the first")
        if changes.aligned:
            told.append(f"two sizes: {changes.aligned}")
        output.note("; ".join(told))
    if written is not None:
        output.note(f"picture: {written}")


def _told(done: Diff) -> dict[str, object]:
    """Its fields, without the picture's URL: whoever has that has the picture."""
    import dataclasses

    told = {field.name: getattr(done, field.name) for field in dataclasses.fields(done)}
    if done.picture is not None:
        told["picture"] = {name: getattr(done.picture, name) for name in ("bytes", "width", "height")}
    return told


def _side(text: str) -> Side:
    from ht.api_clients.photo import Photo

    return Photo(name="", id=text.removeprefix(PHOTO)) if text.startswith(PHOTO) else Path(text)


def _stem(text: str) -> str:
    return text.removeprefix(PHOTO) if text.startswith(PHOTO) else Path(text).stem


def _box(text: str) -> Box:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text} is not X,Y,W,H", param_hint="--ignore") from None
    return x, y, width, height


def _value(word: StrEnum | None) -> str | None:
    return None if word is None else word.value


def _trouble(text: str) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.write(f"error: {text}\n")
    raise typer.Exit(TROUBLE) from None

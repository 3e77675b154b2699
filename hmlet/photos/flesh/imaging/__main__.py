"""``python -m imaging``: imaging at the command line, without a server."""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

# Before numpy is imported: the threads of its linear algebra, of which nothing here is used, double the time of that.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from imaging.diff import DiffResult, diff
from imaging.diff_options import Box, DiffOptions
from imaging.diff_picture import picture_png
from imaging.errors import ImageError

DONE, FAILED = 0, 1


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 whether anything changed or not, 1 for images that cannot be compared, 2 for wrong usage."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    options = DiffOptions()
    try:
        options = DiffOptions(**{name: getattr(asked, name) for name in _OPTIONS}, ignore=tuple(asked.ignore))
    except ValueError as error:
        parser.error(str(error))
    try:
        with asked.before.open("rb") as before, asked.after.open("rb") as after:
            result = diff(before, after, options)
        if asked.picture:
            asked.picture.write_bytes(picture_png(result.picture))
    except (ImageError, OSError) as error:
        sys.stderr.write(f"imaging: {error}\n")
        return FAILED
    sys.stdout.write((json.dumps(_told(result)) if asked.json else _text(result)) + "\n")
    return DONE


_OPTIONS = ("threshold", "area_min", "merge_distance", "noise", "shift_max", "alignment", "layout", "picture_side_max")


def _parser() -> argparse.ArgumentParser:
    usual = DiffOptions()
    parser = argparse.ArgumentParser(prog="python -m imaging", description="Imaging without a server.")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("diff", help="print the boxes of what changed between two images")
    command.add_argument("before", type=Path)
    command.add_argument("after", type=Path)
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--picture", type=Path, metavar="PNG", help="write the annotated picture here")
    command.add_argument("--threshold", type=int, default=usual.threshold, help="a smaller change is none, of 255")
    command.add_argument("--area-min", type=int, default=usual.area_min, help="of a region, in pixels")
    command.add_argument("--merge-distance", type=int, default=usual.merge_distance, help="in pixels")
    command.add_argument(
        "--ignore", type=_box, action="append", default=[], metavar="X,Y,W,H", help="nothing counts there; repeatable"
    )
    command.add_argument("--noise", choices=("measure", "none", "tolerate"), default=usual.noise)
    command.add_argument("--shift-max", type=int, default=usual.shift_max, help="of the whole image, in pixels")
    command.add_argument("--alignment", choices=("refuse", "scale", "pad"), default=usual.alignment)
    command.add_argument("--layout", choices=("side_by_side", "blended"), default=usual.layout)
    command.add_argument("--picture-side-max", type=int, default=usual.picture_side_max, help="in pixels")
    return parser


def _box(text: str) -> Box:
    x, y, width, height = (int(part) for part in text.split(","))
    return Box(x=x, y=y, width=width, height=height)


def _told(result: DiffResult) -> dict[str, object]:
    return {
        "regions": [asdict(region) for region in result.regions],
        "regions_found": result.regions_found,
        "pixels_changed": result.pixels_changed,
        "share_changed": result.share_changed,
        "before": result.before,
        "after": result.after,
        "aligned": result.aligned,
        "shift": result.shift,
    }


def _text(result: DiffResult) -> str:
    lines = [
        f"{region.x},{region.y} {region.width}×{region.height}: {region.area} pixels, "
        f"by {region.mean:.0f} of 255, {region.peak} at most"
        for region in result.regions
    ]
    found = f"{result.regions_found} regions" if result.regions_found != 1 else "1 region"
    lines.append(f"{found}, {result.share_changed:.3%} of the pixels")
    if result.shift != (0, 0):
        lines.append(f"the second stands {result.shift[0]} right and {result.shift[1]} down of the first")
    if result.aligned:
        lines.append(f"sizes differ, {result.before} and {result.after}: {result.aligned}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

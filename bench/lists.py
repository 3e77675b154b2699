#!/usr/bin/env python3
"""What a page of photos costs among a million, first and deep, beside DRF's ModelSerializer with CursorPagination.

    hmlet/shell.py host -- python bench/lists.py [PHOTOS]

Makes a database of its own on the stage's server, fills it (a few minutes and 4 GB for a million photos), and drops
it. Requests are answered in one process, without a server before it, in turns. Prints medians, and ends with 1 when a
bound is missed: half of what DRF's own takes, deep pages no slower than the first by more than half, memory that grows.
"""

import sys
from pathlib import Path

from pl.env import current
from pl.project import open_stage

from hmlet.env_comm import HmletEnv
from hmlet.project import PROJECT

INSIDE = Path(__file__).with_name("lists_inside.py")


def main() -> None:
    photos = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    stage = open_stage(PROJECT, current(HmletEnv), print)
    script = f"exec(compile(open({str(INSIDE)!r}).read(), {INSIDE.name!r}, 'exec'), {{'PHOTOS': {photos}}})"
    sys.exit(stage.terminal(["python", "manage.py", "shell", "--no-imports", "-c", script]))


if __name__ == "__main__":
    main()

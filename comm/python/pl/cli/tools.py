"""Fetching tools, as the commands that do so show it."""

from __future__ import annotations

import os
from pathlib import Path

from pl.cli import output


def fetch(checkout: Path, *, rehash: bool = False) -> None:
    """Bring the checkout's tools into .deps and say what came of it. Raises what ``pl.tools.install`` does."""
    from pl.tools.install import install
    from pl.tools.sources import MIRROR

    with output.progress() as progress:
        got = install(checkout, mirror=os.environ.get(MIRROR, ""), progress=progress, say=output.note, rehash=rehash)
    if got.fetched:
        output.line(f"✓ tools: {', '.join(got.fetched)} fetched from {got.source}, verified, in .deps/bin")
    else:
        output.line(f"✓ tools: nothing to do, {', '.join(got.kept)} are in .deps/bin")
    for name in got.lacking:
        output.line(f"– {name}: {got.source} has none; all else works without it")

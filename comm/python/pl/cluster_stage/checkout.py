"""Whether a checkout is what its commit says: what is deployed from any other cannot be found again."""

from __future__ import annotations

from pathlib import Path

from pl import proc


def uncommitted(checkout: Path) -> str:
    """What git calls changed or untracked, a line for each file. Raises CommandFailed where git does not say."""
    return proc.run(["git", "status", "--porcelain"], cwd=checkout).stdout.rstrip()

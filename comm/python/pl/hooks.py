"""The git hooks of a checkout: two lines in .git that call what stands in ``comm/git``, so that it follows branches."""

from __future__ import annotations

from pathlib import Path

from pl import proc
from pl.errors import PlError

NAMES = ("pre-commit",)
_MARK = "# Installed by pl.bootstrap."
_TEXT = f"""#!/bin/sh
{_MARK} A branch without the script has nothing to check.
hook=$(git rev-parse --show-toplevel)/comm/git/{{name}}
[ ! -x "$hook" ] || exec "$hook" "$@"
"""


def install(checkout: Path) -> str:
    """Install the hooks and say what was done. A hook that somebody else installed stays."""
    try:
        printed = proc.run(["git", "rev-parse", "--git-path", "hooks"], cwd=checkout, check=False)
    except PlError:
        return "git is not installed: no hooks"
    if printed.status != 0:
        return "not a git checkout: no hooks"
    folder = checkout / printed.stdout.strip()
    return "; ".join(f"{name} {_install(folder / name)}" for name in NAMES)


def _install(file: Path) -> str:
    wanted = _TEXT.format(name=file.name)
    found = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    if found and _MARK not in found:
        return f"is another one ({file}) and stays; to add ours to it: comm/git/{file.name}"
    if found == wanted:
        return "is installed"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(wanted, encoding="utf-8")
    file.chmod(0o755)
    return "was installed"

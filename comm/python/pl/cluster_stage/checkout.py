"""Whether a checkout is what its commit says: what is deployed from any other cannot be found again."""

from __future__ import annotations

from pl import proc
from pl.cluster_env import ClusterEnv, ExistingEnv
from pl.errors import Declined


def must_be_clean(env: ClusterEnv) -> None:
    """Raises Declined where the stage wants a clean checkout and has none."""
    found = _uncommitted(env)
    if found:
        raise Declined(_what(env), why=found, hint="commit or stash them")


def obstacle(env: ClusterEnv) -> str:
    """The same as a text, for who only looks; empty where there is nothing in the way."""
    found = _uncommitted(env)
    return f"{_what(env)}:\n{found}" if found else ""


def _what(env: ClusterEnv) -> str:
    return f"{env.stage} is deployed from a clean checkout only, and this one has changes"


def _uncommitted(env: ClusterEnv) -> str:
    """What git calls changed or untracked, a line for each file. Raises CommandFailed where git does not say."""
    if not (isinstance(env, ExistingEnv) and env.needs_clean_git):
        return ""
    return proc.run(["git", "status", "--porcelain"], cwd=env.checkout).stdout.rstrip()

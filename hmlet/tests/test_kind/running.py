"""A pod's first container, as Docker can run it: same image, command, user and variables, read only too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pl import proc

from hmlet.tests.test_kind.rendering import Tree


@contextlib.contextmanager
def running(pod: Tree, port: int, *, folders: Mapping[str, Path], written: Sequence[str]) -> Iterator[str]:
    """Where its port is on the loopback. ``folders`` are mounted at their paths, and ``written`` are empty at first."""
    container = pod["spec"]["containers"][0]
    user = pod["spec"]["securityContext"]["runAsUser"]
    variables = [f"--env={each['name']}={each['value']}" for each in container.get("env", ())]
    mounts = [f"--volume={folder}:{path}:ro" for path, folder in folders.items()]
    entrypoint, *arguments = container["command"]
    started = proc.run(
        [
            *("docker", "run", "--detach", "--rm", "--pull", "never", "--publish", f"127.0.0.1::{port}"),
            *("--read-only", "--cap-drop", "ALL", "--user", str(user)),
            *(f"--tmpfs={path}:uid={user}" for path in written),
            *(*mounts, *variables, "--entrypoint", entrypoint, container["image"], *arguments),
        ]
    )
    name = started.stdout.strip()
    try:
        yield proc.run(["docker", "port", name, f"{port}/tcp"]).stdout.split()[0]
    finally:
        proc.run(["docker", "rm", "--force", "--volumes", name])

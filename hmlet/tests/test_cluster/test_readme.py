"""What the README has its reader type in a cluster works as it stands there, in this stage instead of ``local``."""

from __future__ import annotations

import re
import subprocess

from hmlet.tests.test_cluster.place import COMMAND_TIMEOUT_S, Place, environment

BLOCK = re.compile(r"^\.\. code-block:: sh\n\n((?:    .*\n|\n)+)", re.MULTILINE)


def test_every_command_for_a_cluster_works_in_its_order(place: Place) -> None:
    readme = (place.checkout / "README.rst").read_text(encoding="utf-8")
    lines = [line.strip() for block in BLOCK.findall(readme) for line in block.splitlines() if line.strip()]
    for line in lines:
        typed = line.replace("shell.py local ", f"shell.py {place.env.stage} ")
        assert typed != line
        done = subprocess.run(
            ["bash", "-c", typed],
            cwd=place.checkout,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{typed}: {done.stdout}{done.stderr}"
    # The parser above must not fall silent when the README's form changes.
    assert len(lines) >= 8, lines

"""The host stage's private directory, beside what every stage keeps in its own (``pl.stage_state``).

::

    data/              what must not be lost: the servers' files
    run/               socket, process id and what each program was started with; made again at will
    log/               one file a program
    tasks.json         fingerprints of the tasks that were done
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import ClassVar

from pl.errors import StateInvalid
from pl.files import write_whole
from pl.stage_state import StateDirectory

STAGE_TAG = "PLASMA_HOST_STAGE"
"""The variable in every process of a stage whose value is the state's path: what strays are found by."""

_SOCKET_PATH_LIMIT = 100  # of 107 bytes: supervisor adds a number while it binds


class StageState(StateDirectory):
    """The directory of one host stage of one instance."""

    parts: ClassVar[tuple[str, ...]] = ("data", "run", "log")
    files: ClassVar[tuple[str, ...]] = ("tasks.json",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = folder / "data"
        self.run = folder / "run"
        self.log = folder / "log"

    @property
    def tag(self) -> dict[str, str]:
        """The variable for every process that belongs to the stage and must not outlive it."""
        return {STAGE_TAG: str(self.folder)}

    def create(self) -> None:
        """Make what is missing, private to the user. Raises StateInvalid."""
        self.check()
        self.check_length()
        super().create()

    def check_length(self) -> None:
        """Refuse a path that no socket fits below. Raises StateInvalid."""
        socket_path = len(os.fsencode(self.run / "supervisor.sock"))
        if socket_path > _SOCKET_PATH_LIMIT:
            raise StateInvalid(
                f"{self.folder} is too long a path: a socket in it would have {socket_path} bytes of at most "
                f"{_SOCKET_PATH_LIMIT}",
                hint="set XDG_STATE_HOME to a shorter directory",
            )

    def done_tasks(self) -> dict[str, str]:
        """Fingerprints by task. A damaged file means that every task is done again, which each of them allows."""
        try:
            return dict(json.loads((self.folder / "tasks.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return {}

    def remember_tasks(self, fingerprints: dict[str, str]) -> None:
        write_whole(self.folder / "tasks.json", json.dumps(fingerprints, indent=1))

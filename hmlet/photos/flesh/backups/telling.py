"""Lines of JSON on standard error, for whoever started a command: how far it is, and what came of it."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

EVERY_S = 0.5


def progress_teller() -> Callable[[int, int], None]:
    """Tells bytes that are done, and of all, but not too often."""
    last = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY_S or done == total:
            last = now
            tell_line({"done": done, "total": total})

    return tell


def tell_line(what: dict[str, Any]) -> None:
    """One line."""
    sys.stderr.write(json.dumps(what) + "\n")
    sys.stderr.flush()

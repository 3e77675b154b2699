"""What the frontend adds to its stage's environment."""

import functools
from pathlib import Path
from typing import ClassVar

from hmlet.env_comm import HmletEnv


class FrontendEnv(HmletEnv):
    """The shell of the pages and the edge."""

    prefix: ClassVar[str] = "FR"
    code = "fr"

    @functools.cached_property
    def flesh(self) -> Path:
        """What goes into the image."""
        return self.root / self.app / "flesh"

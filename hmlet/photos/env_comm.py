"""What the photos app adds to its stage's environment."""

import functools
from pathlib import Path
from typing import ClassVar

from hmlet.env_comm import HmletEnv


class PhotosEnv(HmletEnv):
    """The shell of the Django app."""

    prefix: ClassVar[str] = "PS"
    code = "ps"

    @functools.cached_property
    def flesh(self) -> Path:
        """What goes into the image: the folder of manage.py."""
        return self.root / self.app / "flesh"

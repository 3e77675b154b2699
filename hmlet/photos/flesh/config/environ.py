"""Typed readers of environment variables, each of which may be given as ``X_FILE``, a file that holds the value.

Mistakes are collected, so that whoever sets a stage up hears of all of them at once.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit


class Environ:
    """Reads variables and remembers what was wrong; ``check`` ends the process when anything was.

    A reader that failed returns a stand-in (an empty text, zero), so that reading can go on to the next mistake.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.mistakes: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """The value of ``name``, else of the file that ``name_FILE`` points at, else ``default``."""
        value = self._read(name)
        if value is not None:
            return value
        if default is None:
            self.mistakes.append(f"{name} is not set: give it, or {name}_FILE, the path of a file that holds it")
            return ""
        return default

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number, written in decimal."""
        value = self.text(name, None if default is None else str(default))
        try:
            return int(value)
        except ValueError:
            if value:
                self.mistakes.append(f"{name} is not a whole number: {value!r}")
            return 0

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of the choices."""
        value = self.text(name, default)
        if value in choices:
            return value
        self.mistakes.append(f"{name} is none of {', '.join(choices)}: {value!r}")
        return default

    def file(self, name: str) -> str | None:
        """The path of a file that is there and can be read; None where the variable is not set."""
        path = self._variables.get(name)
        if not path:
            return None
        try:
            with Path(path).open("rb"):
                return path
        except OSError as error:
            self.mistakes.append(f"{name} cannot be read: {error}")
            return None

    def url(self, name: str, default: str | None = None) -> str:
        """An http or https address, without a slash at its end."""
        value = self.text(name, default).rstrip("/")
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
            self.mistakes.append(f"{name} is not an http or https address: {value!r}")
            return ""
        return value

    def check(self) -> None:
        """Raise SystemExit that names every mistake, if there was one."""
        if self.mistakes:
            raise SystemExit("The environment is incomplete:\n" + "\n".join(f"  {line}" for line in self.mistakes))

    def _read(self, name: str) -> str | None:
        value = self._variables.get(name)
        if value:
            return value
        path = self._variables.get(f"{name}_FILE")
        if not path:
            return None
        try:
            value = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            self.mistakes.append(f"{name}_FILE cannot be read: {error}")
            return ""
        if not value:
            self.mistakes.append(f"{name}_FILE is empty: {path}")
        return value

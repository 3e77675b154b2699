"""Download a file, going on where an earlier download was cut. requests is imported when something is fetched."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pl.errors import FetchFailed, Interrupted, NoSpace
from pl.steps import Progress
from pl.tools import registry
from pl.tools.sources import shown

if TYPE_CHECKING:
    import requests

_CHUNK = 256 * 1024
_MOST_REDIRECTS = 10
_LARGEST_TEXT = 4 * 1024**2
_REMEDY = "check the network and its proxy, or name a mirror (PL_MIRROR), then call the same command again"

Report = Callable[[int, int], None]
"""Is told how many bytes are there, and of how many; 0 where the server does not say."""


class Transfers(Progress, Protocol):
    """Who is told how steps and their downloads get on. Called from several threads."""

    def fetched(self, name: str, done: int, total: int) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Fetcher:
    """How downloads are made. ``interrupted`` ends them between two pieces."""

    connect_timeout_s: float = 10
    read_timeout_s: float = 30
    attempts: int = 5
    pause_s: float = 1
    interrupted: threading.Event = field(default_factory=threading.Event)

    def text(self, place: str | Path) -> str:
        """A small file. Raises FetchFailed."""
        if isinstance(place, Path):
            with _reading(place):
                return place.read_text(encoding="utf-8", errors="replace")
        with self._answer(place, 0) as response:
            _refuse_status(place, response)
            found = b""
            for chunk in self._chunks(place, response):
                found += chunk
                if len(found) > _LARGEST_TEXT:
                    raise FetchFailed(f"{shown(place)} is no small text", hint="check its address in tools.toml")
        return found.decode(errors="replace")

    def file(self, place: str | Path, part: Path, report: Report) -> bool:
        """Bring a file to ``part``, after what is there of it already; return whether there was something.

        Raises FetchFailed, NoSpace and Interrupted; what came is then in ``part``.
        """
        if isinstance(place, Path):
            self._copy(place, part, report)
            return False
        resumed = _size(part) > 0
        for left in reversed(range(self.attempts)):
            try:
                self._go_on(place, part, report)
            except FetchFailed as error:
                if not error.passing or not left:
                    raise
                resumed = resumed or _size(part) > 0
            else:
                return resumed
            if self.interrupted.wait(self.pause_s):
                break
        raise Interrupted("interrupted")

    def _go_on(self, url: str, part: Path, report: Report) -> None:
        """One request. Raises FetchFailed, which is passing when another one may bring the rest."""
        there = _size(part)
        with self._answer(url, there) as response:
            if there and response.status_code == 416:
                if _total(response, there) == there:
                    return
                part.unlink()
                raise FetchFailed(f"{shown(url)} has changed meanwhile", hint=_REMEDY, passing=True)
            _refuse_status(url, response)
            if there and _begins_at(response) != there:
                there = 0  # no ranges here: all of it comes again
            total = _total(response, there)
            self._write(self._chunks(url, response), part, there, lambda done: report(done, total))
        if total and _size(part) < total:
            raise _cut(url, f"{_size(part)} of {total} bytes came")

    def _copy(self, file: Path, part: Path, report: Report) -> None:
        with _reading(file):
            total = file.stat().st_size
            source = file.open("rb")
        with source:
            self._write(_pieces(source.read, file), part, 0, lambda done: report(done, total))

    def _write(self, chunks: Iterator[bytes], part: Path, offset: int, report: Callable[[int], None]) -> None:
        with enough_space(part.parent), part.open("r+b" if part.exists() else "wb", buffering=0) as target:
            target.truncate(offset)
            target.seek(offset)
            for chunk in chunks:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[target.write(rest) :]
                offset += len(chunk)
                report(offset)
                if self.interrupted.is_set():
                    raise Interrupted("interrupted")

    @contextlib.contextmanager
    def _answer(self, url: str, offset: int) -> Iterator[requests.Response]:
        import requests

        # As it is: a compressed answer would have another length, and ranges of something else.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
        timeouts = (self.connect_timeout_s, self.read_timeout_s)
        goes_to = url
        for _ in range(_MOST_REDIRECTS):
            try:
                response = requests.get(goes_to, headers=headers, stream=True, timeout=timeouts, allow_redirects=False)
            except requests.ReadTimeout:
                raise _timed_out(url, self.read_timeout_s) from None
            except (requests.RequestException, ValueError) as error:
                raise FetchFailed(f"{shown(url)} cannot be reached", why=_reason(error), hint=_REMEDY) from None
            with response:
                goes_to = (response.next and response.next.url) or ""
                if not goes_to:
                    yield response
                    return
                _refuse_open_wire(url, goes_to)
        raise FetchFailed(f"{shown(url)} leads in a circle", hint="check its address in tools.toml")

    def _chunks(self, url: str, response: requests.Response) -> Iterator[bytes]:
        import urllib3

        try:
            while chunk := response.raw.read(_CHUNK, decode_content=False):
                yield chunk
        except urllib3.exceptions.ReadTimeoutError:
            raise _timed_out(url, self.read_timeout_s) from None
        except (urllib3.exceptions.HTTPError, ConnectionError) as error:
            raise _cut(url, _reason(error)) from None


@contextlib.contextmanager
def enough_space(folder: Path) -> Iterator[None]:
    """What fails in here because the disk is full, or the folder cannot be written to, says so."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(str(folder)) from None
        raise FetchFailed(
            f"nothing can be written below {folder}", why=str(error), hint="make .deps writable for you"
        ) from None


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FetchFailed(
            f"{file} cannot be read", why=error.strerror or str(error), hint="check what PL_MIRROR names"
        ) from None


def _pieces(read: Callable[[int], bytes], file: Path) -> Iterator[bytes]:
    while True:
        with _reading(file):
            piece = read(_CHUNK)
        if not piece:
            return
        yield piece


def _refuse_open_wire(url: str, goes_to: str) -> None:
    """Vendors redirect to where they keep their files. What began on https stays on it."""
    if not registry.is_allowed(goes_to) or (url.startswith("https:") and not goes_to.startswith("https:")):
        raise FetchFailed(
            f"{shown(url)} leads to {shown(goes_to)}, from where nothing may be fetched",
            hint="the address in tools.toml, or a proxy in between, is wrong",
        )


def _refuse_status(url: str, response: requests.Response) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    passing = status == 429 or status >= 500
    hint = _REMEDY if passing else "is that version published for this platform? check its address in tools.toml"
    raise FetchFailed(f"{shown(url)} answered {status} {response.reason}", hint=hint, passing=passing)


def _begins_at(response: requests.Response) -> int:
    """Where in the file the answer begins: ``Content-Range: bytes 100-199/200``, or at its start."""
    first = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if response.status_code == 206 and first.isdecimal() else 0


def _total(response: requests.Response, offset: int) -> int:
    """The size of the whole file, or 0 where the server does not say."""
    whole = response.headers.get("Content-Range", "").rpartition("/")[2]
    if whole.isdecimal():
        return int(whole)
    rest = response.headers.get("Content-Length", "")
    return offset + int(rest) if rest.isdecimal() else 0


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _cut(url: str, why: str) -> FetchFailed:
    return FetchFailed(
        f"the download of {shown(url)} was cut", why=why, hint=f"{_REMEDY}: it goes on where it stopped", passing=True
    )


def _timed_out(url: str, timeout_s: float) -> FetchFailed:
    return FetchFailed(f"{shown(url)} sent nothing for {timeout_s:g} s", hint=_REMEDY, passing=True)


def _reason(error: BaseException) -> str:
    """The innermost words: what wraps them repeats the address, with whatever it holds."""
    while True:
        inner = getattr(error, "reason", None) or next(
            (arg for arg in error.args if isinstance(arg, BaseException)), None
        )
        if not isinstance(inner, BaseException):
            return str(error).rpartition(": ")[2]
        error = inner

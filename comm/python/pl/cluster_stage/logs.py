"""The logs of all pods as one stream: the past in the order of its times, then what comes, as it comes.

A log is followed by a thread for each container. Every second all pods are listed: what is new is picked up, and a
container that was started again, or whose stream broke, is gone on with after the last line that was read of it.
"""

from __future__ import annotations

import contextlib
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pl.cluster.api import Api, Object, Stream
from pl.cluster.platform import ClusterPlatform
from pl.cluster_stage import pods
from pl.errors import ApiRefused, ClusterAway, PlError, WatchLost
from pl.stage import LogLine

_LIST_EVERY_S = 1.0
_AWAY_FOR_S = 60.0
_READ_AHEAD = 10_000  # lines; a terminal may be slower than the pods
_LOOK_UP_EVERY_S = 0.5
_AT_ONCE = 8
_NOTHING_YET = (400, 404)  # no container was started, or the pod is gone again

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")

Moment = tuple[int, int]
"""Seconds since the epoch, and nanoseconds."""
_NEVER: Moment = (0, 0)
_LAST: Moment = (2**63, 0)


def merged(
    api: Api, platform: ClusterPlatform, names: Sequence[str] = (), *, lines: int, follow: bool
) -> Iterator[LogLine]:
    """The last ``lines`` of every container of the named pods (of all), then with ``follow`` what they write, for ever.

    Names are those of components, releases, apps and pods. Raises UsageError for another one, ClusterAway when the
    cluster stays away for a minute.
    """
    listed = pods.list_pods(api, platform.namespace)
    chosen = pods.named(listed, platform, names)
    return _Merging(api, platform, names, lines=lines).run(chosen, follow=follow)


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container of a pod. ``current`` and ``before`` identify what runs (or ran last) and what ran before that."""

    pod_uid: str
    pod: str
    name: str
    source: str
    current: str
    before: str
    runs: bool

    @property
    def key(self) -> tuple[str, str]:
        return (self.pod_uid, self.name)


def containers(listed: Sequence[Object]) -> list[Container]:
    """Those that have something in their logs. Where a pod has several, the source says which."""
    found = []
    for pod in listed:
        several = len(pod["spec"]["containers"]) + len(pod["spec"].get("initContainers") or ()) > 1
        for said in pods.container_statuses(pod):
            current = str(said.get("containerID") or "")
            if current:
                short = pods.short_name(pod)
                found.append(
                    Container(
                        pod_uid=str(pod["metadata"]["uid"]),
                        pod=str(pod["metadata"]["name"]),
                        name=str(said["name"]),
                        source=f"{short}/{said['name']}" if several else short,
                        current=current,
                        before=_ended_before(said, current),
                        runs="running" in said["state"],
                    )
                )
    return found


class Place:
    """How far a log was read: the time of the last line, and how many lines there were of that time."""

    def __init__(self) -> None:
        self.since = ""
        self._last = _NEVER
        self._count = 0
        self._to_skip = 0
        self._catching_up = False

    def resume(self) -> str:
        """Begin to read again, from the second of the last line on. Returns that time, empty for all there is."""
        self._catching_up = bool(self.since)
        self._to_skip = self._count
        return self.since

    def is_new(self, stamp: str) -> bool:
        """Whether a line with this timestamp was not read before; then it counts as read."""
        moment = moment_of(stamp)
        if self._catching_up:
            if moment < self._last:
                return False
            if moment == self._last and self._to_skip:
                self._to_skip -= 1
                return False
            self._catching_up = False
        self._count = self._count + 1 if moment == self._last else 1
        self.since, self._last = stamp, moment
        return True


def stamped(written: bytes) -> tuple[str, str]:
    """The timestamp of a line and its text. What the cluster itself says in a log has no timestamp."""
    text = written.decode(errors="replace")
    stamp, _, rest = text.partition(" ")
    return (stamp, rest) if _STAMP.fullmatch(stamp) else ("", text)


def moment_of(stamp: str) -> Moment:
    """``2026-11-21T14:55:09.123Z`` as something to compare. Its fraction has no fixed length."""
    found = _STAMP.fullmatch(stamp)
    if found is None:
        raise ValueError(f"no timestamp: {stamp}")
    seconds, fraction, zone = found.groups()
    return (int(datetime.fromisoformat(seconds + zone).timestamp()), int((fraction or "0").ljust(9, "0")))


class _Merging:
    """One call of ``merged``."""

    def __init__(self, api: Api, platform: ClusterPlatform, names: Sequence[str], *, lines: int) -> None:
        self._api = api
        self._platform = platform
        self._names = names
        self._lines = lines
        self._coming: queue.Queue[LogLine | PlError] = queue.Queue(maxsize=_READ_AHEAD)
        self._over = threading.Event()
        self._readers: dict[tuple[str, str], _Reader] = {}

    def run(self, chosen: Sequence[Object], *, follow: bool) -> Iterator[LogLine]:
        found = containers(chosen)
        for container in found:
            self._readers[container.key] = _Reader(self._api, self._platform.namespace, container, self._put)
        yield from self._past(found)
        if not follow:
            return
        try:
            threading.Thread(target=self._look_after, daemon=True).start()
            while True:
                # Not for ever: a Ctrl-C that comes just before the wait begins is noticed only when it ends.
                with contextlib.suppress(queue.Empty):
                    came = self._coming.get(timeout=_LOOK_UP_EVERY_S)
                    if isinstance(came, PlError):
                        raise came
                    yield came
        finally:
            self._over.set()
            for reader in list(self._readers.values()):
                reader.stop()

    def _past(self, found: Sequence[Container]) -> list[LogLine]:
        """What was written, each container's last lines, in the order of their times."""
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            read = pool.map(lambda container: self._readers[container.key].last(self._lines), found)
            timed = [pair for pairs in read for pair in pairs]
        # Lines of one container stay in their order: the sort keeps that of equals.
        return [line for _, line in sorted(timed, key=lambda pair: pair[0])]

    def _look_after(self) -> None:
        """Have a reader for every container that has something to be read, until it is over."""
        away_since = None
        while not self._over.is_set():
            try:
                listed = pods.list_pods(self._api, self._platform.namespace)
                chosen = self._chosen(listed)
            except PlError as error:
                away_since = away_since or time.monotonic()
                if not isinstance(error, ClusterAway) or time.monotonic() - away_since > _AWAY_FOR_S:
                    self._put(error)
                    return
            else:
                away_since = None
                self._see(containers(chosen))
            self._over.wait(_LIST_EVERY_S)
        self._api.close()

    def _chosen(self, listed: Sequence[Object]) -> list[Object]:
        """What the names mean now. One whose pods are all gone for the moment is no mistake any more."""
        known = [name for name in self._names if pods.is_name(listed, self._platform, name)]
        return pods.named(listed, self._platform, known) if known or not self._names else []

    def _see(self, found: Sequence[Container]) -> None:
        for container in found:
            if container.key not in self._readers:
                self._readers[container.key] = _Reader(self._api, self._platform.namespace, container, self._put)
            self._readers[container.key].see(container)
        keys = {container.key for container in found}
        for key, reader in list(self._readers.items()):
            if key not in keys and not reader.is_reading():
                del self._readers[key]

    def _put(self, came: LogLine | PlError) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Full):
                self._coming.put(came, timeout=_LOOK_UP_EVERY_S)
                return


class _Reader:
    """The log of one container of one pod, over all its restarts."""

    def __init__(self, api: Api, namespace: str, container: Container, put: Callable[[LogLine], None]) -> None:
        self._api = api
        self._namespace = namespace
        self._container = container
        self._put = put
        self._place = Place()
        self._told: set[str] = set()
        self._finished = ""
        self._begun = ""
        self._thread: threading.Thread | None = None
        self._stream: Stream[bytes] | None = None
        self._stopped = False

    def last(self, lines: int) -> list[tuple[Moment, LogLine]]:
        """The last lines, with their times. What comes after them is what will be followed."""
        kept: list[tuple[Moment, LogLine]] = []
        try:
            # One at least: whoever wants none still wants to go on where the log ends now.
            with self._opened(tail_lines=max(lines, 1)) as stream:
                for stamp, text in map(stamped, stream):
                    if not stamp or self._place.is_new(stamp):
                        kept.append((moment_of(stamp) if stamp else _LAST, self._said(text)))
        except (ApiRefused, WatchLost) as error:
            if not (isinstance(error, ApiRefused) and error.status in _NOTHING_YET):
                kept.append((_LAST, self._said(f"the log cannot be read: {error}")))
        self._begun = self._container.current
        if not self._container.runs:
            self._finished = self._container.current
        return kept[-lines:] if lines else []

    def see(self, container: Container) -> None:
        """Called for each listing: read on if there is something that was not read."""
        if self.is_reading() or self._stopped or not (container.runs or container.current != self._finished):
            return
        self._container = container
        self._thread = threading.Thread(target=self._follow, args=(container,), daemon=True)
        self._thread.start()

    def is_reading(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        self._stopped = True
        if self._stream is not None:
            self._stream.close()

    def _follow(self, container: Container) -> None:
        """Until the container ends or the connection breaks; the next listing tells which."""
        try:
            if container.before and container.before != self._finished and self._begun != container.current:
                self._read(previous=True)
            self._begun = container.current
            self._read(follow=True)
            self._finished = container.current
        except (WatchLost, ClusterAway):
            pass  # gone on with at the next listing
        except ApiRefused as error:
            if error.status not in _NOTHING_YET:
                self._put(self._said(f"the log cannot be read: {error}"))
                self._finished = container.current

    def _read(self, *, previous: bool = False, follow: bool = False) -> None:
        with self._opened(previous=previous, follow=follow, since=self._place.resume()) as stream:
            for stamp, text in map(stamped, stream):
                if stamp and self._place.is_new(stamp):
                    self._put(self._said(text))
                elif not stamp and text not in self._told:
                    # A node's word on why it ends the stream: it says so as often as it is asked.
                    self._told.add(text)
                    self._put(self._said(text))

    @contextlib.contextmanager
    def _opened(self, **options: Any) -> Iterator[Stream[bytes]]:
        container = self._container
        with self._api.logs(self._namespace, container.pod, container.name, timestamps=True, **options) as stream:
            self._stream = stream
            if self._stopped:
                stream.close()
            yield stream

    def _said(self, text: str) -> LogLine:
        return LogLine(source=self._container.source, text=text)


def _ended_before(said: Mapping[str, Any], current: str) -> str:
    """The container before the current one. While one waits to be started again, both are the same."""
    before = str((said.get("lastState") or {}).get("terminated", {}).get("containerID") or "")
    return "" if before == current else before

"""A light client of the Kubernetes API: plain objects, over connections that are kept. Ready in a tenth of a second.

The official client takes eight times as long to import, which is more than a deploy without changes may take.
Paths are the server's own: ``api.path_of(("apps/v1", "Deployment"), namespace="hmlet", name="web")``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar, cast
from urllib.parse import quote, urlencode

from pl.cluster import kubeconfig
from pl.cluster.connections import ANSWER_TIMEOUT_S, Answer, Connection, Connections, Failures, Request
from pl.cluster.discovery import Discovery, Kind, path_of_version
from pl.cluster.kubeconfig import Access
from pl.digest import text_digest
from pl.errors import ApiRefused, ClusterAway, WatchLost

Object = dict[str, Any]
"""An object of the cluster, as its JSON says it."""
PatchKind = Literal["merge", "json", "strategic"]

DISCOVERED = "discovery.json"
"""Beside the kubeconfig: which kinds the cluster has."""

_PAGE = 500
_GONE = 410
_PART = 65_536
_PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
_SILENCE_AFTER_END_S = 10.0  # how much later than promised the server may end a watch

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Event:
    """What a watch saw. ``object`` is the object as it is now, or was last."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Object


class Stream(Iterator[T], Generic[T]):
    """What comes from the cluster as it happens. ``close`` may be called from any thread and ends it there."""

    def __init__(self, items: Iterator[T], cut: Callable[[], None]) -> None:
        self._items = items
        self._cut = cut

    def __iter__(self) -> Stream[T]:
        return self

    def __next__(self) -> T:
        return next(self._items)

    def close(self) -> None:
        self._cut()

    def __enter__(self) -> Stream[T]:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


class Api:
    """The API of one cluster. Any number of threads may use it.

    Everything raises ClusterAway when the server cannot be reached, ClusterLoginFailed when there is no credential, and
    ApiRefused for every answer that is a refusal and is not named otherwise.
    """

    def __init__(self, access: Access) -> None:
        self.access = access
        self._connections = Connections(access)
        self._discovery = Discovery(
            access.file.with_name(DISCOVERED), mark=text_digest(access.server, access.ca), ask=self._kinds
        )

    @classmethod
    def of(cls, file: Path) -> Api:
        """By the current context of a kubeconfig. Raises KubeconfigInvalid."""
        return cls(kubeconfig.read(file))

    # -- objects

    def get(self, path: str) -> Object | None:
        """None where there is no such object."""
        answer = self._connections.send(Request(method="GET", target=path))
        return None if answer.status == 404 else self._object(f"get {path}", path, answer)

    def list(self, path: str, *, labels: str = "", fields: str = "", limit: int = _PAGE) -> tuple[list[Object], str]:
        """All objects of a collection, and the resourceVersion to watch from.

        ``labels`` and ``fields`` are selectors; ``limit`` is how many one request asks for.
        """
        selected = {"labelSelector": labels, "fieldSelector": fields, "limit": str(limit)}
        found: list[Object] = []
        token = ""
        while True:
            target = _target(path, **selected, **{"continue": token})
            answer = self._connections.send(Request(method="GET", target=target))
            if answer.status == _GONE and token:
                # The pages took longer than the server keeps their state: all at once then.
                found, token = [], ""
                selected["limit"] = ""
                continue
            page = self._object(f"list {path}", path, answer)
            found += _with_kinds(page)
            metadata = page.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token:
                return found, str(metadata.get("resourceVersion") or "")

    def create(self, path: str, obj: Object, *, dry_run: bool = False) -> Object:
        """Add an object to the collection at ``path``. Raises ApiRefused, with status 409 where it is already there."""
        request = Request(
            method="POST", target=_target(path, dryRun=_all(dry_run)), body=_json(obj), repeatable=dry_run
        )
        return self._object(f"create {_named(obj)} in {path}", path, self._connections.send(request))

    def replace(self, path: str, obj: Object, *, dry_run: bool = False) -> Object:
        """Put an object in the place of the one at ``path``: 409 where it names a stale resourceVersion."""
        request = Request(method="PUT", target=_target(path, dryRun=_all(dry_run)), body=_json(obj))
        return self._object(f"replace {path}", path, self._connections.send(request))

    def apply(self, path: str, obj: Object, *, manager: str, force: bool = True, dry_run: bool = False) -> Object:
        """Server-side apply: have these fields at ``path``, owned by ``manager``; what it owned and leaves out goes.

        Returns the whole object as it is then (or would be). Without ``force``, a field that another manager owns
        and that would change is a refusal with status 409.
        """
        target = _target(path, fieldManager=manager, force="true" if force else "false", dryRun=_all(dry_run))
        request = Request(method="PATCH", target=target, body=_json(obj), content_type=_PATCH_TYPES["apply"])
        return self._object(f"apply {path}", path, self._connections.send(request))

    def patch(
        self, path: str, body: object, *, kind: PatchKind = "merge", manager: str = "", dry_run: bool = False
    ) -> Object:
        """Change an object by a patch. ``manager`` is who owns the fields then; the server names one otherwise."""
        request = Request(
            method="PATCH",
            target=_target(path, fieldManager=manager, dryRun=_all(dry_run)),
            body=_json(body),
            content_type=_PATCH_TYPES[kind],
            repeatable=kind != "json",
        )
        return self._object(f"patch {path}", path, self._connections.send(request))

    def delete(
        self,
        path: str,
        *,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        uid: str = "",
        dry_run: bool = False,
    ) -> bool:
        """Delete an object. Returns whether it was there. With ``uid``, only that very one: 409 if it is another."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        request = Request(method="DELETE", target=_target(path, dryRun=_all(dry_run)), body=_json(options))
        answer = self._connections.send(request)
        if answer.status == 404:
            return answer.repeated  # then it was this request that deleted it
        self._object(f"delete {path}", path, answer)
        return True

    # -- what happens

    def watch(
        self, path: str, *, resource_version: str = "", labels: str = "", fields: str = "", timeout_s: float = 300.0
    ) -> Stream[Event]:
        """Changes in a collection after ``resource_version``, for ``timeout_s`` at most; then the stream just ends.

        Without ``resource_version``, what is there comes first, each as ADDED. The stream raises WatchLost when the
        server has forgotten that version, or the connection broke: list again, and watch from there.
        """
        target = _target(
            path,
            watch="true",
            resourceVersion=resource_version,
            labelSelector=labels,
            fieldSelector=fields,
            timeoutSeconds=str(max(1, round(timeout_s))),
        )
        # A version that is too old is a refusal at once, or an event.
        try:
            lines = self._stream(f"watch {path}", target, silence_s=timeout_s + _SILENCE_AFTER_END_S)
        except ApiRefused as error:
            if error.status == _GONE:
                raise _forgotten(path) from None
            raise
        return Stream(self._events(path, lines), lines.close)

    def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        previous: bool = False,
        tail_lines: int | None = None,
        since: str = "",
        follow: bool = False,
        timestamps: bool = False,
    ) -> Stream[bytes]:
        """A container's log, line by line without the line's end; with ``follow``, until it ends.

        ``previous`` is that of the container before its last restart: status 400 where there was none. ``since`` is a
        time as in the log's timestamps; the cluster forgets its fraction of a second. The stream raises WatchLost
        where the connection broke.
        """
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/log"
        target = _target(
            path,
            container=container,
            previous="true" if previous else "",
            tailLines="" if tail_lines is None else str(tail_lines),
            sinceTime=since,
            follow="true" if follow else "",
            timestamps="true" if timestamps else "",
        )
        return self._stream(
            f"read the log of {namespace}/{pod} ({container})",
            target,
            silence_s=None if follow else ANSWER_TIMEOUT_S,
            accept="*/*",
        )

    # -- where objects are

    def path_of(self, what: Object | tuple[str, str], *, namespace: str = "", name: str = "") -> str:
        """The path of an object, or with an (apiVersion, kind) and no name that of its collection.

        An object's own namespace and name count, ``namespace`` is for one that names none. Where the kind has no
        namespaces, none is in the path; the collection of all namespaces is without one. Raises ApiRefused, with status
        404, for a kind that the cluster does not know.
        """
        if isinstance(what, tuple):
            api_version, kind_name = what
        else:
            metadata = what.get("metadata") or {}
            api_version, kind_name = str(what["apiVersion"]), str(what["kind"])
            namespace, name = str(metadata.get("namespace") or namespace), str(name or metadata["name"])
        kind = self.kind_of(api_version, kind_name)
        if kind.namespaced and name and not namespace:
            raise ValueError(f"{kind_name} {name} needs a namespace")
        parts = [path_of_version(api_version)]
        if kind.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(kind.plural)
        if name:
            parts.append(quote(name, safe=""))
        return "/".join(parts)

    def kind_of(self, api_version: str, kind: str) -> Kind:
        """How a kind stands in paths. Raises ApiRefused, with status 404, for one that the cluster does not know."""
        found = self._discovery.kind(api_version, kind)
        if found is None:
            raise ApiRefused(
                f"find {kind} of {api_version}",
                status=404,
                reason="NotFound",
                message=f"the cluster knows no kind {kind} in {api_version}",
                context=self.access.context,
            )
        return found

    def close(self) -> None:
        """Close this thread's connection; the next request opens another."""
        self._connections.close()

    # -- parts

    def _kinds(self, api_version: str) -> Mapping[str, Kind] | None:
        found = self.get(path_of_version(api_version))
        if found is None:
            return None
        return {
            item["kind"]: Kind(plural=item["name"], namespaced=item["namespaced"])
            for item in found.get("resources") or ()
            if "/" not in item["name"]  # pods/log and the like
        }

    def _object(self, asked: str, path: str, answer: Answer) -> Object:
        try:
            content = json.loads(answer.body) if answer.body else {}
        except ValueError:
            content = {"message": answer.body.decode(errors="replace")[:500]}
            if answer.status < 300:
                raise ClusterAway(
                    self.access.server, why=f"what answered there is no Kubernetes API ({asked})"
                ) from None
        if answer.status < 300:
            return cast(Object, content)
        raise self._refusal(asked, path, answer.status, content)

    def _refusal(self, asked: str, path: str, status: int, content: object) -> ApiRefused:
        said = content if isinstance(content, dict) else {}
        message = str(said.get("message") or "")
        if "/secrets" in path and status in (400, 422):
            message = "its message may quote the Secret, so it is not shown"
        return ApiRefused(
            asked,
            status=status,
            reason=str(said.get("reason") or ""),
            message=message,
            context=self.access.context,
        )

    def _stream(
        self, asked: str, target: str, *, silence_s: float | None, accept: str = "application/json"
    ) -> Stream[bytes]:
        connection, response = self._connections.open(
            Request(method="GET", target=target, accept=accept), timeout_s=silence_s
        )
        if response.status >= 300:
            try:
                body = response.read()
            except Failures as error:
                raise self._connections.away(error) from None
            finally:
                connection.close()
            self._object(asked, target, Answer(status=response.status, body=body))
        return _Lines.of(asked, connection, response)

    def _events(self, path: str, lines: Iterator[bytes]) -> Iterator[Event]:
        for line in lines:
            try:
                seen = json.loads(line)
            except ValueError:
                raise WatchLost(f"watch {path}: broke off within an event") from None
            obj = seen["object"]
            if seen["type"] == "ERROR":
                if obj.get("code") == _GONE:
                    raise _forgotten(path)
                raise self._refusal(f"watch {path}", path, int(obj.get("code") or 500), obj)
            if seen["type"] != "BOOKMARK":
                yield Event(type=seen["type"], object=obj)


class _Lines:
    """Reads a response by lines until its end, or until somebody closes the stream."""

    def __init__(self, asked: str, connection: Connection, response: Any) -> None:
        self._asked = asked
        self._connection = connection
        self._response = response
        self._closed = False

    @classmethod
    def of(cls, asked: str, connection: Connection, response: Any) -> Stream[bytes]:
        lines = cls(asked, connection, response)
        return Stream(lines._read(), lines._close)

    def _read(self) -> Iterator[bytes]:
        rest = b""
        try:
            while part := self._part():
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    if self._closed:
                        return
                    yield line.rstrip(b"\r")
            if rest and not self._closed:
                yield rest
        finally:
            self._response.close()
            self._connection.close()

    def _part(self) -> bytes:
        """What came next; nothing at the end. Raises WatchLost where the end came too early.

        Not ``readline``: that takes a cut between two chunks for the end.
        """
        try:
            part: bytes = self._response.read1(_PART)
        except (*Failures, ValueError, AttributeError) as error:  # the latter two: closed while it is read
            if self._closed:
                return b""
            raise WatchLost(f"{self._asked}: the connection broke", why=str(error)) from None
        if not part and self._response.length and not self._closed:
            raise WatchLost(f"{self._asked}: the connection broke before the end")
        return part

    def _close(self) -> None:
        self._closed = True
        self._connection.cut()


def _target(path: str, **query: str) -> str:
    asked = urlencode({key: value for key, value in query.items() if value})
    return f"{path}?{asked}" if asked else path


def _all(dry_run: bool) -> str:
    return "All" if dry_run else ""


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _with_kinds(page: Object) -> list[Object]:
    """The items of a list, each saying what it is: the server says so once, for all of them."""
    items: list[Object] = page.get("items") or []
    of_items = {
        "apiVersion": str(page.get("apiVersion") or ""),
        "kind": str(page.get("kind") or "").removesuffix("List"),
    }
    return [{**of_items, **item} for item in items]


def _named(obj: Object) -> str:
    metadata = obj.get("metadata") or {}
    return f"{obj.get('kind', 'object')} {metadata.get('name') or metadata.get('generateName') or ''}".strip()


def _forgotten(path: str) -> WatchLost:
    return WatchLost(f"watch {path}: the server has forgotten the version to go on from")

"""One deploy at a time, whoever runs it and wherever: a Lease in the namespace, held and renewed while it takes.

The stage's own lock keeps this machine's commands apart; the Lease, those of several machines. One that was not
renewed in time belongs to nobody: its holder is dead, or cut off.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from pl.cluster.api import Api, Object
from pl.errors import ApiRefused, ClusterAway, LockLost, StateBusy

NAME = "pl-deploy"
DURATION = timedelta(seconds=30)
WAIT_S = 900.0
_RENEW_EVERY_S = 8.0
_LOOK_EVERY_S = 1.0
_CONFLICT = 409
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


@contextlib.contextmanager
def held(
    api: Api, namespace: str, *, say: Callable[[str], None], wait_s: float = WAIT_S, holder: str = ""
) -> Iterator[Callable[[], bool]]:
    """Hold the namespace. Yields a question: is it still ours?

    Waits for another holder and says who that is. Raises StateBusy when it takes longer than ``wait_s``, and LockLost
    at the end where somebody else took it over meanwhile.
    """
    lease = _Lease(api, namespace, holder or _this_process())
    lease.acquire(say, wait_s)
    over = threading.Event()
    renewing = threading.Thread(target=lease.keep, args=(over,), name="lease", daemon=True)
    renewing.start()
    try:
        yield lambda: not lease.lost
    finally:
        over.set()
        renewing.join()
        lease.release()
    if lease.lost:
        raise LockLost(f"{namespace}/{NAME}", lease.taken_by)


class _Lease:
    def __init__(self, api: Api, namespace: str, holder: str) -> None:
        self._api = api
        self._holder = holder
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._path = f"{self._collection}/{NAME}"
        self.lost = False
        self.taken_by = ""

    def acquire(self, say: Callable[[str], None], wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        said = ""
        while not self._taken():
            holder = self._described()
            if holder and holder != said:
                say(f"waiting for {holder}, who deploys to this namespace")
                said = holder
            if time.monotonic() > deadline:
                raise StateBusy(f"{said or 'somebody'} still deploys to this namespace", hint="try again later")
            time.sleep(_LOOK_EVERY_S)

    def keep(self, over: threading.Event) -> None:
        """Renew until ``over``. A cluster that is away for a moment is asked again; one that gave it away, believed."""
        while not over.wait(_RENEW_EVERY_S):
            with contextlib.suppress(ClusterAway):
                if not self._renewed():
                    self.lost = True
                    return
        self._api.close()

    def release(self) -> None:
        """Leave it to nobody. Where that cannot be said, it runs out by itself."""
        if self.lost:
            return
        with contextlib.suppress(ApiRefused, ClusterAway):
            found = self._api.get(self._path)
            if found and found["spec"].get("holderIdentity") == self._holder:
                found["spec"] |= {"holderIdentity": "", "renewTime": None, "acquireTime": None}
                self._api.replace(self._path, found)

    def _taken(self) -> bool:
        now = datetime.now(UTC).strftime(_FORMAT)
        found = self._api.get(self._path)
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": int(DURATION.total_seconds()),
            "acquireTime": now,
            "renewTime": now,
        }
        try:
            if found is None:
                self._api.create(self._collection, _lease(spec))
            elif _is_free(found):
                self._api.replace(self._path, {**found, "spec": spec})
            else:
                return False
        except ApiRefused as error:
            if error.status == _CONFLICT:
                return False  # another was faster
            raise
        return True

    def _renewed(self) -> bool:
        found = self._api.get(self._path)
        holder = (found or {}).get("spec", {}).get("holderIdentity")
        if found is None or holder != self._holder:
            self.taken_by = str(holder or "nobody")
            return False
        found["spec"]["renewTime"] = datetime.now(UTC).strftime(_FORMAT)
        with contextlib.suppress(ApiRefused):  # a conflict: looked at again in a moment
            self._api.replace(self._path, found)
        return True

    def _described(self) -> str:
        spec = (self._api.get(self._path) or {}).get("spec", {})
        holder = spec.get("holderIdentity")
        return f"{holder} (since {spec.get('acquireTime', '?')[:19]} UTC)" if holder else ""


def _lease(spec: Object) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NAME},
        "spec": spec,
    }


def _is_free(found: Object) -> bool:
    spec = found.get("spec") or {}
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return True
    renewed = datetime.strptime(spec["renewTime"], _FORMAT).replace(tzinfo=UTC)
    return datetime.now(UTC) > renewed + timedelta(seconds=int(spec.get("leaseDurationSeconds") or 0))


def _this_process() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()} (process {os.getpid()})"

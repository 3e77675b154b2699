#!/usr/bin/env python3
"""What the whole platform does of what its imaging code alone could, while 8 clients upload 200 photos of 2 to 12 MP.

    hmlet/shell.py host -- python bench/throughput.py [PHOTOS]

First the imaging code by itself, in as many processes as there are processors: all renditions of each picture, from one
decode. Then clients that are processes of this same machine post the same pictures; a ninth reads the list of
photos every 50 ms, as it did before on the idle stage. At last four clients post a file as large as is allowed.

Three bounds: renditions are made at 0.7 of the rate of the imaging code alone or faster; the list's slow answers (p99)
are under 5 times those of the idle stage; web stays under 200 MB (proportional set size of all its processes). Prints
what was measured, and ends with 1 when one is missed. Rates and times mean something as ratios within one run only.
"""

import concurrent.futures
import io
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests
from ht.api_clients.photos import Photo
from pl.env import current
from pl.host.stage import HostStage
from pl.project import open_stage

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "hmlet/photos/flesh")]

from gallery.renditions import OTHERS, SIZES_BY_KIND, THUMBNAIL  # noqa: E402
from imaging.renditions import renditions_make  # noqa: E402

from hmlet.env_host import HostEnv  # noqa: E402
from hmlet.project import PROJECT  # noqa: E402
from hmlet.tests.accounts import Account, Accounts, access_token  # noqa: E402
from hmlet.tests.background import Background  # noqa: E402
from hmlet.tests.pictures import distinct, grainy, jpeg, landscape  # noqa: E402
from hmlet.users import remove_users  # noqa: E402

CLIENTS = 8
SIZES = ((1632, 1224), (2304, 1728), (2832, 2128), (3264, 2448), (3648, 2736), (4000, 3000))
"""From 2 to 12 MP."""
RATE_BOUND, LIST_BOUND, WEB_BOUND_MB = 0.7, 5.0, 200.0
READ_EVERY_S = 0.05
IDLE_READS = 300
ALL_WITHIN_S = 600.0


@dataclass
class Measured:
    """Rates in photos a second, times in ms, memory in MB."""

    alone: float
    accepted: float
    made: float
    idle: list[float]
    busy: list[float]
    web: float
    web_with_large: float


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    env = current(HostEnv)
    stage = open_stage(PROJECT, env, print)
    if not isinstance(stage, HostStage):
        sys.exit("this measures the host stage: hmlet/shell.py host -- python bench/throughput.py")
    names: list[str] = []
    with Accounts(env, stage, names) as accounts:
        found = _measured(env, stage, [accounts.new() for _ in range(CLIENTS)], count)
    remove_users(stage, names)

    print(f"{count} photos of 2 to 12 MP from {CLIENTS} clients, {env.worker_processes} worker processes")
    print(f"  imaging code alone   {found.alone:6.2f} photos a second, all {len(SIZES_BY_KIND)} renditions of each")
    print(f"  accepted by web      {found.accepted:6.2f} photos a second")
    print(f"  made by workers      {found.made:6.2f} photos a second, all renditions, from the first upload on")
    for name, reads in (("idle", found.idle), ("meanwhile", found.busy)):
        middle = statistics.median(reads)
        print(f"  {f'list, {name}':20} p50 {middle:6.1f}   p99 {_p99(reads):6.1f} ms   {len(reads)} reads")
    print(f"  web                  {found.web:6.1f} MB, with four of the largest files {found.web_with_large:.1f} MB")
    rate, slower = found.made / found.alone, _p99(found.busy) / _p99(found.idle)
    memory = max(found.web, found.web_with_large)
    outcomes = {
        f"rate {rate:.2f} of the imaging code's, at least {RATE_BOUND:g}": rate >= RATE_BOUND,
        f"list's p99 {slower:.2f} × idle, under {LIST_BOUND:g}": slower < LIST_BOUND,
        f"web {memory:.0f} MB, under {WEB_BOUND_MB:g}": memory < WEB_BOUND_MB,
    }
    for name, kept in outcomes.items():
        print(f"  {'kept  ' if kept else 'MISSED'} {name}")
    sys.exit(not all(outcomes.values()))


def _measured(env: HostEnv, stage: HostStage, accounts: list[Account], count: int) -> Measured:
    with concurrent.futures.ProcessPoolExecutor() as pool:
        pictures = list(pool.map(_picture, range(len(SIZES)), SIZES))
    alone = _imaging_per_s(pictures, count, len(os.sched_getaffinity(0)))
    reader = Reader(f"{env.api_url}photos/?page_size=20", access_token(env, accounts[0]))
    _upload(accounts[0], pictures, CLIENTS)
    _await_renditions(accounts[:1])
    idle = reader.read(IDLE_READS)
    web = Memory(stage.supervisor.processes()["web"].pid)
    with web, reader:
        began = time.monotonic()
        _each(accounts, lambda account, number: _upload(account, pictures, len(range(number, count, len(accounts)))))
        accepted_s = time.monotonic() - began
        _await_renditions(accounts)
        made_s = time.monotonic() - began
    # What comes after a picture is kept with it, unread.
    large = pictures[-1].ljust(env.photo_max_bytes, b"\0")
    with Memory(stage.supervisor.processes()["web"].pid) as web_with_large:
        _each(accounts[:4], lambda account, number: _post(account, f"large {number}", large))
    return Measured(
        alone=alone,
        accepted=count / accepted_s,
        made=count / made_s,
        idle=idle,
        busy=reader.took_ms,
        web=web.peak_mb,
        web_with_large=web_with_large.peak_mb,
    )


class Reader(Background):
    """Reads the list, one answer after the other, and notes what each took in ms."""

    def __init__(self, url: str, token: str) -> None:
        self.took_ms: list[float] = []
        self._url = url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"
        super().__init__(lambda _: self._go_on(), 1)

    def read(self, times: int) -> list[float]:
        took = []
        for _ in range(times):
            time.sleep(READ_EVERY_S)
            took.append(self._once())
        return took

    def _go_on(self) -> None:
        while not self.over.wait(READ_EVERY_S):
            self.took_ms.append(self._once())

    def _once(self) -> float:
        began = time.perf_counter()
        self._session.get(self._url, timeout=60).raise_for_status()
        return (time.perf_counter() - began) * 1000


class Memory(Background):
    """Watches what a process and all below it hold."""

    def __init__(self, pid: int) -> None:
        self.peak_mb = 0.0
        self._process = psutil.Process(pid)
        super().__init__(lambda _: self._watch(), 1)

    def _watch(self) -> None:
        while True:
            every = (self._process, *self._process.children(recursive=True))
            self.peak_mb = max(self.peak_mb, sum(each.memory_full_info().pss for each in every) / 2**20)
            if self.over.wait(0.5):
                return


def _picture(seed: int, size: tuple[int, int]) -> bytes:
    return jpeg(grainy(landscape(seed, size), seed, strength=6))


def _imaging_per_s(pictures: list[bytes], count: int, processes: int) -> float:
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        pool.map(_renditions, [pictures[0]] * processes)
        began = time.monotonic()
        pool.map(_renditions, [pictures[number % len(pictures)] for number in range(count)], chunksize=1)
        return count / (time.monotonic() - began)


def _renditions(picture: bytes) -> int:
    return len(renditions_make(io.BytesIO(picture), (THUMBNAIL, *OTHERS)).pictures)


def _each(accounts: list[Account], work: Callable[[Account, int], None]) -> None:
    with concurrent.futures.ThreadPoolExecutor(len(accounts)) as pool:
        for done in [pool.submit(work, account, number) for number, account in enumerate(accounts)]:
            done.result()


def _upload(account: Account, pictures: list[bytes], count: int) -> None:
    for number in range(count):
        name = f"{account.name} {number} {time.monotonic_ns()}"
        _post(account, name, distinct(pictures[number % len(pictures)], name))


def _post(account: Account, name: str, image: bytes) -> None:
    account.client.photos.create(Photo(name=name, image=image))


def _await_renditions(accounts: list[Account]) -> None:
    """Until each of their photos has all of its sizes."""
    deadline = time.monotonic() + ALL_WITHIN_S
    for account in accounts:
        while waiting := [photo for photo in account.client.photos.list(owner="me") if not _complete(photo)]:
            if time.monotonic() > deadline:
                sys.exit(f"{len(waiting)} photos are without renditions after {ALL_WITHIN_S:g} s")
            time.sleep(0.5)


def _complete(photo: Photo) -> bool:
    return sum(len(addresses) for addresses in photo.thumbnails.values()) == len(SIZES_BY_KIND)


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


if __name__ == "__main__":
    main()

"""Post every image of the corpus to the host stage of this shell, and print what came of them.

Ends with 1 when one is answered with 5xx, when a worker's process dies, when a child that decodes goes over its memory,
or when a photo that was taken neither becomes ready nor fails with a reason that tells what to do.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
from ht.api_clients.photos import PhotosApiClient
from pl.env import current
from pl.host.state import StageState
from pl.host.supervisor import Supervisor
from pl.project import open_stage

from hmlet.env_comm import HmletEnv
from hmlet.project import PROJECT
from hmlet.tests.accounts import Accounts
from hmlet.tests.corpus.pillow import images
from hmlet.tests.waiting import wait_for
from hmlet.tests.web import Web, web_of
from hmlet.users import remove_users

CLIENTS = 4
CHILD_BYTES_MAX = 1024 * 1024 * 1024
"""What imaging.sandbox gives a child, beside what it has of its parent."""
SAMPLED_EVERY_S = 0.05
ENDED_WITHIN_S = 600.0
OUR_FAULT = frozenset(
    {"internal", "timeout", "worker_lost", "storage_unavailable", "image_decoder_died", "image_decoder_late"}
)


@dataclass
class Memory:
    """The largest that any process below the worker's own was seen to be, and whether those stayed the same."""

    child_bytes: int = 0
    before: set[int] = field(default_factory=set)
    after: set[int] = field(default_factory=set)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hmlet.tests.corpus", description=__doc__)
    parser.add_argument("--first", type=int, metavar="N", help="only the first N images")
    asked = parser.parse_args()
    env = current(HmletEnv)
    if env.runs_on != "host":
        parser.error("needs a host stage, whose processes it can see: hmlet/shell.py host -- ...")
    stage = open_stage(PROJECT, env, print)
    names: list[str] = []
    outcomes: Counter[tuple[str, int, str]] = Counter()
    with Accounts(env, stage, names) as accounts, _watched(Supervisor(StageState(env.state))) as memory:
        account = accounts.new()
        posted = _all_posted(web_of(env, account), itertools.islice(images(), asked.first))
        taken = {name: photo for name, (status, photo) in posted.items() if status == 201}
        ends = _ended(account.client, set(taken.values()))
        for name, (status, told) in posted.items():
            kind = name.rpartition(".")[2].lower() if "." in name else ""
            outcomes[kind, status, ends.get(told, told)] += 1
    status = _told(outcomes, memory)
    remove_users(stage, names)
    return status


def _all_posted(web: Web, found: Iterator[tuple[str, bytes]]) -> dict[str, tuple[int, str]]:
    """Of each its status, and its photo's id or the error's code."""

    def post(image: tuple[str, bytes]) -> tuple[str, tuple[int, str]]:
        name, content = image
        file = {"image": (name.rpartition("/")[2], content, "application/octet-stream")}
        answer = web.post("/api/v1/photos/", data={"name": name[-150:], "draft": "true"}, files=file, timeout=120)
        told = answer.json() if answer.headers.get("Content-Type", "").startswith("application/json") else {}
        return name, (answer.status_code, str(told.get("id") or told.get("code") or "no JSON"))

    with ThreadPoolExecutor(CLIENTS) as pool:
        return dict(pool.map(post, found))


def _ended(client: PhotosApiClient, ids: set[str]) -> dict[str, str]:
    """Of each photo ``ready``, or the code of its failure."""

    def over() -> dict[str, str] | None:
        photos = [photo for photo in client.photos.list(owner="me") if str(photo.id) in ids]
        if any(photo.status == "processing" for photo in photos):
            return None
        return {str(photo.id): photo.failure.code if photo.failure else "ready" for photo in photos}

    return wait_for(over, what="all photos are ready or have failed", within_s=ENDED_WITHIN_S, pause_s=2)


@contextmanager
def _watched(supervisor: Supervisor) -> Iterator[Memory]:
    memory, over = Memory(), threading.Event()
    worker = psutil.Process(supervisor.processes()["worker"].pid)
    own = {worker.pid, *(child.pid for child in worker.children())}
    memory.before = own

    def watch() -> None:
        while not over.wait(SAMPLED_EVERY_S):
            for process in worker.children(recursive=True):
                try:
                    # What it has of its parent is shared, and no cost of its own.
                    used = process.memory_info()
                    memory.child_bytes = max(
                        memory.child_bytes, used.rss - used.shared if process.pid not in own else 0
                    )
                except psutil.Error:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
        now = psutil.Process(supervisor.processes()["worker"].pid)
        memory.after = {now.pid, *(child.pid for child in now.children())}
    finally:
        over.set()
        thread.join()


def _told(outcomes: Counter[tuple[str, int, str]], memory: Memory) -> int:
    for (kind, status, outcome), count in sorted(outcomes.items()):
        sys.stdout.write(f"{kind:8} {status}  {outcome:24} {count:5}\n")
    wrong = [f"{status} {outcome}: {count}" for (_, status, outcome), count in outcomes.items() if status >= 500]
    wrong += [f"{outcome}: {count}" for (_, _, outcome), count in outcomes.items() if outcome in OUR_FAULT]
    if memory.before != memory.after:
        wrong.append(f"worker's processes died: {sorted(memory.before - memory.after)}")
    if memory.child_bytes > CHILD_BYTES_MAX:
        wrong.append("a child went over its memory")
    sys.stdout.write(f"{outcomes.total()} files; the largest child had {memory.child_bytes / 1e6:.0f} MB of its own\n")
    for sentence in wrong:
        sys.stdout.write(f"WRONG: {sentence}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""People who look at photos, and people who post them, as locust plays them.

Where to sign in, as whom, and with which pictures, is said by variables: ``--host`` or LOCUST_HOST the platform,
LOAD_ACCOUNTS a JSON file of [name, password] pairs, LOAD_PICTURES a folder of JPEG files. ``python -m bench.load``
sets them for the stage of its shell; by hand::

    LOAD_ACCOUNTS=accounts.json LOAD_PICTURES=photos locust -f bench/load/locustfile.py --host http://127.0.0.1:8000
"""

# locust has no types where this is checked.
# mypy: disable-error-code="misc, untyped-decorator"

import itertools
import json
import os
import random
import uuid
from pathlib import Path

from locust import HttpUser, between, task

_ACCOUNTS = itertools.cycle(json.loads(Path(os.environ["LOAD_ACCOUNTS"]).read_text()))
_PICTURES = [path.read_bytes() for path in sorted(Path(os.environ["LOAD_PICTURES"]).glob("*.jp*g"))]
_API = "/api/v1"


class Person(HttpUser):
    """Signs in once. Requests are told apart by what they are for, not by the ids in them."""

    abstract = True
    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        name, password = next(_ACCOUNTS)
        answer = self.client.post(f"{_API}/token/", json={"username": name, "password": password}, name="sign in")
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access']}"


class Visitor(Person):
    """Turns pages, searches, opens photos, and loads their thumbnails from the storage."""

    weight = 4

    @task(6)
    def turn_pages(self) -> None:
        following = f"{_API}/photos/?page_size=20"
        for _ in range(random.randint(1, 4)):
            page = self.client.get(following, name="list of photos").json()
            self._look_at(page["results"])
            following = page["next"]
            if not following:
                return

    @task(2)
    def search(self) -> None:
        found = self.client.get(f"{_API}/photos/?search=lake", name="search").json()
        self._look_at(found["results"])

    @task(1)
    def tags(self) -> None:
        self.client.get(f"{_API}/tags/", name="tags")
        self.client.get(f"{_API}/photos/?tag=load", name="list by tag")

    def _look_at(self, photos: list[dict[str, object]]) -> None:
        ready = [photo for photo in photos if photo["thumbnail"]]
        for photo in random.sample(ready, min(3, len(ready))):
            # Another host, which wants no token.
            self.client.get(str(photo["thumbnail"]), name="thumbnail", headers={"Authorization": None})
        if ready:
            # Its owner may have deleted it meanwhile.
            with self.client.get(
                f"{_API}/photos/{random.choice(ready)['id']}/", name="photo", catch_response=True
            ) as answer:
                if answer.status_code == 404:
                    answer.success()


class Photographer(Person):
    """Posts a photo as a draft, waits for it, edits what it says, publishes it, and deletes one in five."""

    weight = 1
    wait_time = between(1, 3)

    @task
    def post(self) -> None:
        name = f"load {uuid.uuid4().hex}"
        picture = _distinct(random.choice(_PICTURES), name)
        photo = self.client.post(
            f"{_API}/photos/",
            data={"name": name, "draft": "true"},
            files={"image": (f"{name}.jpg", picture, "image/jpeg")},
            headers={"Prefer": "wait=10", "Idempotency-Key": uuid.uuid4().hex},
            name="post and wait",
        ).json()
        path = f"{_API}/photos/{photo['id']}/"
        self.client.patch(path, json={"caption": "The lake in the evening #load"}, name="edit")
        self.client.patch(path, json={"draft": False}, name="publish")
        if random.random() < 0.2:
            self.client.delete(path, name="delete")


def _distinct(jpeg: bytes, comment: str) -> bytes:
    """The same picture in other bytes: one that the platform has not seen."""
    text = comment.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]

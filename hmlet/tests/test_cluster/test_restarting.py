"""Pods that end while people use the platform: SIGTERM, and nobody notices."""

from __future__ import annotations

from hmlet.tests.accounts import Account, access_token
from hmlet.tests.pictures import photo_bytes
from hmlet.tests.test_cluster.loading import Load
from hmlet.tests.test_cluster.place import Place
from hmlet.tests.waiting import wait_for

CLIENTS = 8
WORK_WITHIN_S = 180.0


def test_web_and_worker_are_restarted_under_load_and_no_request_fails(place: Place, account: Account) -> None:
    before = {*place.pods("web"), *place.pods("worker")}
    token = access_token(place.env, account)
    with Load(place.env.web_url, token, photo_bytes(seed=1), clients=CLIENTS) as load:
        wait_for(lambda: load.answers > 50, what="the load has begun", within_s=60)
        place.kubectl("rollout", "restart", "deployment/backend-web", "deployment/backend-worker")
        for name in ("backend-web", "backend-worker"):
            place.kubectl("rollout", "status", f"deployment/{name}", "--timeout=110s")
        wait_for(lambda: not before & all_pods(place), what="the old pods are gone", within_s=180)
        after = load.answers
        wait_for(lambda: load.answers > after + 50, what="the new pods serve", within_s=60)
    assert load.failures == [], f"{len(load.failures)} of {load.answers}"
    assert len(load.posted) > 20

    def unfinished() -> list[str]:
        photos = {str(photo.id): photo.status for photo in account.client.photos.list(owner="me")}
        return [photo for photo in load.posted if photos.get(photo) != "ready"]

    wait_for(lambda: not unfinished(), what="every accepted photo has its thumbnail", within_s=WORK_WITHIN_S, pause_s=1)


def all_pods(place: Place) -> set[str]:
    """Those that are on their way out, too."""
    return {pod["metadata"]["name"] for pod in place.objects("pods")}

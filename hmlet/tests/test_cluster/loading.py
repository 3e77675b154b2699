"""Clients that post and get all the time and repeat nothing: every request that fails is one that a user would see."""

from __future__ import annotations

import itertools
import threading

import requests

from hmlet.tests.background import Background
from hmlet.tests.pictures import distinct

PAUSE_S = 0.1
SILENCE_S = 60.0


class Load(Background):
    """``clients`` threads, each on a connection that it keeps, until this is left."""

    def __init__(self, base_url: str, token: str, image: bytes, *, clients: int) -> None:
        self.posted: list[str] = []
        self.answers = 0
        self.failures: list[str] = []
        self._url = f"{base_url}/api/v1/photos/"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._image = image
        self._counting = threading.Lock()
        super().__init__(self._go_on, clients)

    def _go_on(self, number: int) -> None:
        with requests.Session() as session:
            for turn in itertools.count():
                if self.over.wait(PAUSE_S):
                    return
                self._note(session, f"load {number} {turn}", posts=turn % 4 == 0)

    def _note(self, session: requests.Session, name: str, *, posts: bool) -> None:
        try:
            if posts:
                files = {"image": distinct(self._image, name)}
                answer = session.post(
                    self._url, data={"name": name}, files=files, headers=self._headers, timeout=SILENCE_S
                )
            else:
                answer = session.get(self._url, headers=self._headers, timeout=SILENCE_S)
        except requests.RequestException as error:
            self.failures.append(f"{name}: {error}")
            return
        with self._counting:
            self.answers += 1
        if answer.status_code != (201 if posts else 200):
            self.failures.append(f"{name}: {answer.status_code} {answer.text[:200]}")
        elif posts:
            self.posted.append(answer.json()["id"])

"""Plain HTTP to the platform, for what the typed client would not send or does not show."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urljoin

import requests

from hmlet.env_comm import HmletEnv
from hmlet.tests.accounts import TIMEOUT_S, Account, access_token


class Web(requests.Session):
    """A session with the platform: paths are enough for URLs, redirects are shown, nothing waits for ever."""

    def __init__(self, base_url: str, token: str = "") -> None:
        super().__init__()
        self.base_url = base_url
        self.trust_env = False
        self.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def request(  # type: ignore[override]
        self, method: str | bytes, url: str | bytes, **options: Any
    ) -> requests.Response:
        options.setdefault("timeout", TIMEOUT_S)
        options.setdefault("allow_redirects", False)
        return super().request(method, urljoin(self.base_url, str(url)), **options)


def web_of(env: HmletEnv, account: Account | None = None) -> Web:
    """A session of a user, or of nobody."""
    return Web(env.web_url, access_token(env, account) if account else "")


def admin_web(env: HmletEnv, username: str, password: str) -> Web:
    """A session that has signed in to the admin by its form. Raises AssertionError when that was refused."""
    web = Web(env.web_url)
    web.get("/admin/login/")
    form = {"username": username, "password": password, "csrfmiddlewaretoken": web.cookies["csrftoken"]}
    answer = web.post("/admin/login/?next=/admin/", data=form, headers={"Referer": env.admin_url})
    assert (answer.status_code, answer.headers.get("Location")) == (302, "/admin/"), answer.status_code
    return web

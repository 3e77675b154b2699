"""Whose word is taken for who asked, and how."""

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from ops.forwarded import ForwardedMiddleware, Proxies

EDGE, CALLER = "10.244.0.7", "192.0.2.1"


def asked(peer: str, **headers: str) -> HttpRequest:
    """The request as views see it."""
    seen: list[HttpRequest] = []

    def answer(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse()

    request = RequestFactory().get("/", REMOTE_ADDR=peer)
    request.META.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
    ForwardedMiddleware(answer)(request)
    return seen[0]


@pytest.fixture(autouse=True)
def _behind_tls(settings: Any) -> None:
    settings.TRUSTED_PROXIES = ["10.244.0.0/16"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


def test_the_edge_is_believed() -> None:
    request = asked(EDGE, x_forwarded_for=CALLER, x_forwarded_proto="https")
    assert request.META["REMOTE_ADDR"] == CALLER
    assert request.is_secure()


def test_nobody_else_is() -> None:
    request = asked(CALLER, x_forwarded_for="127.0.0.1", x_forwarded_proto="https", x_real_ip="127.0.0.1")
    assert request.META["REMOTE_ADDR"] == CALLER
    assert not request.is_secure()
    assert not [name for name in request.META if "FORWARDED" in name or name == "HTTP_X_REAL_IP"]


def test_of_a_chain_the_last_is_whom_the_edge_saw() -> None:
    assert asked(EDGE, x_forwarded_for=f"127.0.0.1, {CALLER}").META["REMOTE_ADDR"] == CALLER


def test_an_edge_that_says_nothing_is_the_caller() -> None:
    assert asked(EDGE).META["REMOTE_ADDR"] == EDGE
    assert asked(EDGE, x_forwarded_for="").META["REMOTE_ADDR"] == EDGE


def test_a_forged_host_is_never_taken_from_a_header_beside_it(settings: Any) -> None:
    assert asked(EDGE, x_forwarded_host="evil.example").get_host() == "testserver"


def test_without_a_setting_nobody_is_believed(settings: Any) -> None:
    settings.TRUSTED_PROXIES = []
    assert asked(EDGE, x_forwarded_for=CALLER).META["REMOTE_ADDR"] == EDGE


class Names:
    """A name server and a clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.addresses = {EDGE}
        self.lookups = 0

    def lookup(self, name: str) -> set[str]:
        self.lookups += 1
        return self.addresses if name == "frontend-pods" else set()


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def proxies(names: Names) -> Proxies:
    return Proxies(["frontend-pods"], lookup=names.lookup, clock=lambda: names.now_s)


def test_a_name_stands_for_its_addresses_and_is_not_looked_up_for_each_request(proxies: Proxies, names: Names) -> None:
    assert all(proxies.include(EDGE) for _ in range(100))
    assert names.lookups == 1
    assert not any(proxies.include(f"10.0.0.{number}") for number in range(100))
    assert names.lookups == 1


def test_a_pod_that_is_new_is_known_within_a_second(proxies: Proxies, names: Names) -> None:
    assert proxies.include(EDGE)
    names.addresses = {EDGE, "10.244.0.8"}
    assert not proxies.include("10.244.0.8")
    names.now_s += 1
    assert proxies.include("10.244.0.8")


def test_an_address_that_the_name_has_lost_is_forgotten(proxies: Proxies, names: Names) -> None:
    assert proxies.include(EDGE)
    names.addresses = {"10.244.0.8"}
    names.now_s += 31
    assert not proxies.include(EDGE)


@pytest.mark.parametrize("address", ["", "unknown", "not an address"])
def test_what_is_no_address_is_nobody(proxies: Proxies, address: str) -> None:
    assert not proxies.include(address)

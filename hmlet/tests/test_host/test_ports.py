"""A port that somebody else took is not fought over."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from pl.env import load

from hmlet.tests.test_host.place import Place, kill


@contextmanager
def taken(port: int) -> Iterator[None]:
    with socket.socket() as foreign:
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        foreign.bind(("127.0.0.1", port))
        foreign.listen()
        yield


def test_a_port_taken_before_the_first_deploy_is_not_chosen(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(place.states))
    env = load(place.checkout, project="hmlet", stage="host", instance=place.instance)
    with taken(env.web_port):  # type: ignore[attr-defined]
        place.deploy()
        assert place.ports()["web_port"] != env.web_port  # type: ignore[attr-defined]
    assert f":{place.ports()['web_port']}/api/v1/" in place.ok("ht.status")


def test_a_port_taken_later_is_named_with_its_holder_and_new_ones_keep_all_data(place: Place) -> None:
    place.deploy()
    photo, thumbnail = place.post()
    before = place.ports()
    kill(place.processes())
    with taken(before["web_port"]), taken(before["database_port"]):
        ended = place.run("ht.deploy")
        assert ended.status == 1
        assert f"port {before['database_port']} of postgresql is taken" in ended.err
        assert f"by process {psutil.Process().pid}" in ended.err
        assert "ht.bootstrap --new-ports" in ended.err
        assert place.ports() == before
        place.ok("ht.bootstrap", "--new-ports")
        said = place.deploy()
        after = place.ports()
        assert after["web_port"] != before["web_port"]
        assert after["database_port"] != before["database_port"]
        assert f"http://127.0.0.1:{after['web_port']}/api/v1/" in said
        assert place.thumbnail(photo) == thumbnail

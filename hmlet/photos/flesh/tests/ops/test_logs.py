"""Lines of the log: their shape, their ids, and what must not stand in them."""

import io
import json
import logging
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jobs.models import Job
from ops.ids import ids_of_job, job_id_current, request_id_begin, request_id_current
from ops.logs import IdsFilter, JsonFormatter, LineFormatter

FLESH = Path(__file__).resolve().parents[2]


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged meanwhile, as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(IdsFilter())
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(level)


def test_a_line_of_a_worker_names_the_request_and_the_job(
    post: Callable[..., Any], work_off: Callable[[], int], lines: Callable[[], list[dict[str, Any]]]
) -> None:
    assert post(headers={"X-Request-ID": "from-the-web-1"}).status_code == 201
    request_id_begin(None)
    outer = request_id_current()
    work_off()
    jobs = {str(job.pk): job for job in Job.objects.all()}
    ended = [line for line in lines() if line["logger"] == "jobs.runner"]
    assert {line["job_id"] for line in ended} == set(jobs)
    assert {line["request_id"] for line in ended} == {"from-the-web-1"}, "the job that another one committed, too"
    assert {line["message"] for line in ended} == {"thumbnail, attempt 1: done", "renditions, attempt 1: done"}
    assert set(ended[0]) == {"time", "level", "logger", "message", "request_id", "job_id"}
    assert (request_id_current(), job_id_current()) == (outer, "")


@pytest.mark.parametrize("formatter", [JsonFormatter(), LineFormatter("%(message)s")])
def test_no_secret_and_no_signature_gets_into_a_line(formatter: logging.Formatter) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    log = logging.Logger("test")
    log.addHandler(handler)
    log.warning("GET %s", "https://s3.test/b/k?X-Amz-Credential=AKIA%2F1&X-Amz-Signature=abcdef012&x=1")
    log.warning("header Authorization: Bearer eyJhbGciOi.abc.def")
    away = ConnectionError("redis://:hunter2@redis:6379/0 and postgresql://hmlet:hunter3@db/hmlet are away")
    log.error("broken", exc_info=away)
    text = stream.getvalue()
    for secret in ("AKIA", "abcdef012", "eyJ", "hunter"):
        assert secret not in text
    for kept in ("https://s3.test/b/k?", "x=1", "redis:6379", "@db/hmlet", "ConnectionError"):
        assert kept in text


def test_a_line_is_one_line_whatever_the_message(lines: Callable[[], list[dict[str, Any]]]) -> None:
    with ids_of_job(uuid.UUID(int=7), request_id="abcdefgh"):
        logging.getLogger("any").info('two\nlines and a "quote" %s', "ä")
    [line] = lines()
    assert line["message"] == 'two\nlines and a "quote" ä'
    assert (line["job_id"], line["request_id"]) == (str(uuid.UUID(int=7)), "abcdefgh")
    assert line["time"].endswith("+00:00")


def _settings(**variables: str) -> "subprocess.CompletedProcess[str]":
    code = "import tests.settings, logging.config as c; c.dictConfig(tests.settings.LOGGING); c.logging.info('hello')"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=FLESH, env={**os.environ, **variables}, capture_output=True, text=True
    )


def test_the_format_is_chosen_by_a_variable_and_a_mistake_in_it_is_told() -> None:
    assert json.loads(_settings(LOG_FORMAT="json").stdout)["message"] == "hello"
    assert "[- -] hello" in _settings(LOG_FORMAT="line").stdout
    assert "LOG_FORMAT is none of line, json: 'xml'" in _settings(LOG_FORMAT="xml").stderr

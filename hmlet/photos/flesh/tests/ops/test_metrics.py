"""What Prometheus is told."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from jobs.models import Job
from ops import metrics

from tests.images import encoded

FLESH = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def told(settings: Any) -> None:
    settings.METRICS_AT_WEB = True


def test_a_stage_without_an_edge_tells_nobody(client: Client, settings: Any) -> None:
    settings.METRICS_AT_WEB = False
    assert client.get("/metrics").status_code == 404


def scraped(client: Client) -> dict[str, float]:
    """Each series' value, at an address that a scraper uses."""
    answer = client.get("/metrics", headers={"Host": "10.1.2.3:8000"})
    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (200, "text/plain")
    return series(answer.content.decode())


def series(text: str) -> dict[str, float]:
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


@pytest.mark.django_db
def test_requests_are_counted_by_method_view_and_status_and_probes_are_not(client: Client, api: Any) -> None:
    api.get("/api/v1/photos/")
    before = scraped(client)
    for _ in range(3):
        api.get("/api/v1/photos/")
    client.get("/api/v1/photos/")
    client.get("/healthz/live")
    client.get("/no/such/page/7")
    client.generic("BREW", "/no/such/page/8")
    after = scraped(client)
    new = {name: after[name] - before.get(name, 0) for name in after if name.startswith("hmlet_request_seconds_count")}
    assert {name: count for name, count in new.items() if count} == {
        'hmlet_request_seconds_count{method="GET",status="200",view="photo-list"}': 3,
        'hmlet_request_seconds_count{method="GET",status="401",view="photo-list"}': 1,
        'hmlet_request_seconds_count{method="GET",status="404",view="none"}': 1,
        'hmlet_request_seconds_count{method="other",status="404",view="none"}': 1,
    }


@pytest.mark.django_db
def test_jobs_are_counted_by_kind_and_outcome(
    client: Client, post: Callable[..., Any], work_off: Callable[[], int], buckets: Any
) -> None:
    def counts() -> list[float]:
        told = scraped(client)
        outcomes = (("thumbnail", "done"), ("thumbnail", "failed"))
        return [told.get(f'hmlet_job_seconds_count{{kind="{k}",outcome="{o}"}}', 0.0) for k, o in outcomes]

    before = counts()
    post()
    work_off()
    post(encoded(20, 20))
    buckets["originals"].clear()
    work_off()
    after = counts()
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1]


@pytest.mark.django_db
def test_the_queue_is_told_from_the_database(client: Client, django_assert_num_queries: Any) -> None:
    now = timezone.now()
    states = [(Job.State.QUEUED, "")] * 3 + [(Job.State.RUNNING, "")] + [(Job.State.FAILED, "image_broken")] * 2
    for state, code in states:
        Job.objects.create(kind="thumbnail", state=state, error_code=code, finished=now)
    Job.objects.filter(state=Job.State.QUEUED).update(created=now - timedelta(seconds=90))
    Job.objects.create(kind="purge", not_before=now + timedelta(hours=1))
    with django_assert_num_queries(4):
        told = scraped(client)
    assert told['hmlet_jobs_waiting{kind="thumbnail"}'] == 3
    assert told['hmlet_jobs_waiting{kind="purge"}'] == 1
    assert told['hmlet_jobs_running{kind="thumbnail"}'] == 1
    assert told['hmlet_jobs_failed{kind="thumbnail",reason="image_broken"}'] == 2
    assert 90 <= told["hmlet_jobs_oldest_due_seconds"] < 150
    Job.objects.exclude(kind="purge").delete()
    assert scraped(client)["hmlet_jobs_oldest_due_seconds"] == 0


def test_without_a_database_the_rest_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("away")

    monkeypatch.setattr(metrics, "work_read", away)
    monkeypatch.setattr("ops.metrics.connection.close", lambda: None)
    told = scraped(client)
    assert told["hmlet_database_up"] == 0
    assert not any(name.startswith("hmlet_jobs_") for name in told)


@pytest.mark.parametrize("folder", [True, False], ids=["a folder of the stage's", "a folder of its own"])
def test_all_of_web_s_processes_are_told_by_each_and_an_earlier_start_by_none(tmp_path: Path, folder: bool) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    import tests.settings  # noqa: F401 - stand-ins for what a stage would set

    environ = {
        **os.environ,
        "DATABASE_NAME": str(tmp_path / "none.sqlite3"),
        "TMPDIR": str(tmp_path),
        "METRICS_AT_WEB": "1",
    }
    # A database without tables, whichever the suite has.
    environ.pop("DATABASE_HOST", None)
    if folder:
        environ["PROMETHEUS_MULTIPROC_DIR"] = str(tmp_path / "metrics")
        (tmp_path / "metrics").mkdir()
        (tmp_path / "metrics/histogram_1.db").write_bytes(b"what a killed one left")
    argv = [sys.executable, "-m", "gunicorn", "config.wsgi", "--config", "config/gunicorn.py", "--preload"]
    web = subprocess.Popen([*argv, "--bind", address, "--workers", "2"], cwd=FLESH, env=environ, stdout=subprocess.PIPE)
    try:
        _until(lambda: _get(address, "/healthz/live") is not None)
        for _ in range(20):
            assert _get(address, "/no/such/page") is not None
        counted = 'hmlet_request_seconds_count{method="GET",status="404",view="none"}'
        for _ in range(4):
            told = series(_get(address, "/metrics") or "")
            assert told[counted] == 20
            assert told["hmlet_database_up"] == 0, "it has no tables"
        children = Path(f"/proc/{web.pid}/task/{web.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        _until(lambda: children[0] not in Path(f"/proc/{web.pid}/task/{web.pid}/children").read_text().split())
        assert series(_get(address, "/metrics") or "")[counted] == 20, "what an ended process counted stays"
    finally:
        web.terminate()
        web.communicate(timeout=40)
    assert not list(tmp_path.glob("hmlet-metrics-*")), "its own folder goes with it"


def _get(address: str, path: str) -> str | None:
    try:
        # A kept connection would be waited for at the end.
        close = {"Connection": "close"}
        return urllib3.request("GET", f"http://{address}{path}", headers=close, retries=False, timeout=20).data.decode()
    except urllib3.exceptions.HTTPError:
        return None


def _until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)

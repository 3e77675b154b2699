"""Probes, the status page, request ids, docs, headers."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from jobs.models import Job
from ops import status
from ops.status import Told
from ops.work import Compared, Work, work_read

NOTHING = Work(waiting={}, running={}, failed={}, failed_last_hour=0, oldest_due_s=0.0)


@pytest.fixture(autouse=True)
def _forget() -> None:
    status._last = None


def test_live_touches_nothing(client: Client) -> None:
    assert client.get("/healthz/live").content == b"ok\n"


def test_probes_answer_whatever_the_host_header(client: Client) -> None:
    assert client.get("/healthz/live", headers={"Host": "10.1.2.3:8000"}).status_code == 200
    assert client.get("/status/", headers={"Host": "10.1.2.3:8000"}).status_code == 400


@pytest.mark.django_db
def test_ready_needs_the_database_alone(client: Client, buckets: Any) -> None:
    buckets["originals"].broken = True
    assert client.get("/healthz/ready").status_code == 200


def test_ready_without_a_database_is_not(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    class Away:
        def cursor(self) -> None:
            raise OperationalError("away")

        def close(self) -> None: ...

    monkeypatch.setattr("ops.middleware.connection", Away())
    assert client.get("/healthz/ready").status_code == 503


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Whether each part works; the checks do as this says."""
    states = dict.fromkeys(("database", "queue", "storage", "workers"), True)

    def check(name: str) -> None:
        if not states[name]:
            raise ConnectionError(name)

    for name in states:
        monkeypatch.setattr(status, f"{name}_check", lambda name=name: check(name))
    # The page's threads have connections of their own, which see nothing of a test's transaction.
    monkeypatch.setattr(status, "database_ask", lambda: Told(work=NOTHING, backup_age_s=None, compared=None))
    return states


@pytest.mark.parametrize("address", ["/status/", "/healthcheck", "/healthcheck/"])
def test_the_status_page_is_for_people_and_programs(client: Client, parts: dict[str, bool], address: str) -> None:
    page = client.get(address)
    assert (page.status_code, page["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert client.get(address, headers={"Accept": "application/json"}).json() == {
        "status": "ok",
        "parts": {"database": "ok", "queue": "ok", "storage": "ok", "workers": "ok"},
        "jobs": {"waiting": 0, "running": 0, "oldest_waiting_s": 0, "failed_last_hour": 0},
        "backup": {"age_s": None},
        "integrity": {"age_s": None, "found": None},
    }


@pytest.mark.django_db
def test_the_status_page_tells_what_there_is_to_do(
    client: Client, parts: dict[str, bool], monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    now = timezone.now()
    for state in (Job.State.QUEUED, Job.State.QUEUED, Job.State.RUNNING, Job.State.FAILED):
        Job.objects.create(kind="thumbnail", state=state, finished=now)
    Job.objects.create(kind="thumbnail", state=Job.State.FAILED, finished=now - timedelta(hours=2))
    Job.objects.filter(state=Job.State.QUEUED).update(created=now - timedelta(seconds=100))
    with django_assert_num_queries(2):
        work = work_read()
    compared = Compared(finished=now - timedelta(hours=3), found={"missing": 2, "orphaned": 0})
    monkeypatch.setattr(status, "database_ask", lambda: Told(work=work, backup_age_s=7200.4, compared=compared))
    said = client.get("/status/", headers={"Accept": "application/json"}).json()
    assert said["backup"] == {"age_s": 7200}
    assert 10_800 <= said["integrity"].pop("age_s") < 10_860
    assert said["integrity"] == {"found": {"missing": 2, "orphaned": 0}}
    told = said["jobs"]
    assert 100 <= told.pop("oldest_waiting_s") < 160
    assert told == {"waiting": 2, "running": 1, "failed_last_hour": 1}
    page = client.get("/status/").content.decode()
    assert "Failed within an hour</th><td>1</td>" in page
    assert "2\xa0hours ago" in page
    assert "3\xa0hours ago" in page
    assert "2 missing, 0 orphaned" in page


def test_a_database_that_is_away_leaves_the_rest_of_the_page(
    client: Client, parts: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError("away")

    parts["database"] = False
    monkeypatch.setattr(status, "database_ask", away)
    response = client.get("/status/", headers={"Accept": "application/json"})
    assert (response.status_code, response.json()["jobs"]) == (503, None)
    assert "Nobody can tell" in client.get("/status/").content.decode()


@pytest.mark.parametrize("broken", ["database", "queue", "storage", "workers"])
def test_the_status_page_names_what_is_broken(client: Client, parts: dict[str, bool], broken: str) -> None:
    parts[broken] = False
    response = client.get("/status/", headers={"Accept": "application/json"})
    assert response.status_code == 503
    assert [name for name, word in response.json()["parts"].items() if word == "error"] == [broken]


def test_a_request_id_is_taken_when_harmless_and_made_otherwise(client: Client) -> None:
    assert client.get("/healthz/live", headers={"X-Request-ID": "abcdef-123456"})["X-Request-ID"] == "abcdef-123456"
    made = client.get("/healthz/live", headers={"X-Request-ID": "bad id\tx"})["X-Request-ID"]
    assert len(made) == 32


@pytest.mark.parametrize("address", ["/docs/", "/api/v1/docs/"])
def test_the_docs_load_nothing_from_elsewhere_and_no_inline_script(client: Client, address: str) -> None:
    import re

    page = client.get(address).content.decode()
    assert re.findall(r"(?:src|href)=\"(?!/)", page) == []
    assert re.findall(r"<script(?![^>]*src=)", page) == []


def test_the_schema_names_every_endpoint(client: Client) -> None:
    schema = client.get("/api/v1/schema/?format=json").json()
    wanted = {f"/api/v1/token/{rest}" for rest in ("", "refresh/", "revoke/")}
    wanted |= {"/api/v1/photos/", "/api/v1/photos/{id}/"}
    wanted |= {f"/api/v1/photos/uploads/{rest}" for rest in ("", "{id}/", "{id}/parts/", "{id}/finalise/")}
    wanted |= {"/api/v1/photos/batch/", "/api/v1/tags/", "/api/v1/thumbnails/"}
    wanted |= {"/api/v1/diffs/", "/api/v1/diffs/{id}/"}
    wanted |= {f"/api/v1/jobs/{rest}" for rest in ("", "{id}/", "{id}/retry/", "{id}/cancel/", "{id}/thumbnail/")}
    assert set(schema["paths"]) - {"/api/v1/schema/"} == wanted


@pytest.mark.parametrize("path", ["photos", "jobs", "tags", "diffs"])
def test_the_schema_tells_a_list_as_it_is_answered(client: Client, path: str) -> None:
    schema = client.get("/api/v1/schema/?format=json").json()
    told = schema["paths"][f"/api/v1/{path}/"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    page = schema["components"]["schemas"][told["$ref"].rpartition("/")[2]]
    assert list(page["properties"]) == ["next", "previous", "results"]


def test_the_schema_is_valid_and_without_warnings() -> None:
    from django.core.management import call_command

    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")


def test_every_operation_tells_the_shape_of_its_errors(client: Client) -> None:
    schema = client.get("/api/v1/schema/?format=json").json()
    shape = schema["components"]["schemas"]["Error"]
    assert set(shape["properties"]) == {"code", "message", "errors", "request_id"}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            told = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert told == {"$ref": "#/components/schemas/Error"}, f"{method} {path}"


def test_a_body_without_its_length_is_told_so_and_not_taken_for_an_empty_one(client: Client) -> None:
    answer = client.generic("POST", "/api/v1/token/", b"", headers={"Transfer-Encoding": "chunked"})
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")

"""A database that is away, wherever in a request: 503 in the one shape, and nothing half done."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.test import Client
from gallery import services
from gallery.models import Photo
from jobs.models import Job
from jobs.tasks import run
from ops.status import database_check
from rest_framework.test import APIClient

PHOTOS = "/api/v1/photos/"
ERRORS = [OperationalError("server closed the connection"), InterfaceError("connection already closed")]
Post = Callable[..., Any]


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def told(answer: Any) -> dict[str, Any]:
    """The body of an answer that says so."""
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    body: dict[str, Any] = answer.json()
    assert set(body) == {"code", "message", "errors", "request_id"}
    assert (body["code"], body["request_id"]) == ("database_unavailable", answer["X-Request-ID"])
    return body


@pytest.mark.django_db
@pytest.mark.parametrize("error", ERRORS)
def test_who_asks_cannot_be_looked_up(api: APIClient, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("access.authentication.sign_in_of", raising(error))
        assert "Try again" in told(api.get(PHOTOS))["message"]
        told(api.post(PHOTOS, {}))
    assert api.get(PHOTOS).status_code == 200


@pytest.mark.django_db
def test_a_password_cannot_be_looked_up(client: Client, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("access.backends.ThrottledBackend.authenticate", raising(ERRORS[0]))
    told(client.post("/api/v1/token/", {"username": "maker", "password": "makers-password-1"}, "application/json"))


@pytest.mark.django_db
@pytest.mark.parametrize("error", ERRORS)
def test_it_goes_away_in_the_middle_and_leaves_the_key_free(
    post: Post, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    key = {"Idempotency-Key": "the same"}
    with monkeypatch.context() as patch:
        patch.setattr("gallery.services._tags_write", raising(error))
        told(post(name="Dawn", headers=key))
    assert not Photo.objects.exists()
    assert post(name="Dawn", headers=key).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_it_goes_away_at_the_commit(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(connection, "_commit", raising(ERRORS[0]))
        told(post(name="Dawn"))
    connection.close_if_unusable_or_obsolete()
    assert not Photo.objects.exists()
    assert post(name="Dawn").status_code == 201


@pytest.mark.django_db
def test_an_item_of_a_batch_says_so_and_the_others_are_done(
    post: Post, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [post(name=name).json()["id"] for name in ("Dawn", "Dusk")]
    delete, failures = services.photo_delete, iter(ERRORS[:1])

    def flaky(**given: Any) -> None:
        for error in failures:
            raise error
        delete(**given)

    monkeypatch.setattr(services, "photo_delete", flaky)
    items = [{"action": "delete", "id": photo} for photo in ids]
    results = api.post("/api/v1/photos/batch/", {"items": items}).json()["results"]
    assert [result["status"] for result in results] == [503, 204]
    assert results[0]["error"]["code"] == "database_unavailable"


@pytest.mark.django_db
def test_pages_for_people_say_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="roots-password-1"))
    monkeypatch.setattr(SessionStore, "_get_session_from_db", raising(ERRORS[0]))
    page = client.get("/admin/")
    assert (page.status_code, page["Retry-After"]) == (503, "2")
    assert "The database does not answer" in page.content.decode()


@pytest.mark.django_db
def test_a_middleware_that_lacks_it_says_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(raise_request_exception=False)
    User.objects.create_superuser("root", password="roots-password-1")
    login = {"username": "root", "password": "roots-password-1"}
    monkeypatch.setattr(SessionStore, "save", raising(ERRORS[0]))
    page = client.post("/admin/login/", login)
    assert (page.status_code, page["Retry-After"]) == (503, "2")


@pytest.mark.django_db
def test_what_we_ask_wrongly_stays_a_bug(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gallery.services._tags_write", raising(ProgrammingError("no such column")))
    with pytest.raises(ProgrammingError):
        post(name="Dawn")


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_a_real_server_that_ends_the_connection_in_the_middle(
    post: Post, buckets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = buckets["originals"].write
    said = connection.get_connection_params()
    words = {name: said[name] for name in ("dbname", "user", "password", "host", "port")}

    def writing(*given: Any) -> None:
        write(*given)
        with contextlib.closing(psycopg2.connect(**words)) as other, other.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    with monkeypatch.context() as patch:
        patch.setattr(buckets["originals"], "write", writing)
        told(post(name="Dawn"))
    # As each request begins; a test's does not.
    connection.close_if_unusable_or_obsolete()
    assert not Photo.objects.exists()
    assert post(name="Dawn").status_code == 201


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_a_real_server_that_takes_no_writes_is_read_and_then_asked_for_anew(post: Post, api: APIClient) -> None:
    """As one that was replaced, or whose disk is full."""
    assert post(name="Dawn").status_code == 201
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    assert len(api.get(PHOTOS).json()["results"]) == 1
    told(post(name="Dusk"))
    # By a connection of its own: that one is gone.
    assert post(name="Dusk").status_code == 201


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_a_worker_asks_for_it_anew_too(post: Post) -> None:
    post(name="Dawn")
    job = Job.objects.get().pk
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    assert run.apply(args=(str(job),)).failed()
    assert run.apply(args=(str(job),)).successful()
    assert Job.objects.get(pk=job).state == Job.State.DONE


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_the_status_of_a_real_server_that_takes_no_writes() -> None:
    database = connection.ops.quote_name(connection.settings_dict["NAME"])
    with ThreadPoolExecutor(1) as pool, connection.cursor() as cursor:
        pool.submit(database_check).result()
        cursor.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        try:
            with pytest.raises(OperationalError, match="takes no writes"):
                pool.submit(database_check).result()
        finally:
            cursor.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")


def test_each_operation_tells_of_it(client: Client) -> None:
    schema = client.get("/api/v1/schema/?format=json").json()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            answer = operation["responses"]["503"]
            assert "database_unavailable" in answer["description"], f"{method} {path}"
            assert set(answer["headers"]) == {"Retry-After"}

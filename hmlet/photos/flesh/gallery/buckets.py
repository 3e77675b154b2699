"""The two private buckets. Originals are written and read by the platform alone; thumbnails are shown by signed URL."""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, ClassVar, Protocol, TypedDict, cast
from urllib.parse import quote

import boto3
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from django.core.files.base import File
from django.core.files.storage import storages
from django.utils.http import content_disposition_header
from storages.backends.s3 import S3Storage
from uploads.staging import Sink, StoredPart

from gallery.objects import CONFIG, Objects
from gallery.signing import UrlSigner

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import ServerSideEncryptionType
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

    class EncryptionArguments(TypedDict, total=False):
        ServerSideEncryption: ServerSideEncryptionType
        SSEKMSKeyId: str


URL_WINDOW = timedelta(minutes=15)
URL_LIFE = timedelta(hours=1)
CACHE_CONTROL = f"private, max-age={int(URL_LIFE.total_seconds())}, immutable"
_NO_KEY = "never-written"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """What a listing tells of an object. ``written`` is by our clock, whatever the storage's says."""

    key: str
    bytes: int
    written: datetime


class Bucket(Protocol):
    """What the gallery asks of a bucket. Keys are ours and unique: writing one again is the same write."""

    def write(self, key: str, content: IO[bytes], content_type: str) -> None: ...

    def read(self, key: str, into: Sink) -> None:
        """Raises FileNotFoundError."""

    def discard(self, key: str) -> None:
        """Delete; no error if there is none."""

    def keys(self, *, older_than: datetime) -> Iterator[str]:
        """All keys last written before then."""

    def listed(self, prefix: str = "") -> Iterator[StoredObject]:
        """All whose keys begin so, in no order."""

    def folders(self) -> Iterator[str]:
        """What keys begin with, up to their first slash and with it; of those that have none, all."""


class ShownBucket(Bucket, Protocol):
    """A bucket whose objects people may look at."""

    def signed_url(self, key: str, content_type: str, *, save_as: str | None = None) -> str: ...


@contextlib.contextmanager
def _missing_is_not_found(key: str) -> Iterator[None]:
    """Raises FileNotFoundError where the server says that there is no such thing."""
    try:
        yield
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            raise FileNotFoundError(key) from error
        raise


def _clock_ahead(headers: Mapping[str, str]) -> timedelta:
    """By how much the clock of who sent these is ahead of ours.

    By a slow clock a new object is an old one, and one that no row names yet would be taken for nobody's.
    """
    told = headers.get("date")
    return parsedate_to_datetime(told) - datetime.now(UTC) if told else timedelta()


def window_start(now: datetime) -> datetime:
    """When the signing window that holds ``now`` began."""
    seconds = int(URL_WINDOW.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, tz=UTC)


class PrivateBucket(S3Storage):  # type: ignore[misc]
    """django-storages' S3 with clients that all threads share, and one request where it makes three."""

    public_endpoint_url: str | None
    encryption: str
    encryption_key: str
    _making: ClassVar[threading.Lock] = threading.Lock()

    def get_default_settings(self) -> dict[str, Any]:
        return {
            **super().get_default_settings(),
            "public_endpoint_url": None,
            "encryption": "none",
            "encryption_key": "",
            "client_config": CONFIG,
            "default_acl": None,
            "querystring_auth": True,
            "file_overwrite": True,
        }

    @cached_property
    def client(self) -> "S3Client":
        """For all but whole objects. Making one costs a hundred milliseconds and 15 MB, for its model of all of S3;
        clients, unlike sessions, may be shared between threads."""
        with self._making:
            session = boto3.session.Session(aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key)
            return session.client(
                "s3",
                region_name=self.region_name,
                endpoint_url=self.endpoint_url,
                config=self.client_config,
                verify=self.verify,
            )

    @cached_property
    def objects(self) -> Objects:
        """What is asked for a single object, by the same keys and rules."""
        return Objects(
            f"{self.endpoint_url}/{self.bucket_name}",
            access_key=self.access_key,
            secret_key=self.secret_key,
            region=self.region_name,
            verify=self.verify,
        )

    def write(self, key: str, content: IO[bytes], content_type: str) -> None:
        """Put an object in one request."""
        length = content.seek(0, os.SEEK_END)
        content.seek(0)
        body = content.getvalue() if isinstance(content, BytesIO) else content
        self.objects.put(key, body, length, {"Content-Type": content_type, **self.encryption_headers()})

    def read(self, key: str, into: Sink) -> None:
        """Copy an object in one request, without holding all of it. Raises FileNotFoundError."""
        with _missing_is_not_found(key):
            self.objects.get(key, into)

    def discard(self, key: str) -> None:
        """Delete an object, if it is there."""
        self.objects.delete(key)

    def keys(self, *, older_than: datetime) -> Iterator[str]:
        """All keys last written before then."""
        return (found.key for found in self.listed() if found.written < older_than)

    def listed(self, prefix: str = "") -> Iterator[StoredObject]:
        """All whose keys begin so, in no order: not every S3 server has one."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket_name, Prefix=prefix)
        for page in pages:
            ahead = _clock_ahead(page["ResponseMetadata"]["HTTPHeaders"])
            for found in page.get("Contents", ()):
                yield StoredObject(key=found["Key"], bytes=found["Size"], written=found["LastModified"] - ahead)

    def folders(self) -> Iterator[str]:
        """What keys begin with, up to their first slash and with it; of those that have none, all."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket_name, Delimiter="/")
        for page in pages:
            for folder in page.get("CommonPrefixes", ()):
                yield folder["Prefix"]
            for alone in page.get("Contents", ()):
                yield alone["Key"]

    def ensure(self) -> bool:
        """Create the bucket if it is not there. True if it was created."""
        try:
            self.client.head_bucket(Bucket=self.bucket_name)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            self.client.create_bucket(Bucket=self.bucket_name)
            return True
        return False

    def check(self) -> None:
        """Raise what the client raises if the bucket cannot be reached with our keys.

        By asking for an object that is not there, because who reads a bucket need not be allowed to ask for it. Who may
        not list it is told by some servers that it may not know.
        """
        try:
            self.objects.get(_NO_KEY, BytesIO())
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchKey", "AccessDenied"}:
                raise

    def encryption_headers(self) -> dict[str, str]:
        """What a put must say so that the server encrypts what it stores; nothing where it does so unasked, or not."""
        if self.encryption == "none":
            return {}
        key = {"x-amz-server-side-encryption-aws-kms-key-id": self.encryption_key} if self.encryption_key else {}
        return {"x-amz-server-side-encryption": self.encryption, **key}

    def _encrypted(self) -> "EncryptionArguments":
        """The same, as boto3 calls it."""
        if self.encryption == "none":
            return {}
        arguments: EncryptionArguments = {"ServerSideEncryption": cast("ServerSideEncryptionType", self.encryption)}
        if self.encryption_key:
            arguments["SSEKMSKeyId"] = self.encryption_key
        return arguments

    @property
    def _public_url(self) -> str:
        """The bucket's, as people reach it."""
        return f"{self.public_endpoint_url or self.endpoint_url}/{self.bucket_name}"

    def _save(self, name: str, content: "File[bytes]") -> str:
        self.write(name, cast(IO[bytes], content), "application/octet-stream")
        return name

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":
        if mode != "rb":
            raise ValueError("objects are written whole")
        content = BytesIO()
        self.read(name, content)
        content.seek(0)
        return File(content, name)

    def url(self, name: str | None, *_: Any, **__: Any) -> str:
        """Refused: a Django widget that finds a URL links to it."""
        raise NotImplementedError("private objects have no URL")


class OriginalsBucket(PrivateBucket):
    """Nothing in here is ever given out. Announced uploads arrive here by signed URL (uploads.staging)."""

    def signed_put(self, key: str, *, headers: Mapping[str, str], query: Mapping[str, str], life: timedelta) -> str:
        """A URL under which anyone may put a body with exactly these headers. Computed here, without the server."""
        keys = Credentials(self.access_key, self.secret_key)
        auth = S3SigV4QueryAuth(keys, "s3", self.region_name, expires=int(life.total_seconds()))
        url = f"{self._public_url}/{quote(key)}"
        request = AWSRequest(method="PUT", url=url, headers=dict(headers), params=dict(query))
        auth.add_auth(request)
        return str(request.url)

    def parts_begin(self, key: str, content_type: str) -> str:
        """The id of a new upload in parts, each with its SHA-256."""
        begun = self.client.create_multipart_upload(
            Bucket=self.bucket_name,
            Key=key,
            ContentType=content_type,
            ChecksumAlgorithm="SHA256",
            **self._encrypted(),
        )
        return begun["UploadId"]

    def parts_list(self, key: str, multipart: str) -> list[StoredPart]:
        """What has arrived. Raises FileNotFoundError when the upload is over."""
        with _missing_is_not_found(key):
            found = self.client.list_parts(Bucket=self.bucket_name, Key=key, UploadId=multipart)
        return [
            StoredPart(
                number=part["PartNumber"], bytes=part["Size"], etag=part["ETag"], sha256=part.get("ChecksumSHA256")
            )
            for part in found.get("Parts", ())
        ]

    def parts_join(self, key: str, multipart: str, parts: Sequence[StoredPart]) -> None:
        """Make one object of them. Raises FileNotFoundError when the upload is over."""
        named: list[CompletedPartTypeDef] = [
            {"PartNumber": part.number, "ETag": part.etag, **({"ChecksumSHA256": part.sha256} if part.sha256 else {})}
            for part in parts
        ]
        with _missing_is_not_found(key):
            self.client.complete_multipart_upload(
                Bucket=self.bucket_name, Key=key, UploadId=multipart, MultipartUpload={"Parts": named}
            )

    def parts_abort(self, key: str, multipart: str) -> None:
        """Forget what has arrived. Raises FileNotFoundError when the upload is over."""
        with _missing_is_not_found(key):
            self.client.abort_multipart_upload(Bucket=self.bucket_name, Key=key, UploadId=multipart)


class ThumbnailsBucket(PrivateBucket):
    """Given out by signed URL."""

    _signer: UrlSigner | None = None

    def signed_url(self, key: str, content_type: str, *, save_as: str | None = None) -> str:
        """A URL under which anyone may get the object for up to an hour. Computed here, without asking the server.

        The type is signed along, because not every S3 server remembers it; so is the name that a browser saves it as,
        and that a browser may keep it: without being told it would ask for the same object on each page.
        """
        params = {"response-cache-control": CACHE_CONTROL, "response-content-type": content_type}
        if save_as:
            params["response-content-disposition"] = content_disposition_header(True, save_as) or "attachment"
        return self._signer_now().signed(key, params)

    def _signer_now(self) -> UrlSigner:
        """Signs for the start of the current window rather than for now, so that a URL stays the same for a while:
        browsers and proxies cache by it."""
        moment = window_start(datetime.now(UTC))
        signer = self._signer
        if signer is None or signer.moment != moment:
            signer = self._signer = UrlSigner(
                self._public_url,
                access_key=self.access_key,
                secret_key=self.secret_key,
                region=self.region_name,
                moment=moment,
                life=URL_LIFE,
            )
        return signer


def originals() -> Bucket:
    """Where originals are."""
    return cast(Bucket, storages["originals"])


def thumbnails() -> ShownBucket:
    """Where renditions are."""
    return cast(ShownBucket, storages["thumbnails"])

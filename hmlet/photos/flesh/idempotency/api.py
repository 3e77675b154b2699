"""The header ``Idempotency-Key`` for views (draft-ietf-httpapi-idempotency-key-header): sent twice, done once."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files.base import File
from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from idempotency.errors import KeyMalformed
from idempotency.services import Answered, Claim, key_claim, key_release

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
PARAMETER = OpenApiParameter(
    HEADER,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description=(
        "Up to 255 characters of your choice. The request may then be repeated for 24 hours: what was done is not done "
        f"again, and the answer is the first one with `{REPLAYED}: true`. 422 for another request under the same key; "
        "409 with `Retry-After` while the first is worked on. A request that was refused may be corrected and sent "
        "under the same key."
    ),
)

_key = re.compile(r'"?([!#-~]{1,255}|[!#-~][ -~]{0,253}[!#-~])"?')


def once(request: Request, act: Callable[[Claim | None], Response]) -> Response:
    """Call ``act`` unless it was done before under the request's key; then give the answer of that time.

    ``act`` completes the claim in the transaction of its work. It gets None, at no cost, where there is no key.
    """
    header = request.headers.get(HEADER)
    if header is None:
        return act(None)
    matched = _key.fullmatch(header.strip())
    if matched is None:
        raise KeyMalformed
    owner = cast(AbstractBaseUser, request.user)
    claim = key_claim(owner=owner, key=matched[1], fingerprint=fingerprint(request))
    if isinstance(claim, Answered):
        return Response(claim.body, status=claim.status, headers={**claim.headers, REPLAYED: "true"})
    try:
        return act(claim)
    except BaseException:
        key_release(claim)
        raise


def fingerprint(request: Request) -> str:
    """SHA-256 of what is asked: method, path, fields and the files' bytes, however they were wrapped for sending."""
    asked = [request.method, request.path, list(_fields(request.data))]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def _fields(given: Any) -> Iterator[Any]:
    if not isinstance(given, QueryDict):
        yield given
        return
    fields = cast(Mapping[str, list[Any]], dict(given.lists()))
    for name in sorted(fields):
        yield [name, [_digest(value) if isinstance(value, File) else value for value in fields[name]]]


def _digest(file: "File[bytes]") -> str:
    file.seek(0)
    digest = hashlib.file_digest(cast(BinaryIO, file.file), "sha256").hexdigest()  # type: ignore[arg-type]
    file.seek(0)
    return digest

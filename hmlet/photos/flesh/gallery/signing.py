"""Signs URLs under which anyone may GET an object of a bucket: AWS Signature Version 4 in the query.

By Amazon's "Authenticating Requests: Using Query Parameters". botocore signs as well, always for now, and takes seven
times as long; a page of photos has a hundred and sixty URLs. Here what those of one window share is worked out once.
"""

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import reduce
from hashlib import sha256
from urllib.parse import quote, urlencode, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"


class UrlSigner:
    """Signs as of ``moment``, for the time of ``life``. ``bucket_url`` is the bucket's, as people reach it."""

    def __init__(
        self, bucket_url: str, *, access_key: str, secret_key: str, region: str, moment: datetime, life: timedelta
    ) -> None:
        parts = urlsplit(bucket_url)
        stamp, scope = f"{moment:%Y%m%dT%H%M%SZ}", (f"{moment:%Y%m%d}", region, "s3", "aws4_request")
        self.moment = moment
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._path = quote(parts.path)
        # In the order of the alphabet, as the server sorts them: what follows begins with a small letter.
        self._shared = urlencode(
            {
                "X-Amz-Algorithm": ALGORITHM,
                "X-Amz-Credential": "/".join((access_key, *scope)),
                "X-Amz-Date": stamp,
                "X-Amz-Expires": int(life.total_seconds()),
                "X-Amz-SignedHeaders": "host",
            }
        )
        self._canonical_end = f"host:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
        self._to_sign = f"{ALGORITHM}\n{stamp}\n{'/'.join(scope)}\n"
        self._key = reduce(
            lambda key, part: hmac.digest(key, part.encode(), "sha256"), scope, f"AWS4{secret_key}".encode()
        )

    def signed(self, key: str, params: Mapping[str, str]) -> str:
        """The URL of the object of this key. ``params`` are signed along; their names begin with small letters."""
        path = f"{self._path}/{quote(key)}"
        query = f"{self._shared}&{urlencode(sorted(params.items()), quote_via=quote, safe='')}"
        canonical = sha256(f"GET\n{path}\n{query}\n{self._canonical_end}".encode()).hexdigest()
        signature = hmac.digest(self._key, f"{self._to_sign}{canonical}".encode(), "sha256").hex()
        return f"{self._origin}{path}?{query}&X-Amz-Signature={signature}"

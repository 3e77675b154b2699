"""Questions that readiness checks ask of a program's port."""

import http.client

from pl.host.platform import NotReadyError

_ANSWER_WITHIN_S = 5


def http_status(port: int, path: str) -> int:
    """The status with which a server on the loopback address answers GET. Raises NotReadyError where none does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_WITHIN_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NotReadyError(str(error)) from None
    finally:
        connection.close()

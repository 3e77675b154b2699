"""What can be wrong with a key."""

from ops.errors import PlatformError


class KeyMalformed(PlatformError):
    """The header holds no key."""

    code = "idempotency_key_malformed"

    def __init__(self) -> None:
        super().__init__("An Idempotency-Key is 1 to 255 visible ASCII characters; a random UUID is a good one.")


class KeyReused(PlatformError):
    """The key stands for another request."""

    code = "idempotency_key_reused"
    status = 422

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key came with another request before. Take a new key for a new request.")


class KeyBusy(PlatformError):
    """The same request is being worked on."""

    code = "idempotency_key_busy"
    status = 409
    retryable = True
    retry_after_s = 1

    def __init__(self) -> None:
        super().__init__("The request with this Idempotency-Key is still being worked on. Send it again in a moment.")

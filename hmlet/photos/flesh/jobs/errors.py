"""Why a job ends without its work done."""


class JobError(Exception):
    """Raised by a handler. ``code`` is stable, the owner reads the message; ``retryable`` asks for another attempt."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable

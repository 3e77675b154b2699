"""Why somebody does not come in."""

from ops.errors import PlatformError


class TokenRefused(PlatformError):
    """A token that is none of ours, not of this kind, has expired, or whose sign-in has ended."""

    code = "token_not_valid"
    status = 401
    challenge = 'Bearer realm="api"'

    def __init__(self, message: str = "This token is not good, or not any more. Sign in again.") -> None:
        super().__init__(message)


class TokenReused(TokenRefused):
    """A refresh token that was used before: it, or the one that came of it, is in wrong hands."""

    code = "token_reused"

    def __init__(self) -> None:
        super().__init__("This token was used before, so its sign-in has ended. Sign in again.")


class WrongCredentials(PlatformError):
    """Nobody has this name and this password, or not any more: which of it is nobody's business."""

    code = "no_active_account"
    status = 401
    challenge = 'Bearer realm="api"'

    def __init__(self) -> None:
        super().__init__("No active account has this username and this password.")


class LoginThrottled(PlatformError):
    """Too many logins have failed; whether this one would have is not looked at."""

    code = "throttled"
    status = 429
    retryable = True

    def __init__(self, *, retry_after_s: int) -> None:
        minutes = -(-retry_after_s // 60)
        super().__init__(f"Too many logins have failed. Wait for {minutes} min and try again.")
        self.retry_after_s = retry_after_s

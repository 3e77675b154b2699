"""What can be wrong with how much one holds."""

from ops.errors import PlatformError


class QuotaExceeded(PlatformError):
    """The owner would hold more than they may."""

    code = "quota_exceeded"
    status = 413

    def __init__(self, *, used: int, quota: int) -> None:
        free = max(0, quota - used) / 1_048_576
        message = f"Of your {quota / 1_048_576:.4g} MB of storage {free:.4g} MB are free. Delete some photos first."
        super().__init__(message, errors={"image": [message]})

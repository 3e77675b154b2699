"""What can go wrong with a photo, as its owner hears of it."""

from imaging.errors import ImageError
from ops.errors import PlatformError


class NameTaken(PlatformError):
    """The owner has a photo of this name."""

    code = "name_taken"
    status = 409

    def __init__(self, name: str) -> None:
        message = f"You have a photo named “{name}” already. Choose another name, or change that photo."
        super().__init__(message, errors={"name": [message]})


class ImageRefused(PlatformError):
    """The file is no image that we take. The code says why."""

    def __init__(self, error: ImageError) -> None:
        super().__init__(error.message, errors={"image": [error.message]})
        self.code = error.code


class ImageBytesLimit(PlatformError):
    """The file has more bytes than a photo may."""

    code = "image_bytes_limit"
    status = 413

    def __init__(self, limit: int) -> None:
        message = f"A photo may have {limit / 1_048_576:.4g} MB. Scale it down or save it with more compression."
        super().__init__(message, errors={"image": [message]})


class StorageUnavailable(PlatformError):
    """The object storage does not answer. Nothing was stored."""

    code = "storage_unavailable"
    status = 503
    retryable = True

    def __init__(self) -> None:
        super().__init__("The photo could not be stored at the moment. Nothing was kept of it; try again in a minute.")

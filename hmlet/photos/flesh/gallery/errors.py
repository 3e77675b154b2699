"""What can go wrong with a photo, as its owner hears of it."""

from imaging.errors import ImageError
from ops.errors import PlatformError
from uploads.errors import ImageBytesLimit, StorageUnavailable

__all__ = ["ImageBytesLimit", "ImageRefused", "NameTaken", "StorageUnavailable"]


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

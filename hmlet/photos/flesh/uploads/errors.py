"""What can go wrong with bytes on their way to us."""

from ops.errors import NotFound, PlatformError, Unavailable


class ImageBytesLimit(PlatformError):
    """The file has more bytes than a photo may."""

    code = "image_bytes_limit"
    status = 413

    def __init__(self, limit: int) -> None:
        message = f"A photo may have {limit / 1_048_576:.4g} MB. Scale it down or save it with more compression."
        super().__init__(message, errors={"image": [message]})


class StorageUnavailable(Unavailable):
    """The object storage does not answer. Nothing was stored."""

    code = "storage_unavailable"

    def __init__(self) -> None:
        super().__init__("The photo could not be stored at the moment. Nothing was kept of it; try again in a minute.")


class UploadsOpenLimit(PlatformError):
    """The caller has announced more than may be open at once."""

    code = "uploads_open_limit"
    status = 409

    def __init__(self, limit: int) -> None:
        super().__init__(f"You have {limit} uploads that are not finalised. Finalise or delete some of them first.")


class UploadIncomplete(PlatformError):
    """Not all of the bytes are there."""

    code = "upload_incomplete"
    status = 409

    def __init__(self, missing: str) -> None:
        super().__init__(f"The upload is not complete: {missing}. Put what is missing, then finalise again.")


class UploadMismatch(PlatformError):
    """The bytes are not those that were announced. The upload is discarded."""

    code = "upload_mismatch"

    def __init__(self, difference: str) -> None:
        message = f"What was uploaded is not what was announced: {difference}. It was discarded; begin a new upload."
        super().__init__(message, errors={"image": [message]})


class UploadUsed(PlatformError):
    """The upload is a photo's image already."""

    code = "upload_used"
    status = 409

    def __init__(self) -> None:
        message = "This upload is the image of a photo already."
        super().__init__(message, errors={"image": [message]})


class UploadInOnePiece(PlatformError):
    """Parts were asked for where there are none."""

    code = "upload_in_one_piece"
    status = 409

    def __init__(self) -> None:
        super().__init__("This upload is put in one piece, by the URL in `put`.")


def upload_missing() -> NotFound:
    """The one answer for an upload that is not there, has expired, or is another's."""
    return NotFound("There is no such upload. It may have expired; begin a new one.")

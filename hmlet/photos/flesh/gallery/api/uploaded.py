"""Uploads that a request names as the image of a photo."""

import uuid

from ops.errors import InvalidInput, NotFound
from rest_framework.request import Request
from uploads.models import DirectUpload
from uploads.selectors import upload_get_own


def upload_named(request: Request, upload_id: uuid.UUID) -> DirectUpload:
    """The caller's upload. Raises InvalidInput that names the field when there is none."""
    try:
        return upload_get_own(owner=request.user, upload_id=upload_id)
    except NotFound as error:
        raise InvalidInput(error.message, errors={"image": [error.message]}) from error

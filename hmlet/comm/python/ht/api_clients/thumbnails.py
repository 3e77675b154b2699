"""Thumbnails of images that become no photo."""

from __future__ import annotations

from ht.api_clients.jobs import Job
from ht.connection import Connection
from ht.multipart import Image, MultipartBody, Progress, opened_image

PATH = "/api/v1/thumbnails/"


class Thumbnails:
    """``client.thumbnails``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, image: Image, *, box: tuple[int, int] | None = None, progress: Progress | None = None) -> Job:
        """Sends ``image`` and gives the job that makes its thumbnail, which fits into ``box`` (width, height in pixels,
        up to 1440, 100 by 100 if left out) in proportion.

        Image and thumbnail are kept for a set time, some hours. ``progress`` is called with the bytes sent and their
        total. Raises Unsendable (no such file), Invalid (no image, or no such box), TooLarge.

        Example::

            job = client.jobs.wait_until_done(client.thumbnails.create("cat.png", box=(320, 200)))
            Path("small.jpg").write_bytes(client.jobs.thumbnail(job))
        """
        fields = {} if box is None else {"box": f"{box[0]}x{box[1]}"}
        with opened_image(image) as file:
            body = MultipartBody(fields.items(), files={"image": file}, progress=progress)
            return Job.from_json(self._connection.request("POST", PATH, body=body))

"""What is done in workers: make the thumbnail."""

from io import BytesIO

from gallery.buckets import originals, thumbnails
from gallery.work_errors import as_job_errors
from imaging.confined import renditions_confined
from imaging.renditions import Pictures, Wanted
from jobs.errors import JobError
from jobs.handlers import Write
from jobs.models import Job

from thumbnails.models import LooseImage

EXPIRED = JobError("image_expired", "The image was kept for a set time, and is gone. Send it again.")


class FileThumbnailHandler:
    """Loose image in, thumbnail out."""

    def work(self, job: Job) -> Write:
        image = LooseImage.objects.filter(pk=job.subject).first() if job.subject else None
        if image is None:
            raise EXPIRED
        wanted = Wanted(kind="box", box=(image.box_width, image.box_height))
        with as_job_errors(missing=EXPIRED):
            made = renditions_confined(
                [wanted], size_bytes=image.bytes, feed=lambda sink: originals().read(image.key, sink)
            )
            (thumbnail,) = made.pictures
            thumbnails().write(image.thumbnail_key, BytesIO(thumbnail.content), thumbnail.content_type)
        return lambda: _thumbnail_write(image, made)

    def give_up(self, job: Job, error: JobError) -> None:
        """The job says it all."""

    def take_up(self, job: Job) -> None:
        """The job says it all."""


def _thumbnail_write(image: LooseImage, made: Pictures) -> None:
    (thumbnail,) = made.pictures
    LooseImage.objects.filter(pk=image.pk).update(
        width=made.source_width,
        height=made.source_height,
        thumbnail_content_type=thumbnail.content_type,
        thumbnail_bytes=len(thumbnail.content),
        thumbnail_width=thumbnail.width,
        thumbnail_height=thumbnail.height,
    )

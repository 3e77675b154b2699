"""Jobs on the wire."""

from typing import Any

from ops.page_requests import PageSerializer
from rest_framework import serializers
from rest_framework.reverse import reverse

from jobs.models import Job
from jobs.pictures import Thumbnail
from jobs.selectors import JobView

EVENTS = ("queued", "started", "done", "failed", "cancelled")


class EventSerializer(serializers.Serializer[Any]):
    event = serializers.ChoiceField(
        choices=EVENTS, help_text="`failed`: this attempt did. `queued` lies ahead where a further one is to come."
    )
    at = serializers.DateTimeField()
    attempt = serializers.IntegerField()
    code = serializers.CharField(allow_blank=True, help_text="Why the attempt failed; else empty.")
    message = serializers.CharField(allow_blank=True)


class JobFailureSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Stable; for programs.")
    message = serializers.CharField(help_text="For people.")
    retryable = serializers.BooleanField(help_text="Whether the same may go well another time.")


class OriginalSerializer(serializers.Serializer[Any]):
    path = serializers.CharField(allow_blank=True, help_text="The file's name as it was submitted, and no way to it.")
    bytes = serializers.IntegerField()
    width = serializers.IntegerField(help_text="Pixels, as shown.")
    height = serializers.IntegerField()


class JobThumbnailSerializer(serializers.Serializer[Any]):
    path = serializers.URLField(help_text="Redirects the job's owner to the thumbnail.")
    bytes = serializers.IntegerField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()


class JobSerializer(serializers.Serializer[Any]):
    """A JobView."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Job.Kind.choices)
    state = serializers.ChoiceField(choices=Job.State.choices)
    username = serializers.CharField(allow_null=True, help_text="The owner's; null for the platform's own work.")
    name = serializers.CharField(allow_blank=True, help_text="Of the file, as it was submitted.")
    attempts = serializers.IntegerField(help_text="How many were begun.")
    created = serializers.DateTimeField()
    started = serializers.DateTimeField(allow_null=True, help_text="The last attempt.")
    finished = serializers.DateTimeField(allow_null=True)
    failure = JobFailureSerializer(allow_null=True, help_text="Why the job, or its last attempt so far, failed.")
    timeline = EventSerializer(many=True)
    original = OriginalSerializer(allow_null=True, help_text="Null when it is not known any more.")
    thumbnail = JobThumbnailSerializer(allow_null=True, help_text="Null until it is made and after it is gone.")

    def to_representation(self, instance: JobView) -> dict[str, Any]:
        job, pictures = instance.job, instance.pictures
        failure = {"code": job.error_code, "message": job.error_message, "retryable": job.error_retryable}
        original = pictures.original if pictures else None
        told = {
            "id": job.pk,
            "kind": job.kind,
            "state": job.state,
            "username": job.owner.get_username() if job.owner else None,
            "name": job.name,
            "attempts": job.attempts,
            "created": job.created,
            "started": job.started,
            "finished": job.finished,
            "failure": failure if job.error_code else None,
            "timeline": instance.timeline,
            "original": {"path": job.name, **_size(original)} if original else None,
            "thumbnail": self._thumbnail(job, pictures.thumbnail if pictures else None),
        }
        shown: dict[str, Any] = super().to_representation(told)
        return shown

    def _thumbnail(self, job: Job, thumbnail: Thumbnail | None) -> dict[str, Any] | None:
        if thumbnail is None:
            return None
        path = reverse("job-thumbnail", args=[job.pk], request=self.context["request"])
        return {"path": path, **_size(thumbnail)}


class JobPageSerializer(PageSerializer):
    """A page of jobs and the addresses of its neighbours."""

    results = JobSerializer(many=True)


def _size(picture: Any) -> dict[str, int]:
    return {"bytes": picture.bytes, "width": picture.width, "height": picture.height}

"""Comparisons on the wire. Checks of types and ranges are here; rules are the services'."""

from typing import Any

from imaging.confined_diff import IGNORED_MAX
from imaging.diff_options import CHOICES, RANGES, DiffOptions
from ops.page_requests import PageSerializer
from rest_framework import serializers
from rest_framework.reverse import reverse

from diffs.api.fields import IMAGE_WANTED, BoxField, Chosen, ImageField, PhotoIdField
from diffs.models import Diff, Side
from diffs.selectors import picture_url

USUAL = DiffOptions()
PICTURE_SIDE_MAX = 4096
"""Of the picture, in pixels; more would be a picture of tens of megabytes."""
LIMITS: dict[str, tuple[int, int]] = {**RANGES, "picture_side_max": (RANGES["picture_side_max"][0], PICTURE_SIDE_MAX)}


def _number(name: str, told: str) -> serializers.IntegerField:
    low, high = LIMITS[name]
    usual = getattr(USUAL, name)
    text = f"{told} From {low} to {high}; {usual} if left out."
    return serializers.IntegerField(required=False, min_value=low, max_value=high, help_text=text)


def _word(name: str, told: str) -> serializers.ChoiceField:
    return serializers.ChoiceField(
        required=False, choices=CHOICES[name], help_text=f"{told} `{getattr(USUAL, name)}` if left out."
    )


class DiffOptionsSerializer(serializers.Serializer[Any]):
    """How two images are compared, and whether that is kept."""

    threshold = _number("threshold", "A pixel has changed when a channel did by more than this, of 255.")
    area_min = _number("area_min", "Regions with fewer changed pixels are dropped.")
    merge_distance = _number("merge_distance", "Regions closer than so many pixels become one.")
    shift_max = _number("shift_max", "The second image may stand so many pixels beside the first.")
    picture_side_max = _number("picture_side_max", "The annotated picture's longest side, in pixels.")
    noise = _word("noise", "Whether to see through what JPEG, WebP or a sensor do to every pixel.")
    alignment = _word("alignment", "What to do with two sizes.")
    layout = _word("layout", "The two images in the picture.")
    ignore = serializers.ListField(
        child=BoxField(),
        required=False,
        max_length=IGNORED_MAX,
        help_text=f"Boxes `X,Y,W,H` in which nothing counts, up to {IGNORED_MAX}; the field may be repeated.",
    )
    keep = Chosen(required=False, help_text="Keep and list it. As the stage says if left out, which is mostly not.")


class DiffCreateFormSerializer(DiffOptionsSerializer):
    """A form: each image a file, or the id of a photo."""

    before = ImageField(help_text=IMAGE_WANTED)
    after = ImageField(help_text=IMAGE_WANTED)


class DiffCreateSerializer(DiffOptionsSerializer):
    """JSON: two photos by their ids."""

    before = PhotoIdField(help_text="A photo that you may see. Another's takes part as its 1440 rendition.")
    after = PhotoIdField(help_text="A photo that you may see.")


class SideSerializer(serializers.Serializer[Any]):
    photo = serializers.UUIDField(allow_null=True, help_text="Null for a file.")
    name = serializers.CharField(allow_blank=True, help_text="Of the file as it was submitted, or of the photo.")
    width = serializers.IntegerField(allow_null=True, help_text="Pixels, as compared; of a photo null until then.")
    height = serializers.IntegerField(allow_null=True)


class RegionSerializer(serializers.Serializer[Any]):
    """A box around changed pixels, in pixels of the first image."""

    x = serializers.IntegerField()
    y = serializers.IntegerField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    area = serializers.IntegerField(help_text="How many pixels have changed in it.")
    mean = serializers.FloatField(help_text="Their change, of 255.")
    peak = serializers.IntegerField(help_text="The largest of their changes.")


class ShiftSerializer(serializers.Serializer[Any]):
    right = serializers.IntegerField()
    down = serializers.IntegerField()


class ChangesSerializer(serializers.Serializer[Any]):
    """What changed from the first image to the second."""

    regions_found = serializers.IntegerField()
    pixels_changed = serializers.IntegerField(help_text="Those inside regions.")
    pixels_compared = serializers.IntegerField()
    share_changed = serializers.FloatField()
    aligned = serializers.CharField(allow_null=True, help_text="How two sizes were made one; null for one size.")
    shift = ShiftSerializer(help_text="How far the second stands of the first, in pixels.")


class PictureSerializer(serializers.Serializer[Any]):
    url = serializers.URLField(help_text="Signed; the same for some minutes, valid for up to an hour. PNG.")
    bytes = serializers.IntegerField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()


class DiffFailureSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Stable; for programs.")
    message = serializers.CharField(help_text="For people.")


class DiffSummarySerializer(serializers.Serializer[Any]):
    """A Diff with its sides, without its regions."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=Diff.State.choices)
    keep = serializers.BooleanField()
    job = serializers.URLField(help_text="What is done for it, with its timeline; jobs are forgotten after some weeks.")
    created = serializers.DateTimeField()
    finished = serializers.DateTimeField(allow_null=True)
    before = SideSerializer()
    after = SideSerializer()
    failure = DiffFailureSerializer(allow_null=True)
    changes = ChangesSerializer(allow_null=True, help_text="Null until it is done.")
    picture = PictureSerializer(allow_null=True, help_text="Both images with a box around each change.")

    def to_representation(self, instance: Diff) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(self.told(instance))
        return shown

    def told(self, diff: Diff) -> dict[str, Any]:
        sides = {side.place: side for side in diff.sides.all()}
        failure = {"code": diff.failure_code, "message": diff.failure_message}
        return {
            "id": diff.pk,
            "state": diff.state,
            "keep": diff.keep,
            "job": reverse("job-detail", args=[diff.job_id], request=self.context["request"]),
            "created": diff.created,
            "finished": diff.finished,
            "before": _side(sides[Side.Place.BEFORE]),
            "after": _side(sides[Side.Place.AFTER]),
            "failure": failure if diff.failure_code else None,
            "changes": _changes(diff) if diff.regions_found is not None else None,
            "picture": _picture(diff),
        }


class DiffSerializer(DiffSummarySerializer):
    """All of it."""

    options = DiffOptionsSerializer(help_text="As they were used.")
    regions = RegionSerializer(many=True, help_text="By area, the largest first; a thousand at most.")

    def told(self, diff: Diff) -> dict[str, Any]:
        names = ("x", "y", "width", "height", "area", "mean", "peak")
        return {
            **super().told(diff),
            "options": {
                **diff.options,
                "ignore": [",".join(map(str, box)) for box in diff.options["ignore"]],
                "keep": diff.keep,
            },
            "regions": [dict(zip(names, region, strict=True)) for region in diff.regions],
        }


class DiffPageSerializer(PageSerializer):
    """A page of comparisons and the addresses of its neighbours."""

    results = DiffSummarySerializer(many=True)


def _side(side: Side) -> dict[str, Any]:
    return {"photo": side.photo_id, "name": side.name, "width": side.width, "height": side.height}


def _changes(diff: Diff) -> dict[str, Any]:
    return {
        "regions_found": diff.regions_found,
        "pixels_changed": diff.pixels_changed,
        "pixels_compared": diff.pixels_compared,
        "share_changed": diff.share_changed,
        "aligned": diff.aligned or None,
        "shift": {"right": diff.shift_right, "down": diff.shift_down},
    }


def _picture(diff: Diff) -> dict[str, Any] | None:
    url = picture_url(diff)
    if url is None:
        return None
    return {"url": url, "bytes": diff.picture_bytes, "width": diff.picture_width, "height": diff.picture_height}

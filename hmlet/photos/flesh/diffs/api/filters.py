"""Query parameters of the list of comparisons."""

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from diffs.models import Diff


class DiffFilter(filters.FilterSet):  # type: ignore[misc]
    """Each narrows what the caller sees anyway."""

    state = filters.ChoiceFilter(choices=Diff.State.choices)
    changed = filters.ChoiceFilter(
        choices=[("true", "true"), ("false", "false")],
        method="changed_is",
        label="Whether anything changed, of those that are done.",
    )
    photo = filters.UUIDFilter(method="photo_is", label="A photo that takes part.")
    created_after = filters.IsoDateTimeFilter(field_name="created", lookup_expr="gte", label="From this moment on.")
    created_before = filters.IsoDateTimeFilter(field_name="created", lookup_expr="lt", label="Before this moment.")

    class Meta:
        model = Diff
        fields = ("state", "changed", "photo", "created_after", "created_before")

    def changed_is(self, diffs: QuerySet[Diff], name: str, value: str) -> QuerySet[Diff]:
        return diffs.filter(regions_found__gt=0) if value == "true" else diffs.filter(regions_found=0)

    def photo_is(self, diffs: QuerySet[Diff], name: str, value: str) -> QuerySet[Diff]:
        # A subquery: one comparison of a photo with itself is one row.
        return diffs.filter(pk__in=Diff.objects.filter(sides__photo_id=value).values("pk"))

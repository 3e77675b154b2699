"""Query parameters of the list of photos."""

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from gallery.models import Photo
from gallery.text import tag_fold


class PhotoFilter(filters.FilterSet):  # type: ignore[misc]
    """Each narrows what the caller sees anyway."""

    search = filters.CharFilter(field_name="owner__username", lookup_expr="icontains", label="Part of a username.")
    owner = filters.ChoiceFilter(choices=[("me", "me")], method="owner_is", label="`me`: the caller's own alone.")
    draft = filters.ChoiceFilter(
        choices=[("true", "true"), ("false", "false")], method="draft_is", label="Drafts alone, or none."
    )
    tag = filters.CharFilter(method="tag_is", label="A tag of the caption, with or without `#`.")

    class Meta:
        model = Photo
        fields = ("search", "owner", "draft", "tag")

    def owner_is(self, photos: QuerySet[Photo], name: str, value: str) -> QuerySet[Photo]:
        return photos.filter(owner_id=self.request.user.pk)

    def draft_is(self, photos: QuerySet[Photo], name: str, value: str) -> QuerySet[Photo]:
        return photos.filter(draft=value == "true")

    def tag_is(self, photos: QuerySet[Photo], name: str, value: str) -> QuerySet[Photo]:
        return photos.filter(tag_rows__name=tag_fold(value.removeprefix("#")))

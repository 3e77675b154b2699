"""Query parameters of the list of jobs."""

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from jobs.models import Job


class JobFilter(filters.FilterSet):  # type: ignore[misc]
    """Each narrows what the caller sees anyway."""

    state = filters.ChoiceFilter(choices=Job.State.choices, label="`failed` is the list of what went wrong.")
    kind = filters.ChoiceFilter(choices=Job.Kind.choices)
    owner = filters.CharFilter(method="owner_is", label="`me`, or a username, which only staff sees others' jobs by.")
    created_after = filters.IsoDateTimeFilter(field_name="created", lookup_expr="gte", label="From this moment on.")
    created_before = filters.IsoDateTimeFilter(field_name="created", lookup_expr="lt", label="Before this moment.")

    class Meta:
        model = Job
        fields = ("state", "kind", "owner", "created_after", "created_before")

    def owner_is(self, jobs: QuerySet[Job], name: str, value: str) -> QuerySet[Job]:
        if value == "me":
            return jobs.filter(owner_id=self.request.user.pk)
        return jobs.filter(owner__username=value)

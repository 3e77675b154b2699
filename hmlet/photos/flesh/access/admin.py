"""Sign-ins for those who run the platform: to look at, and to end."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from access.models import SignIn
from access.services import sign_ins_revoke


@admin.register(SignIn)
class SignInAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read only but for its action. Ids of tokens are left out, though nobody could make a token of one."""

    list_display = ("id", "user", "created", "refreshed", "expires", "ended", "end")
    list_filter = ("end", "created", ("user", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("user",)
    search_fields = ("id", "user__username")
    fields = ("id", "user", "created", "refreshed", "expires", "ended", "end")
    readonly_fields = fields
    ordering = ("-created",)
    show_full_result_count = False
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: SignIn | None = None) -> bool:
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Who may change sign-ins by Django's permissions, though not by a form."""
        return super().has_change_permission(request)

    @admin.action(description="End the selected sign-ins", permissions=["act"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[SignIn]) -> None:
        messages.success(request, f"{sign_ins_revoke(queryset)} sign-ins ended.")

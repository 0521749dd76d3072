from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from calotype.product.accounts.models import Account
from calotype.web.models import Session

if TYPE_CHECKING:  # generic in its stubs only
    AccountUserAdmin = UserAdmin[Account]
else:
    AccountUserAdmin = UserAdmin


def admin_log_in(request: HttpRequest) -> HttpResponse:
    """The admin has no log-in of its own: the site's has the rate limits."""
    if request.user.is_authenticated:
        raise PermissionDenied("this account may not use the admin")
    return HttpResponseRedirect(f"{reverse('log_in')}?{request.META['QUERY_STRING']}")


@admin.register(Account)
class AccountAdmin(AccountUserAdmin):
    """Accounts are made by signing up, since a person in the graph belongs to each."""

    list_display = ("username", "email", "date_joined", "is_active", "is_staff")
    list_filter = ("is_staff", "is_active")
    search_fields = ("username", "email")
    ordering = ("-date_joined",)
    readonly_fields = ("id", "username", "date_joined", "last_login")
    fieldsets = (
        (None, {"fields": ("id", "username", "email", "language", "password")}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        """Whoever may no longer log in is out at once."""
        super().save_model(request, obj, form, change)
        if not obj.is_active:
            Session.objects.filter(account_id=obj.pk).delete()

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """A password that was changed here ends all sessions that the old one began."""
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            Session.objects.filter(account_id=int(id)).delete()
        return response

    def has_add_permission(self, request: object) -> bool:
        return False

    def has_delete_permission(self, request: object, obj: object = None) -> bool:
        return False

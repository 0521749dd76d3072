from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from calotype.product.accounts.models import Account

if TYPE_CHECKING:  # generic in its stubs only
    AccountUserAdmin = UserAdmin[Account]
else:
    AccountUserAdmin = UserAdmin


@admin.register(Account)
class AccountAdmin(AccountUserAdmin):
    """Accounts are made by signing up, since a person in the graph belongs to each."""

    list_display = ("username", "email", "date_joined", "is_active", "is_staff")
    list_filter = ("is_staff", "is_active")
    search_fields = ("username", "email")
    ordering = ("-date_joined",)
    readonly_fields = ("id", "username", "date_joined", "last_login")
    fieldsets = (
        (None, {"fields": ("id", "username", "email", "password")}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )

    def has_add_permission(self, request: object) -> bool:
        return False

    def has_delete_permission(self, request: object, obj: object = None) -> bool:
        return False

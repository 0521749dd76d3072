"""What an account keeps in Django's ORM: how to sign in and what it may do. Everything public is in the graph."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _


class AccountManager(BaseUserManager["Account"]):
    def create_user(self, id: int, username: str, email: str, password: str, **more: Any) -> Account:
        account = self.model(id=id, username=username, email=email, **more)
        account.set_password(password)
        account.save(using=self._db, force_insert=True)
        return account


class Account(AbstractBaseUser, PermissionsMixin):
    """`id` is that of the person in the graph, and carries their logical shard."""

    id = models.BigIntegerField(primary_key=True)
    username = models.CharField(_("user name"), max_length=30, unique=True)
    email = models.EmailField(_("e-mail"), max_length=254)
    is_staff = models.BooleanField(_("may use the admin"), default=False)
    is_active = models.BooleanField(_("may log in"), default=True)
    language = models.CharField(_("language"), max_length=16, blank=True, default="", db_default="")
    """What its owner chose, for mails and for browsers in which they log in; empty: nothing."""
    date_joined = models.DateTimeField(_("joined"), auto_now_add=True)

    objects: ClassVar[AccountManager] = AccountManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        constraints = (models.UniqueConstraint(Lower("email"), name="accounts_email_once"),)

    def __str__(self) -> str:
        return f"@{self.username}"

    def get_short_name(self) -> str:
        return self.username

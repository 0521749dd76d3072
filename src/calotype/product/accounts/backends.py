"""Sign in with a user name or an e-mail address, in the same time whether or not there is such an account."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db.models import Q
from django.http import HttpRequest

from calotype.product.accounts.models import Account
from calotype.product.accounts.names import canonical


class AccountBackend(ModelBackend):
    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Account | None:
        if username is None or password is None or "\0" in username:
            return None
        account = Account.objects.filter(
            Q(username=canonical(username)) | Q(email__iexact=username.strip())
        ).first()
        if account is None:
            Account().set_password(password)  # as long as checking one takes
            return None
        if account.check_password(password) and self.user_can_authenticate(account):
            return account
        return None

"""What people may put into account forms."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from calotype.product.accounts import names
from calotype.product.accounts.types import BIO_LIMIT, NAME_LIMIT, WEBSITE_LIMIT
from calotype.web import languages
from calotype.web.text import clean, clean_line

PASSWORD_LIMIT = 1_000
"""Characters: hashing is made slow on purpose, so its input is bounded."""

AVATAR_BYTES = 10_000_000


class PlainForm(forms.Form):
    """A form whose errors are linked to their fields for assistive technology, and whose labels end without a colon."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})


def password_field(label: Any, autocomplete: str) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, strip=False, max_length=PASSWORD_LIMIT, widget=widget)


class SignUpForm(PlainForm):
    username = forms.CharField(
        label=_("User name"),
        max_length=names.LONGEST * 4,
        help_text=_("3 to 30 letters, digits, dots and underscores."),
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    email = forms.EmailField(
        label=_("E-mail"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        help_text=_("Never shown."),
    )
    password = password_field(_("Password"), "new-password")

    def clean_username(self) -> str:
        return names.check(self.cleaned_data["username"])


class LogInForm(PlainForm):
    username = forms.CharField(
        label=_("User name or e-mail"),
        max_length=254,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    password = password_field(_("Password"), "current-password")


class ProfileForm(PlainForm):
    name = forms.CharField(
        label=_("Name"),
        max_length=NAME_LIMIT,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    bio = forms.CharField(
        label=_("About you"), max_length=BIO_LIMIT, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    website = forms.URLField(
        label=_("Website"),
        max_length=WEBSITE_LIMIT,
        required=False,
        assume_scheme="https",
        widget=forms.URLInput(attrs={"autocomplete": "url"}),
    )
    avatar = forms.FileField(
        label=_("Picture"),
        required=False,
        widget=forms.FileInput(attrs={"accept": "image/*"}),
        help_text=_("Shown as a circle. Up to 10 MB."),
    )
    remove_avatar = forms.BooleanField(label=_("Remove the picture"), required=False)

    def clean_name(self) -> str:
        return clean_line(self.cleaned_data["name"])

    def clean_bio(self) -> str:
        return clean(self.cleaned_data["bio"])

    def clean_website(self) -> str:
        website: str = self.cleaned_data["website"]
        if website and not website.startswith(("https://", "http://")):
            raise ValidationError(_("A website starts with https:// or http://."), "scheme")
        return website

    def clean_avatar(self) -> Any:
        picture = self.cleaned_data["avatar"]
        if picture and picture.size > AVATAR_BYTES:
            raise ValidationError(
                _("This picture has %(size)s MB; the limit is %(limit)d MB.")
                % {"size": number_format(picture.size / 1e6, 1), "limit": AVATAR_BYTES // 1_000_000},
                "too_large",
            )
        return picture


class ChangePasswordForm(PlainForm):
    current = password_field(_("Password now"), "current-password")
    new = password_field(_("New password"), "new-password")


class LanguageForm(PlainForm):
    language = forms.ChoiceField(
        label=_("Language"),
        choices=lambda: [("", _("As your browser asks")), *languages.offered()],
        widget=forms.RadioSelect,
        required=False,
    )


class ResetRequestForm(PlainForm):
    email = forms.EmailField(
        label=_("E-mail"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )


class ResetForm(PlainForm):
    new = password_field(_("New password"), "new-password")

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from calotype.product.accounts.forms import PlainForm


class ReadingForm(PlainForm):
    by_button = forms.BooleanField(
        label=_("Load older posts only when I press a button"),
        help_text=_("Otherwise they come by themselves when you are near the end of the feed."),
        required=False,
    )

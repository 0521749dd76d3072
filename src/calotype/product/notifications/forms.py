from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from calotype.product.accounts.forms import PlainForm
from calotype.product.notifications.types import Kind

WORDS = {
    Kind.LIKE: _("Somebody likes one of your posts"),
    Kind.COMMENT: _("Somebody comments on one of your posts"),
    Kind.FOLLOW: _("Somebody begins to follow you"),
    Kind.MENTION: _("Somebody mentions you"),
}


class WantedForm(PlainForm):
    """A box for each kind, checked when it is wanted."""

    wanted = forms.MultipleChoiceField(
        label=_("Tell me when"),
        choices=[(kind.word, words) for kind, words in WORDS.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )

    def quiet(self) -> list[str]:
        """The kinds that are not wanted."""
        wanted = self.cleaned_data["wanted"]
        return [kind.word for kind in WORDS if kind.word not in wanted]

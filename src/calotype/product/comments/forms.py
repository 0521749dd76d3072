from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from calotype.product.comments.types import COMMENT_LIMIT
from calotype.web.text import clean


class CommentForm(forms.Form):
    text = forms.CharField(label=_("Add a comment"), max_length=COMMENT_LIMIT)

    def clean_text(self) -> str:
        return clean(self.cleaned_data["text"])

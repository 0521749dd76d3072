from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from calotype.product.photos.types import ALT_LIMIT, CAPTION_LIMIT
from calotype.web.text import clean, clean_line

FILE_NAME_LIMIT = 80


class CaptionForm(forms.Form):
    """The words of a post. Photographs and their descriptions come beside it, as many as there are."""

    caption = forms.CharField(
        label=_("Caption"), max_length=CAPTION_LIMIT, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})

    def clean_caption(self) -> str:
        return clean(self.cleaned_data["caption"])


class AltForm(forms.Form):
    alt = forms.CharField(max_length=ALT_LIMIT, required=False)

    def clean_alt(self) -> str:
        return clean_line(self.cleaned_data["alt"])


class FileForm(forms.Form):
    """A file as it is announced. Its size is checked by `infra.imaging`, which says what is wrong with it."""

    name = forms.CharField(max_length=1_000, required=False)
    size = forms.IntegerField(min_value=0)
    sha256 = forms.RegexField("^[0-9a-f]{64}$", required=False)

    def clean_name(self) -> str:
        return clean_line(self.cleaned_data["name"])[:FILE_NAME_LIMIT] or str(_("a file"))


def clean_alts(given: list[str]) -> tuple[list[str], list[str]]:
    """Descriptions as they are stored, and what is wrong with those that cannot be."""
    alts: list[str] = []
    errors: list[str] = []
    for text in given:
        form = AltForm({"alt": text})
        alts.append(form.cleaned_data["alt"] if form.is_valid() else "")
        errors += [str(error) for error in form.errors.get("alt", [])]
    return alts, errors

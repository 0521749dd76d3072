"""What a template's context contains."""

from __future__ import annotations

from django.template import Context, Engine


def test_a_context_contains_what_any_of_its_layers_does(either: None) -> None:
    context = Context({"me": 1, "nothing": None})
    context.push(more=2)
    names = ("me", "nothing", "more", "True", "absent")
    assert [name in context for name in names] == [True, True, True, True, False]
    context.pop()
    assert "more" not in context


def test_a_sentence_has_its_variables(either: None) -> None:
    source = (
        "{% load i18n %}{% blocktranslate with name=who %}By {{ name }} {{ absent }}{% endblocktranslate %}"
    )
    template = Engine(libraries={"i18n": "django.templatetags.i18n"}, string_if_invalid="?%s").from_string(
        source
    )
    assert template.render(Context({"who": "<Ada>"})) == "By &lt;Ada&gt; ?absent"

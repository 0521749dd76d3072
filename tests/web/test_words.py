"""Every sentence is translatable, and is translated."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import string
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from django.conf import settings
from django.template.base import Lexer, TokenType
from django.utils import translation

import calotype
from calotype.infra.imaging import DEFAULT_LIMITS
from calotype.infra.imaging.errors import ImageFileTooLarge, ImageTooManyPixels
from calotype.std.errors import CalotypeError, TooLarge
from calotype.web.sentences import SENTENCES, sentence
from calotype.web.templatetags import look
from scripts import words

PACKAGE = Path(calotype.__file__).parent
LANGUAGES = [code for code, _ in settings.LANGUAGES if code not in ("en", settings.PSEUDO_LANGUAGE)]
TEMPLATES = [
    path
    for path in sorted(PACKAGE.rglob("templates/**/*.html"))
    if not {"efficiency", "design"} & set(path.relative_to(PACKAGE).parts)
]
"""Without those of pages for staff, which are English."""

PYTHON = [
    path
    for part in ("web", "product")
    for path in sorted((PACKAGE / part).rglob("*.py"))
    if "migrations" not in path.parts
]
MODULES = [path for path in sorted(PACKAGE.rglob("static/**/*.js")) if "vendor" not in path.parts]
PLACEHOLDER = re.compile(r"%\(\w+\)[\d.]*[sdf]|%[\d.]*[sdXf]|\{\w+\}|</?\w+>")


def catalogues() -> Iterator[tuple[str, Catalog]]:
    for language in LANGUAGES:
        for domain in words.DOMAINS:
            yield language, words.read(words.po_path(language, domain), language)


def translated() -> list[tuple[str, Message]]:
    return [
        (language, message) for language, catalogue in catalogues() for message in catalogue if message.id
    ]


def forms(message: Message) -> list[tuple[str, str]]:
    """Each translation beside the English that it stands for."""
    if isinstance(message.id, str):
        return [(message.id, str(message.string))]
    said = list(message.string or ())
    return [(message.id[0], said[0]), *((message.id[1], each) for each in said[1:])]


def test_the_site_offers_the_languages_that_there_are_catalogues_of() -> None:
    assert sorted(LANGUAGES) == sorted(words.LANGUAGES)
    assert {path.name for path in words.LOCALE.iterdir() if path.is_dir()} == {*words.LANGUAGES, words.PSEUDO}


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_everything_is_translated(language: str) -> None:
    assert words.missing(language) == [], "add these to the .po files, and run scripts/words.py"


def test_catalogues_are_those_of_the_source() -> None:
    stale = [
        str(path.relative_to(PACKAGE))
        for path, content in words.files().items()
        if path.read_bytes() != content
    ]
    assert stale == [], "run scripts/words.py"


def test_a_translation_has_the_placeholders_and_tags_of_its_sentence() -> None:
    for language, message in translated():
        for english, said in forms(message):
            wanted, there = (sorted(PLACEHOLDER.findall(text)) for text in (english, said))
            # A form that is for one number alone may do without the number.
            assert set(there) <= set(wanted) or isinstance(message.id, tuple), (language, english, said)
            if isinstance(message.id, str):
                assert there == wanted, (language, english, said)
            else:
                assert set(there) <= {part for each in message.id for part in PLACEHOLDER.findall(each)}, (
                    language,
                    said,
                )


def test_a_translation_can_be_filled_in() -> None:
    class Anything(dict[str, int]):
        def __missing__(self, name: str) -> int:
            return 3

    for language, message in translated():
        for _, said in forms(message):
            if re.search(r"\{\w+\}", said):  # filled in by words.js
                continue
            named = re.search(r"%\(\w+\)", said)
            many = len(re.findall(r"%[\d.]*[sdXf]", said))
            assert said % (Anything() if named or not many else (3,) * many), (language, said)


def test_a_translation_begins_and_ends_like_its_sentence() -> None:
    for language, message in translated():
        if message.context == words.DATE_FORMAT:
            continue
        for english, said in forms(message):
            assert said == said.strip(), (language, said)
            if english[-1] in ".?:!…":
                assert said[-1] == english[-1], (language, english, said)


def test_quotes_are_those_of_the_language() -> None:
    quotes = {"de": "„“", "es": "«»"}
    for language, message in translated():
        for _, said in forms(message):
            prose = re.sub(r"<[^>]+>", "", said)
            assert not set(prose) & set("\"'‘”"), (language, said)
            assert all(letter in quotes[language] for letter in prose if letter in "„“«»"), (language, said)


def test_plurals_of_a_language_are_divided_as_browsers_and_django_divide_them() -> None:
    for language, catalogue in catalogues():
        assert words.plural_names(catalogue)["one"] == 0
        django = Path(translation.__file__).parents[2] / f"conf/locale/{language}/LC_MESSAGES/django.po"
        theirs = words.read(django, language)
        assert (catalogue.num_plurals, catalogue.plural_expr.strip("()")) == (
            theirs.num_plurals,
            theirs.plural_expr.strip("()"),
        )


def test_a_rule_of_plural_that_browsers_do_not_share_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "django.po"
    path.write_text('msgid ""\nmsgstr "Plural-Forms: nplurals=3; plural=n==1 ? 0 : n<5 ? 1 : 2;\\n"\n')
    with pytest.raises(ValueError, match=r"“other” is \[1, 2\]"):
        words.plural_names(words.read(path, "de"))


def test_modules_are_given_plurals_by_the_names_that_browsers_have_for_them() -> None:
    arabic = Catalog("ar")
    arabic.add(("{n} like", "{n} likes"), ["none", "one", "two", "few", "many", "other"])
    made = json.loads(words.module_words(arabic))["messages"]["{n} like"]
    assert made == {
        "zero": "none",
        "one": "one",
        "two": "two",
        "few": "few",
        "many": "many",
        "other": "other",
    }


def test_a_sentence_that_left_comes_back_with_its_translation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "LOCALE", tmp_path)
    with_it, without = Catalog(), Catalog()
    with_it.add("Hello", locations=[("a.html", 1)])
    first = words.merged("de", "django", with_it)
    found = first.get("Hello")
    assert found is not None
    found.string = "Hallo"
    path = words.po_path("de", "django")
    path.parent.mkdir(parents=True)
    path.write_bytes(words.po(first))
    path.write_bytes(words.po(words.merged("de", "django", without)))
    assert b'#~ msgstr "Hallo"' in path.read_bytes()
    back = words.merged("de", "django", with_it).get("Hello")
    assert back is not None
    assert back.string == "Hallo"
    assert b"Hallo" not in words.po(words.merged("de", "django", without), forget=True)


def test_the_test_language_is_english_turned_round() -> None:
    sentences = (
        "Settings",
        "%(n)s of <b>%(total)s</b>: a Book & {n} eels",
        "Up to 10 MB.",
        "“%s” is taken (U+%04X).",
    )
    for english in sentences:
        turned = words.turned(english)
        assert words.straightened(turned) == english
        assert sorted(words.KEPT.findall(turned)) == sorted(words.KEPT.findall(english))
    assert words.turned("Settings") == "\u202eSeettiings\u202c"


class Text(HTMLParser):
    """What of a template people read, without its tags."""

    READ = ("alt", "title", "aria-label", "placeholder", "content")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta" and not any(name == "name" and value == "description" for name, value in attrs):
            return
        self.found += [value for name, value in attrs if value and name in self.READ]


NAMES = {"Calotype", "CC", "HTTP"}
"""What is called the same in every language."""


def bare_words(template: str) -> list[str]:
    """Words of a template that no translator would be shown."""
    html, inside = [], ""
    for token in Lexer(template).tokenize():
        if token.token_type == TokenType.BLOCK:
            name = token.contents.split()[0]
            if (
                name in ("blocktranslate", "comment") or token.contents == "block frame"
            ):  # its text is a class
                inside = name
            elif name == f"end{inside}":
                inside = ""
        elif token.token_type == TokenType.TEXT and not inside:
            html.append(token.contents)
        elif token.token_type == TokenType.VAR:
            html.append(" ")
    text = Text()
    text.feed("".join(html))
    text.close()
    return [word for word in re.findall(r"[^\W\d_]{2,}", " ".join(text.found)) if word not in NAMES]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_word_that_is_not_translatable(path: Path) -> None:
    assert bare_words(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("template", "bare"),
    [
        ("<p>Hello</p>", ["Hello"]),
        ('<img alt="A boat">', ["boat"]),
        ('<a aria-label="Close" class="button" href="/">×</a>', ["Close"]),
        ("<p>{% translate 'Hello' %} {{ name }}</p>", []),
        ("{% blocktranslate count n=n %}One{% plural %}Many{% endblocktranslate %} left", ["left"]),
        ("{# a remark #}{% comment %}another{% endcomment %}<title>{{ x }} · Calotype</title>", []),
    ],
)
def test_a_bare_word_is_found_where_people_would_read_it(template: str, bare: list[str]) -> None:
    assert bare_words(template) == bare


NEVER_SHOWN = {"InverseMissing", "PhotoGone"}
"""Raised in jobs: nobody but the log and the next try hears of them."""


def public_errors() -> dict[str, type[CalotypeError]]:
    importlib.import_module(
        "calotype.config.urls"
    )  # the converters of addresses are needed before the addresses
    for module in pkgutil.walk_packages(calotype.__path__, "calotype."):
        if (
            module.name.startswith(("calotype.infra", "calotype.web", "calotype.product"))
            and "migrations" not in module.name
        ):
            importlib.import_module(module.name)
    found, waiting = {}, [CalotypeError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        found[error.__name__] = error
    return found


def plain_sentences(source: str, errors: dict[str, type[CalotypeError]]) -> list[str]:
    """Public errors that are raised with words no translator would be shown."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        error = errors.get(name)
        if error is None or error.code in SENTENCES or name in NEVER_SHOWN:
            continue
        if isinstance(node.args[0], ast.JoinedStr) or (
            isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
        ):
            found.append(f"line {node.lineno}: {name}")
    return found


def test_errors_that_people_see_are_raised_with_translatable_sentences() -> None:
    errors = public_errors()
    found = {
        str(path.relative_to(PACKAGE)): plain_sentences(path.read_text(encoding="utf-8"), errors)
        for path in PYTHON
    }
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_a_plain_sentence_is_found_where_an_error_is_raised() -> None:
    errors = public_errors()
    assert plain_sentences('raise NotFound("nothing here")', errors) == ["line 1: NotFound"]
    assert plain_sentences('raise errors.PostMissing(f"no {x}")', errors) == ["line 1: PostMissing"]
    assert plain_sentences('raise NotFound(_("nothing here"))', errors) == []


def test_what_the_data_plane_raises_has_a_sentence_in_every_language() -> None:
    shown = {
        error.code
        for error in public_errors().values()
        if error.__module__.startswith("calotype.infra.") and error.status != 500
    }
    assert shown <= SENTENCES.keys()


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_an_error_of_the_data_plane_is_told_in_the_language_of_the_page(language: str) -> None:
    too_large = ImageFileTooLarge("the file has …", size_bytes=61_500_000, max_bytes=DEFAULT_LIMITS.max_bytes)
    with translation.override(language):
        assert "61,5\u00a0MB" in sentence(too_large)
        assert str(DEFAULT_LIMITS.max_bytes // 1_000_000) in sentence(too_large)
        assert "12" in sentence(ImageTooManyPixels("…", width=12_000, height=9_000, max_side=8_000))
        assert sentence(TooLarge("für diesen Zweck zu groß")) == "für diesen Zweck zu groß"
    with translation.override("en"):
        assert sentence(too_large) == "the file has …"


def test_every_figure_of_a_sentence_is_one_that_the_error_has() -> None:
    figures = {"size", "limit", "max", "width", "height"}
    for each in SENTENCES.values():
        assert set(re.findall(r"%\((\w+)\)", each)) <= figures


def calls(source: str, names: tuple[str, ...]) -> list[str]:
    return re.findall(rf"\b(?:{'|'.join(names)})\(\s*(\S)", source)


def test_modules_ask_for_literal_sentences_only() -> None:
    for path in MODULES:
        if path.name != "words.js":
            for begins in calls(path.read_text(encoding="utf-8"), ("gettext", "ngettext")):
                assert begins in "\"'", f"{path.name}: gettext wants a literal sentence"


def test_python_asks_for_literal_sentences_only() -> None:
    names: Callable[[ast.Call], str] = lambda call: getattr(call.func, "id", "")  # noqa: E731
    for path in PYTHON:
        if path.name in ("sentences.py", "look.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and names(node) in words.PYTHON_WORDS and node.args:
                assert isinstance(node.args[0], ast.Constant), f"{path.name}, line {node.lineno}"


@pytest.mark.parametrize(
    ("language", "number", "shown"),
    [
        ("de", 9_999, "9.999"),
        ("de", 12_345, "12,3\u00a0Tsd."),
        ("es", 999_999, "999\u00a0mil"),
        ("es", 4_560_000, "4,5\u00a0M"),
    ],
)
def test_a_number_is_written_as_the_language_writes_it(language: str, number: int, shown: str) -> None:
    with translation.override(language):
        assert look.count(number) == shown


def test_placeholders_of_str_format_are_used_in_modules_only() -> None:
    """`{n}` in a template or in Python would be shown as it is."""
    for message in words.sentences("django"):
        for each in [message.id] if isinstance(message.id, str) else message.id:
            assert not [name for _, name, _, _ in string.Formatter().parse(each) if name], each

"""Take the sentences that people read out of templates, Python and modules, and bring the catalogues up to them.

    python scripts/words.py              write .po, and what is made from it: .mo, .json, the test language
    python scripts/words.py --missing    and list what has no translation yet

Needs the development packages (Babel); GNU gettext is not needed. A sentence that is gone from the source stays in its
.po as a comment, and comes back with its translation when the source has it again; `--forget` drops those.
"""

from __future__ import annotations

import argparse
import io
import re
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from gettext import c2py
from pathlib import Path
from typing import IO, Any

import msgspec
from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

PACKAGE = Path(__file__).parent.parent / "src/calotype"
LOCALE = PACKAGE / "web/locale"
MODULE_WORDS = PACKAGE / "web/static/web/words"

LANGUAGES = ("de", "es")
"""Those that people translated. To add one, add its code here and in `config.settings`: docs/languages.md."""

PSEUDO = "ar_XB"
"""The test language: English, letters turned to run from right to left, a third longer. Arabic in its rules of number."""

DOMAINS = ("django", "djangojs")
"""Of templates and Python; of modules."""

NOT_TRANSLATED = ("efficiency", "static/vendor", "migrations", "locale")
"""The console under /ops/ is for whoever runs a site, and speaks English like the command line."""

PYTHON_WORDS: Mapping[str, Any] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "later": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
MODULE_KEYWORDS: Mapping[str, Any] = {"gettext": None, "ngettext": (1, 2)}

DATE_FORMAT = "date format"
"""The context of messages that are no words but formats of Django's `date`."""

COUNTED = (*range(201), 1_000, 10_000, 100_000, 1_000_000, 2_000_000)
"""Numbers that between them meet every rule of plural that gettext knows."""

KEPT = re.compile(r"%\(\w+\)[\d.]*[sdf]|%[\d.]*[sdXf%]|%04X|\{\w+\}|<[^>]+>|&\w+;|https?://")
WORD = re.compile(r"[^\W\d_]+")
RIGHT_TO_LEFT, AS_BEFORE = "\u202e", "\u202c"


def main() -> int:
    parser = argparse.ArgumentParser(description="Bring the catalogues up to the source.")
    parser.add_argument(
        "--missing", action="store_true", help="list what is not translated; fail if there is any"
    )
    parser.add_argument(
        "--forget", action="store_true", help="drop translations of what the source has no more"
    )
    asked = parser.parse_args()
    for path, content in files(forget=asked.forget).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
            print(path.relative_to(PACKAGE.parent.parent))
    lacking = [f"{language}: {sentence}" for language in LANGUAGES for sentence in missing(language)]
    if asked.missing:
        print("\n".join(lacking))
    print(f"{len(lacking)} missing", file=sys.stderr)
    return 1 if asked.missing and lacking else 0


def files(*, forget: bool = False) -> dict[Path, bytes]:
    """What every catalogue should hold now, by its path."""
    made: dict[Path, bytes] = {}
    for domain in DOMAINS:
        template = sentences(domain)
        for language in LANGUAGES:
            catalogue = merged(language, domain, template)
            made[po_path(language, domain)] = po(catalogue, forget=forget)
            made |= compiled(language, domain, catalogue)
        made |= compiled(PSEUDO, domain, pseudo(template))
    return made


def compiled(language: str, domain: str, catalogue: Catalog) -> dict[Path, bytes]:
    """What the site reads: of Django's catalogue a .mo, of the modules' a static JSON file."""
    if domain == "django":
        return {po_path(language, domain).with_suffix(".mo"): mo(catalogue)}
    name = language.lower().replace("_", "-")
    return {MODULE_WORDS / f"{name}.json": module_words(catalogue)}


def po_path(language: str, domain: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / f"{domain}.po"


def sentences(domain: str) -> Catalog:
    """Everything translatable that the source has."""
    template = Catalog()
    found = _in_modules() if domain == "djangojs" else _in_python_and_templates()
    for path, message, comments, context in found:
        template.add(
            message, None, [(str(path.relative_to(PACKAGE)), 1)], auto_comments=comments, context=context
        )
    return template


Found = tuple[Path, "str | tuple[str, ...]", list[str], "str | None"]


def _in_python_and_templates() -> Iterator[Found]:
    templates = [*PACKAGE.rglob("templates/**/*.html"), *PACKAGE.rglob("templates/**/*.txt")]
    yield from _extracted(templates, _template, PYTHON_WORDS)
    yield from _extracted(PACKAGE.rglob("*.py"), "python", PYTHON_WORDS)


def _in_modules() -> Iterator[Found]:
    yield from _extracted(PACKAGE.rglob("static/**/*.js"), "javascript", MODULE_KEYWORDS)


def _extracted(
    paths: Iterable[Path], method: str | Callable[..., Any], keywords: Mapping[str, Any]
) -> Iterator[Found]:
    for path in sorted(paths):
        if any(part in path.relative_to(PACKAGE).as_posix() for part in NOT_TRANSLATED):
            continue
        with path.open("rb") as source:
            options = {"encoding": "utf-8"}
            for _, message, comments, context in extract(method, source, keywords, ["Translators:"], options):
                yield path, message, comments, context


def _template(source: IO[bytes], keywords: Any, comment_tags: Any, options: Any) -> Iterator[Any]:
    """A template as Django turns it into something like Python, for Babel to read."""
    from babel.messages.extract import extract_python

    like_python = templatize(source.read().decode())
    lines = "\n".join(line.lstrip() for line in like_python.splitlines())  # indentation would mean something
    yield from extract_python(io.BytesIO(lines.encode()), keywords, comment_tags, options)


def merged(language: str, domain: str, template: Catalog) -> Catalog:
    """The translations that there are, for the sentences of today."""
    path = po_path(language, domain)
    catalogue = read(path, language) if path.exists() else Catalog(language)
    for message in list(catalogue.obsolete.values()):
        catalogue[message.id] = message
    catalogue.obsolete.clear()
    catalogue.update(template, no_fuzzy_matching=True)
    return catalogue


def read(path: Path, language: str) -> Catalog:
    with path.open("rb") as stored:
        return read_po(stored, locale=language, domain=path.stem)


def missing(language: str) -> list[str]:
    """Sentences of today that this language does not say: untranslated, doubtful, or lacking a form of the plural."""
    return [
        _name(message)
        for domain in DOMAINS
        for message in merged(language, domain, sentences(domain))
        if message.id and not _is_complete(message)
    ]


def _is_complete(message: Message) -> bool:
    return all(_said(message)) and not message.fuzzy


def _name(message: Message) -> str:
    sentence = message.id if isinstance(message.id, str) else message.id[0]
    where = ", ".join(path for path, _ in message.locations)
    return f"{f'({message.context}) ' if message.context else ''}{sentence!r} in {where}"


def _said(message: Message) -> tuple[str, ...]:
    said = message.string or ""
    return (said,) if isinstance(said, str) else tuple(each or "" for each in said)


def header(catalogue: Catalog) -> str:
    """Without dates and names: a catalogue changes when its sentences do."""
    language = catalogue.locale_identifier or "en"
    return (
        f"Language: {language}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
        f"Content-Transfer-Encoding: 8bit\nPlural-Forms: {catalogue.plural_forms}\n"
    )


def po(catalogue: Catalog, *, forget: bool = False) -> bytes:
    out = io.BytesIO()
    lines = "\n".join(f'"{line}\\n"' for line in header(catalogue).splitlines())
    out.write(f'msgid ""\nmsgstr ""\n{lines}\n\n'.encode())
    write_po(
        out,
        catalogue,
        width=0,
        omit_header=True,
        sort_by_file=True,
        include_lineno=False,
        ignore_obsolete=forget,
    )
    return out.getvalue()


def mo(catalogue: Catalog) -> bytes:
    """As GNU gettext reads it: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html."""
    pairs = {"": header(catalogue)}
    for message in catalogue:
        if message.id and _is_complete(message):
            ids = [message.id] if isinstance(message.id, str) else list(message.id)
            prefix = f"{message.context}\x04" if message.context else ""
            pairs[prefix + "\0".join(ids)] = "\0".join(_said(message))
    rows = sorted((key.encode(), value.encode()) for key, value in pairs.items())
    at, count = 28 + 16 * len(rows), len(rows)
    tables, texts = [b"", b""], b""
    for side in (0, 1):
        for row in rows:
            tables[side] += struct.pack("<II", len(row[side]), at + len(texts))
            texts += row[side] + b"\0"
    return struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, at) + b"".join(tables) + texts


def module_words(catalogue: Catalog) -> bytes:
    """`{"messages": {sentence: translation}}`; where there are plurals, by CLDR's names for them: `Intl.PluralRules` of the
    browser says which."""
    forms = plural_names(catalogue)
    messages: dict[str, str | dict[str, str]] = {}
    for message in catalogue:
        if not message.id or not _is_complete(message):
            continue
        if isinstance(message.id, str):
            messages[message.id] = _said(message)[0]
        else:
            messages[message.id[0]] = {name: _said(message)[at] for name, at in forms.items()}
    return msgspec.json.format(msgspec.json.encode({"messages": messages}, order="sorted"), indent=1) + b"\n"


def plural_names(catalogue: Catalog) -> dict[str, int]:
    """CLDR's names of the forms of a language -> their place in gettext's order. Raises `ValueError` if the two divide the
    whole numbers differently."""
    place = c2py(catalogue.plural_expr)
    name_of = Locale.parse(catalogue.locale_identifier or "en").plural_form
    found: dict[str, set[int]] = {}
    for number in COUNTED:
        found.setdefault(name_of(number), set()).add(place(number))
    for name, places in found.items():
        if len(places) > 1:
            raise ValueError(f"{catalogue.locale_identifier}: “{name}” is {sorted(places)} to gettext")
    # Fractions have a form of their own in some languages; we never count in fractions, so the last form will do.
    return {"other": catalogue.num_plurals - 1} | {
        name: places.pop() for name, places in sorted(found.items())
    }


def pseudo(template: Catalog) -> Catalog:
    """The test language, whole. A form of the plural that means one thing alone is English's singular."""
    catalogue = Catalog("ar")
    singular = c2py(get_plural("ar").plural_expr)(1)
    for message in template:
        if not message.id:
            continue
        if isinstance(message.id, str):
            said: str | list[str] = message.id if message.context == DATE_FORMAT else turned(message.id)
        else:
            one, many = (turned(each) for each in message.id)
            said = [one if at == singular else many for at in range(catalogue.num_plurals)]
        catalogue.add(message.id, said, context=message.context)
    return catalogue


def turned(sentence: str) -> str:
    """Each word longer by its vowels and written from right to left; placeholders, tags and entities as they are.
    `straightened` undoes it."""
    parts, at = [], 0
    for kept in KEPT.finditer(sentence):
        parts += [WORD.sub(_turned_word, sentence[at : kept.start()]), kept[0]]
        at = kept.end()
    return "".join([*parts, WORD.sub(_turned_word, sentence[at:])])


def _turned_word(found: re.Match[str]) -> str:
    return (
        RIGHT_TO_LEFT
        + re.sub("[aeiouAEIOU]", lambda vowel: vowel[0] + vowel[0].lower(), found[0])
        + AS_BEFORE
    )


def straightened(sentence: str) -> str:
    """What `turned` was given."""
    words = re.compile(f"{RIGHT_TO_LEFT}([^{AS_BEFORE}]*){AS_BEFORE}")
    return words.sub(lambda found: re.sub("([aeiouAEIOU])[aeiou]", r"\1", found[1]), sentence)


if __name__ == "__main__":
    sys.exit(main())

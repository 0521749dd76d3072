"""Which language somebody gets, and that everything of a page is in it."""

from __future__ import annotations

import asyncio

import pytest
from django.conf import settings
from django.test import override_settings

from calotype.infra.tao import Sweep
from calotype.product.accounts.models import Account
from calotype.web import rate_limits
from calotype.web.handler import LeanHandler
from calotype.web.orm import in_thread
from calotype.web.site import Site
from tests.client import Answer, Client
from tests.outbox import all_done
from tests.product.mails import last_mail
from tests.web_fixtures import PASSWORD, Someone, new_address, picture

GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.1"}
SPANISH = {"accept-language": "es-MX"}


def language_of(answer: Answer) -> tuple[str, bool]:
    """As the header says it, and whether the document says the same."""
    language = answer.headers["content-language"]
    return language, f'<html lang="{language}" dir="ltr">' in answer.text


async def test_a_page_comes_in_the_language_that_the_browser_asks_for(browser: Client) -> None:
    german, spanish = await browser.get("/log-in/", GERMAN), await browser.get("/log-in/", SPANISH)
    assert language_of(german) == ("de", True)
    assert language_of(spanish) == ("es", True)
    assert "Passwort vergessen?" in german.text
    assert "¿Has olvidado tu contraseña?" in spanish.text


@pytest.mark.parametrize("asked", ["fr", "", "*", "ar", "xx-yy;q=nothing", "de" * 200])
async def test_english_is_for_whoever_asks_for_nothing_that_the_site_speaks(
    browser: Client, asked: str
) -> None:
    assert language_of(await browser.get("/log-in/", {"accept-language": asked})) == ("en", True)


async def test_pages_of_two_languages_are_never_mixed_by_a_cache(browser: Client) -> None:
    page = await browser.get("/explore/", GERMAN)
    assert {"accept-language", "cookie"} <= {part.strip().lower() for part in page.headers["vary"].split(",")}
    assert "private" in page.headers["cache-control"]


async def test_a_photograph_has_no_language(ann: Someone) -> None:
    await ann.post_one()
    profile = await ann.browser.get(f"/@{ann.username}/")
    address = profile.text.split("<picture>")[1].split('<img src="')[1].split('"')[0]
    answer = await ann.browser.get(address, GERMAN)
    assert answer.status == 200
    assert "vary" not in answer.headers
    assert "content-language" not in answer.headers


async def test_a_visitor_chooses_a_language_and_comes_back_to_the_page(browser: Client) -> None:
    assert 'value="es" lang="es"' in (await browser.get("/explore/", GERMAN)).text
    answer = await browser.post("/language/", {"language": "es", "next": "/explore/"}, headers=GERMAN)
    assert (answer.status, answer.location) == (303, "/explore/")
    assert language_of(await browser.get("/explore/", GERMAN)) == ("es", True)
    assert 'lang="es" aria-current="true"' in (await browser.get("/explore/", GERMAN)).text
    await browser.post("/language/", {"language": "", "next": "/"}, headers=GERMAN)
    assert language_of(await browser.get("/explore/", GERMAN)) == ("de", True)


@pytest.mark.parametrize("language", ["fr", "DE", "de\n", "../de", "ar-xb", "x" * 5000])
async def test_a_language_that_the_site_does_not_speak_is_refused(browser: Client, language: str) -> None:
    answer = await browser.post("/language/", {"language": language})
    assert (answer.status, answer.error_code) == (400, "bad_request")
    assert "language" not in browser.cookies


async def test_a_language_is_chosen_by_a_form_of_this_site_only(browser: Client) -> None:
    body = b"language=de"
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert (await browser.request("POST", "/language/", body=body, headers=kind)).status == 403
    assert (await browser.get("/language/?language=de")).status == 405
    away = await browser.post("/language/", {"language": "de", "next": "https://elsewhere.example/"})
    assert away.location == "/"


async def test_a_cookie_of_a_language_that_is_gone_is_passed_over(browser: Client) -> None:
    browser.cookies["language"] = "tlh"
    assert language_of(await browser.get("/log-in/", GERMAN)) == ("de", True)


async def test_somebody_chooses_in_their_settings_and_finds_it_where_they_log_in_next(
    ann: Someone, handler: LeanHandler
) -> None:
    page = await ann.browser.get("/settings/language/")
    assert page.status == 200
    saved = await ann.browser.post("/language/", {"language": "de", "next": "/settings/language/"})
    assert saved.location == "/settings/language/"
    page = await ann.browser.get("/settings/language/")
    assert "Deine Sprache ist gespeichert." in page.text
    assert 'value="de" id="id_language_2" checked' in page.text
    assert (await in_thread(Account.objects.get, id=ann.id)).language == "de"

    elsewhere = Client(handler, address=new_address())
    await elsewhere.post("/log-in/", {"username": ann.username, "password": PASSWORD})
    assert language_of(await elsewhere.get("/", {"accept-language": "es"})) == ("de", True)

    await ann.browser.post("/language/", {"language": ""}, headers=SPANISH)
    assert (await in_thread(Account.objects.get, id=ann.id)).language == ""
    assert "Tu idioma se ha guardado." in (await ann.browser.get("/settings/language/", SPANISH)).text


async def test_the_language_of_ones_settings_needs_an_account(browser: Client) -> None:
    assert (await browser.get("/settings/language/")).status == 401


async def test_whoever_signs_up_keeps_the_language_they_chose_before(browser: Client) -> None:
    await browser.post("/language/", {"language": "es"})
    name = f"nuevo{browser.address.replace('.', '')}"
    fields = {"username": name, "email": f"{name}@mail.example", "password": PASSWORD}
    assert (await browser.post("/sign-up/", fields)).status == 303
    assert (await in_thread(Account.objects.get, username=name)).language == "es"


async def test_a_mail_comes_in_the_language_of_its_reader(
    ann: Someone, browser: Client, sweep: Sweep
) -> None:
    address = {"email": f"{ann.username}@mail.example"}
    await browser.post("/password-reset/", address, headers=SPANISH)
    await all_done(sweep)
    assert last_mail()["subject"] == "Tu contraseña de Calotype"

    await ann.browser.post("/language/", {"language": "de"})
    await browser.post("/password-reset/", address, headers=SPANISH)
    await all_done(sweep)
    mail = last_mail()
    assert mail["subject"] == "Dein Passwort bei Calotype"
    assert mail.get_content().startswith(f"Hallo {ann.username},")


async def test_what_is_wrong_with_a_form_is_told_in_the_language_of_the_page(browser: Client) -> None:
    fields = {"username": "ab", "email": "nothing", "password": "kurz"}
    answer = await browser.post("/sign-up/", fields, headers=GERMAN)
    assert answer.status == 422
    assert "Ein Benutzername hat 3 bis 30 Zeichen; dieser hat 2." in answer.text
    fields = {"username": "genuglang", "email": "genuglang@mail.example", "password": "kurz"}
    answer = await browser.post("/sign-up/", fields, headers=GERMAN)
    assert answer.status == 422
    assert "Dieses Passwort ist zu kurz." in answer.text  # Django's own, said in a thread


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nothing/", "Unter dieser Adresse gibt es keine Seite."),
        ("/@nobodywiththisname/", "Hier gibt es niemanden mit dem Namen @nobodywiththisname."),
        ("/settings/profile/", "Dafür brauchst du ein Konto: Melde dich zuerst an."),
        ("/explore/?before=x", "Das hat nicht geklappt"),
        ("/p/1234567890123456789/", "Diesen Beitrag gibt es nicht; vielleicht wurde er gelöscht."),
    ],
)
async def test_an_error_is_told_in_the_language_of_the_page(browser: Client, path: str, said: str) -> None:
    answer = await browser.get(path, GERMAN)
    assert said in answer.text
    assert language_of(answer) == ("de", True)


async def test_modules_hear_of_errors_in_the_language_of_the_page(browser: Client) -> None:
    answer = await browser.get("/p/1234567890123456789/", {**GERMAN, "accept": "application/json"})
    assert answer.json()["error"]["message"] == "Diesen Beitrag gibt es nicht; vielleicht wurde er gelöscht."
    assert answer.headers["content-language"] == "de"


async def test_what_is_refused_before_it_is_read_is_told_in_the_language_too(ann: Someone) -> None:
    headers = {
        **GERMAN,
        "content-length": str(3_000_000),
        "content-type": "application/x-www-form-urlencoded",
    }
    answer = await ann.browser.request("POST", "/log-in/", headers=headers)
    assert answer.status == 413
    assert "Diese Anfrage hat mindestens 3,0\u00a0MB" in answer.text


async def test_a_photo_is_refused_in_the_language_of_the_page(ann: Someone) -> None:
    files = [("photos", ("leer.jpg", b"")), ("photos", ("kaputt.png", picture()[:60]))]
    answer = await ann.browser.post("/new/", files=files, headers=GERMAN)
    assert answer.status == 422
    assert "kaputt.png: Die Datei ist beschädigt oder abgeschnitten" in answer.text


async def test_too_many_attempts_are_told_with_the_right_plural(
    ann: Someone, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {"username": ann.username, "password": "wrong"}
    window = rate_limits.seconds_now() // 900 * 900
    monkeypatch.setattr(rate_limits, "seconds_now", lambda: window + 60)
    for _ in range(11):
        answer = await browser.post("/log-in/", wrong, headers=GERMAN)
    assert answer.status == 429
    assert "Mehr als 10 in 15 Minuten gehen nicht. Versuch es in 14 Minuten noch einmal." in answer.text
    monkeypatch.setattr(rate_limits, "seconds_now", lambda: window + 840)
    answer = await browser.post("/log-in/", wrong, headers=GERMAN)
    assert "Versuch es in einer Minute noch einmal." in answer.text


async def test_only_languages_with_a_catalogue_send_modules_for_one(ann: Someone) -> None:
    assert "data-words" not in (await ann.browser.get("/")).text
    german = (await ann.browser.get("/", GERMAN)).text
    address = german.split("data-words")[1].split('href="')[1].split('"')[0]
    assert address.startswith("/static/web/words/de.")
    assert address.endswith(".json")
    assert "data-words" not in (await ann.browser.get("/nothing/", GERMAN)).text


async def test_the_test_language_runs_from_right_to_left(browser: Client) -> None:
    languages = [*settings.LANGUAGES, (settings.PSEUDO_LANGUAGE, "Right to left")]
    with override_settings(LANGUAGES=languages):
        browser.cookies["language"] = settings.PSEUDO_LANGUAGE
        page = await browser.get("/explore/")
        assert '<html lang="ar-xb" dir="rtl">' in page.text
        assert "\u202eEexplooree\u202c" in page.text
        assert 'value="ar-xb"' not in page.text
    assert language_of(await browser.get("/explore/")) == ("en", True)


async def test_the_site_can_be_asked_for_by_everybody_at_once_in_their_languages(
    web_site: Site, handler: LeanHandler
) -> None:
    async def one(language: str) -> str:
        return (
            await Client(handler, address=new_address()).get("/explore/", {"accept-language": language})
        ).headers["content-language"]

    asked = ["de", "es", "en"] * 5
    assert await asyncio.gather(*(one(language) for language in asked)) == asked

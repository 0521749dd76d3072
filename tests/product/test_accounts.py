"""Signing up, in and out; names; passwords; profiles."""

from __future__ import annotations

import asyncio
import re

import msgspec
import pytest
from django.contrib.admin import site
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

from calotype.infra.tao import Sweep
from calotype.product.accounts import actions, names, store
from calotype.product.accounts.admin import AccountAdmin
from calotype.product.accounts.avatars import set_avatar
from calotype.product.accounts.models import Account
from calotype.product.accounts.queries import PersonMissing, named
from calotype.product.accounts.types import Person
from calotype.web.handler import LeanHandler
from calotype.web.orm import in_thread
from calotype.web.site import Site
from tests.client import Client
from tests.outbox import all_done
from tests.product.mails import last_mail
from tests.web_fixtures import PASSWORD, Someone, new_address, picture


async def test_signing_up_makes_a_person_who_is_signed_in(browser: Client, web_site: Site) -> None:
    answer = await browser.post(
        "/sign-up/", {"username": "Newcomer", "email": "New@mail.example", "password": PASSWORD}
    )
    assert (answer.status, answer.location) == (303, "/people/")
    page = await browser.get("/settings/profile/")
    assert page.status == 200
    node = await named(web_site.graph, "newcomer")
    account = await in_thread(Account.objects.get, id=node.id)
    assert account.password.startswith("argon2")


async def test_a_person_and_their_account_share_one_sharded_id(ann: Someone, web_site: Site) -> None:
    node = await web_site.graph.obj_get(Person, ann.id)
    assert node is not None
    assert node.data.username == ann.username


@pytest.mark.parametrize("alike", ["pаypal", "PAYPAL", "paypa1", "ｐａｙｐａｌ", "рaypal"])
async def test_a_name_that_looks_like_anothers_is_taken(
    alike: str, handler: LeanHandler, web_site: Site
) -> None:
    if (await store.holder(web_site.graph, "paypal")) is None:
        assert (
            await Client(handler, address=new_address()).post(
                "/sign-up/", {"username": "paypal", "email": "pp@mail.example", "password": PASSWORD}
            )
        ).status == 303
    other = Client(handler, address=new_address())
    answer = await other.post(
        "/sign-up/", {"username": alike, "email": "other@mail.example", "password": PASSWORD}
    )
    assert answer.status == 422
    assert not await in_thread(Account.objects.filter(email="other@mail.example").exists)


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 31,
        "a b",
        "a/b",
        "a@b",
        "<script>",
        "\u202eevil",
        ".dot",
        "dot.",
        "a..b",
        "adm\u0456n",
        "admin",
        "аdmin",
        "nul\0l",
        "😀😀😀",
    ],
)
async def test_names_that_are_not_allowed_are_refused_with_a_reason(name: str, browser: Client) -> None:
    answer = await browser.post(
        "/sign-up/", {"username": name, "email": "x@mail.example", "password": PASSWORD}
    )
    assert answer.status == 422


def test_of_a_space_in_a_name_it_is_said_that_it_is_one() -> None:
    with pytest.raises(ValidationError, match="no spaces"):
        names.check("jan fisher")
    with pytest.raises(ValidationError, match="not “!”"):
        names.check("jan!fisher")


@pytest.mark.parametrize("name", ["jan", "jan.fisher", "j_4", "由紀さん", "łukasz", "אברהם", "mañana"])
def test_names_in_any_one_script_are_allowed(name: str) -> None:
    assert names.check(name) == names.canonical(name)


@given(st.text(max_size=40))
def test_checking_any_text_answers_a_canonical_name_or_a_reason(text: str) -> None:
    try:
        name = names.check(text)
    except ValidationError as error:
        assert error.messages[0]
    else:
        assert names.canonical(name) == name
        assert names.check(name) == name
        assert names.skeleton(name) == names.skeleton(name.upper())


@given(st.text(max_size=40))
def test_a_skeleton_is_its_own_skeleton(text: str) -> None:
    once = names.skeleton(text)
    assert names.skeleton(once) == once


@pytest.mark.parametrize("password", ["short", "1234567890123", "password123", "someonelikeme@mail"])
async def test_weak_passwords_are_refused(password: str, browser: Client) -> None:
    answer = await browser.post(
        "/sign-up/",
        {"username": "someonelikeme", "email": "someonelikeme@mail.example", "password": password},
    )
    assert answer.status == 422
    assert not await in_thread(Account.objects.filter(username="someonelikeme").exists)


async def test_two_sign_ups_for_one_name_at_once_make_one_account(handler: LeanHandler) -> None:
    browsers = [Client(handler, address=new_address()) for _ in range(4)]
    answers = await asyncio.gather(
        *(
            each.post(
                "/sign-up/", {"username": "wanted", "email": f"wanted{n}@mail.example", "password": PASSWORD}
            )
            for n, each in enumerate(browsers)
        )
    )
    assert sorted(answer.status for answer in answers) == [303, 422, 422, 422]


async def test_a_taken_e_mail_leaves_the_name_free(ann: Someone, browser: Client, web_site: Site) -> None:
    fields = {"email": f"{ann.username}@MAIL.example", "password": PASSWORD}
    assert (await browser.post("/sign-up/", {"username": "leftover", **fields})).status == 422
    assert await store.holder(web_site.graph, "leftover") is None
    with pytest.raises(PersonMissing):
        await named(web_site.graph, "leftover")


async def test_a_sign_up_that_dies_half_way_is_undone(
    web_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends after the person was written and before the account was."""

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(actions, "ABANDONED_MS", 0)
    monkeypatch.setattr(Account.objects, "create_user", die)
    with pytest.raises(BaseException):  # noqa: B017  # whatever carries the death out of the thread
        await actions.sign_up(
            web_site.graph, username="halfway", email="halfway@mail.example", password=PASSWORD
        )
    monkeypatch.undo()
    assert await store.holder(web_site.graph, "halfway") is not None
    await all_done(Sweep(web_site.graph.shards, {"sign_up": actions.abandoned_sign_up(web_site.graph)}))
    assert await store.holder(web_site.graph, "halfway") is None


async def test_a_name_claimed_by_a_process_that_died_is_free_after_a_while(
    web_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = (await web_site.graph.shards.next_ids(3))[0]
    await store.claim(web_site.graph, "deadclaim", dead)
    with pytest.raises(actions.UsernameTaken):
        await actions.sign_up(
            web_site.graph, username="deadclaim", email="dc@mail.example", password=PASSWORD
        )
    monkeypatch.setattr(actions, "ABANDONED_MS", -1000)
    await actions.sign_up(web_site.graph, username="deadclaim", email="dc@mail.example", password=PASSWORD)


async def test_one_logs_in_with_the_name_or_the_e_mail_in_any_case(
    ann: Someone, handler: LeanHandler
) -> None:
    for known_as in (ann.username.upper(), f"{ann.username}@MAIL.example"):
        other = Client(handler, address=new_address())
        assert (await other.post("/log-in/", {"username": known_as, "password": PASSWORD})).status == 303


async def test_a_wrong_password_and_an_unknown_name_are_told_in_the_same_words(
    ann: Someone, browser: Client
) -> None:
    wrong = await browser.post("/log-in/", {"username": ann.username, "password": "not the password"})
    unknown = await browser.post("/log-in/", {"username": "nobodyatall", "password": "not the password"})
    assert wrong.status == unknown.status == 422
    strip = re.compile(r'value="[^"]*"|\d+')
    assert strip.sub("", wrong.text) == strip.sub("", unknown.text)


async def test_guessing_a_password_is_stopped_for_everybody_who_tries(
    ann: Someone, handler: LeanHandler
) -> None:
    statuses = []
    for _ in range(10):  # with the one by which she logged in herself: one too many
        guesser = Client(handler, address=new_address())
        answer = await guesser.post("/log-in/", {"username": ann.username, "password": "not the password"})
        statuses.append(answer.status)
    assert statuses == [422] * 9 + [429]
    assert "retry-after" in answer.headers


async def test_another_spelling_of_a_name_is_no_new_chance(handler: LeanHandler) -> None:
    spellings = ["victimname", "VICTIMNAME", "\uff56ictimname", "v\uff49ctimname"]
    statuses = []
    for n in range(11):
        guesser = Client(handler, address=new_address())
        answer = await guesser.post(
            "/log-in/", {"username": spellings[n % len(spellings)], "password": "not the password"}
        )
        statuses.append(answer.status)
    assert statuses == [422] * 10 + [429]


async def test_an_admin_who_takes_away_the_right_to_log_in_ends_the_sessions(ann: Someone) -> None:
    def forbid() -> None:
        account = Account.objects.get(id=ann.id)
        account.is_active = False
        AccountAdmin(Account, site).save_model(HttpRequest(), account, None, True)

    assert (await ann.browser.get("/settings/profile/")).status == 200
    await in_thread(forbid)
    assert (await ann.browser.get("/settings/profile/")).status == 401


async def test_pictures_that_change_at_once_are_each_let_go(ann: Someone, web_site: Site) -> None:
    made = await asyncio.gather(*(set_avatar(web_site, ann.id, picture(80 + n, 80)) for n in range(3)))
    node = await web_site.graph.obj_get(Person, ann.id)
    assert node is not None
    assert node.data.avatar in made
    waiting = [
        prefix
        for pool in web_site.graph.shards.pools.values()
        for row in await pool.fetch("select payload from outbox where kind = 'blobs'")
        for prefix in msgspec.json.decode(row[0])["prefixes"]
        if prefix.startswith(f"avatars/{ann.id}/")
    ]
    gone = [f"avatars/{ann.id}/{avatar}" for avatar in made if avatar != node.data.avatar]
    assert sorted(waiting) == sorted(gone)


async def test_spraying_one_password_over_many_names_is_stopped(browser: Client) -> None:
    last = None
    for n in range(51):
        last = await browser.post("/log-in/", {"username": f"victim{n}", "password": "Summer2026!!"})
    assert last is not None
    assert last.status == 429


async def test_logging_in_changes_the_session_key(ann: Someone, handler: LeanHandler) -> None:
    """Fixation: a key that somebody planted before is worth nothing after."""
    browser = Client(handler, address=new_address())
    browser.cookies["session"] = "a" * 32
    await browser.post("/log-in/", {"username": ann.username, "password": PASSWORD})
    assert browser.cookies["session"] != "a" * 32
    planted = Client(handler, cookies={"session": "a" * 32})
    assert (await planted.get("/settings/profile/")).status == 401


async def test_logging_out_ends_the_session_on_the_server(ann: Someone, handler: LeanHandler) -> None:
    stolen = dict(ann.browser.cookies)
    assert (await ann.browser.post("/log-out/")).status == 303
    assert (await ann.browser.get("/settings/profile/")).status == 401
    assert (await Client(handler, cookies=stolen).get("/settings/profile/")).status == 401


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
async def test_logging_in_never_leads_to_another_site(
    elsewhere: str, ann: Someone, handler: LeanHandler
) -> None:
    browser = Client(handler, address=new_address())
    answer = await browser.post(
        "/log-in/", {"username": ann.username, "password": PASSWORD, "next": elsewhere}
    )
    assert answer.location == "/"


async def test_changing_the_password_logs_out_everywhere_else(ann: Someone, handler: LeanHandler) -> None:
    phone = Client(handler, address=new_address())
    await phone.post("/log-in/", {"username": ann.username, "password": PASSWORD})
    wrong = await ann.browser.post("/settings/password/", {"current": "not it", "new": "another good one"})
    assert wrong.status == 422
    answer = await ann.browser.post("/settings/password/", {"current": PASSWORD, "new": "another good one"})
    assert answer.status == 303, answer.text
    assert (await ann.browser.get("/settings/profile/")).status == 200
    assert (await phone.get("/settings/profile/")).status == 401


async def test_a_forgotten_password_is_reset_by_a_link_that_works_once(
    ann: Someone, handler: LeanHandler, sweep: Sweep
) -> None:
    browser = Client(handler, address=new_address())
    known = await browser.post("/password-reset/", {"email": f"{ann.username}@mail.example"})
    unknown = await browser.post("/password-reset/", {"email": "nobody@mail.example"})
    strip = re.compile(r'value="[^"]*"|\S+@mail\.example')
    assert strip.sub("", known.text) == strip.sub("", unknown.text)
    await all_done(sweep)
    mail = last_mail()
    found = re.search(r"http://testserver(/password-reset/\S+)", mail.get_content())
    assert found is not None
    assert mail["to"] == f"{ann.username}@mail.example"
    answer = await browser.post(found[1], {"new": "a password to remember"})
    assert answer.status == 303, answer.text
    assert (await ann.browser.get("/settings/profile/")).status == 401
    again = await browser.post(found[1], {"new": "yet another password"})
    assert (again.status, again.error_code) == (404, "link_expired")
    assert (
        await browser.post("/log-in/", {"username": ann.username, "password": "a password to remember"})
    ).status == 303


@pytest.mark.parametrize(
    "link",
    [
        "/password-reset/AA/x-y/",
        "/password-reset/99/abc/",
        "/password-reset/////",
        "/password-reset/%00/%00/",
    ],
)
async def test_made_up_reset_links_lead_nowhere(link: str, browser: Client) -> None:
    assert (await browser.get(link)).status == 404


async def test_a_suspended_account_is_out_at_once(ann: Someone, browser: Client, web_site: Site) -> None:
    await web_site.graph.obj_update(Person, ann.id, suspended=True)
    assert (await ann.browser.get("/settings/profile/")).status == 401
    assert (await browser.get(f"/@{ann.username}/")).status == 404


async def test_a_name_finds_a_person_in_one_form_only(ann: Someone, browser: Client) -> None:
    upper = await browser.get(f"/@{ann.username.upper()}/")
    assert (upper.status, upper.location) == (303, f"/@{ann.username}/")
    assert (await browser.get("/@nobodyatall/")).error_code == "person_missing"

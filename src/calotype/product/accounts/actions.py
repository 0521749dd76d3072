"""What people do to their accounts."""

from __future__ import annotations

import logging
import time

import msgspec
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.db import IntegrityError
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _

from calotype.infra.ids import shard_of
from calotype.infra.tao import Graph, Handler
from calotype.product.accounts import names, store
from calotype.product.accounts.models import Account
from calotype.product.accounts.types import JOINED, AccountId, Person, shard_root
from calotype.std.errors import Conflict, Unavailable
from calotype.web.orm import in_thread

log = logging.getLogger(__name__)

ABANDONED_MS = 600_000
"""A sign-up that has not finished after ten minutes never will: its name is free again."""


class UsernameTaken(Conflict):
    code = "username_taken"


class EmailTaken(Conflict):
    code = "email_taken"


class SignUpTooSlow(Unavailable):
    code = "sign_up_too_slow"


class SignUp(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `sign_up`: left before the account exists, taken back when it does."""

    id: int
    username: str


async def sign_up(
    graph: Graph, *, username: str, email: str, password: str, name: str = "", language: str = ""
) -> AccountId:
    """Make an account and its person, on a logical shard chosen at random. Durable when it returns.

    Raises `ValidationError` (name, password), `UsernameTaken`, `EmailTaken`. A process that dies on the way leaves
    nothing behind: the name is claimed first, and the outbox undoes what was not finished.
    """
    username = names.check(username)
    await in_thread(validate_password, password, Account(username=username, email=email))
    shard = graph.shards.any_shard()
    account_id = AccountId((await graph.shards.next_ids(shard))[0])
    await _claim(graph, username, account_id)
    async with graph.transaction("people", shard) as write:
        undo = await write.post("people", shard, "sign_up", SignUp(account_id, username), ABANDONED_MS)
        await write.obj_add(Person(username=username, name=name), shard, account_id)
        await write.edge(JOINED, shard_root(shard), account_id, time=None, data=None, present=True)
    try:
        await in_thread(Account.objects.create_user, account_id, username, email, password, language=language)
    except IntegrityError:
        await _undo(graph, SignUp(account_id, username))
        raise EmailTaken(
            _("There is an account with this e-mail address already. Log in, or reset its password.")
        ) from None
    async with graph.transaction("people", shard) as write:
        kept = await write.take_back("people", shard, [undo])
    if not kept:  # this took so long that it was undone meanwhile
        await in_thread(Account.objects.filter(id=account_id).delete)
        raise SignUpTooSlow(_("Signing up took too long. Try again."))
    return account_id


async def _claim(graph: Graph, username: str, account_id: AccountId) -> None:
    held_by = await store.claim(graph, username, account_id)
    if held_by == account_id:
        return
    if await _is_abandoned(graph, username) and await store.release(graph, username, held_by):
        await _claim(graph, username, account_id)
        return
    raise UsernameTaken(_("“%s” is taken, or looks too much like a name that is.") % username)


async def _is_abandoned(graph: Graph, username: str) -> bool:
    """Whether the name is held by a sign-up that died before there was a person."""
    held = await store.holder(graph, username)
    if held is None:
        return True
    id_, since = held
    return since < time.time() * 1000 - ABANDONED_MS and await graph.obj_get(Person, id_) is None


async def _undo(graph: Graph, sign_up: SignUp) -> None:
    shard = shard_of(sign_up.id)
    async with graph.transaction("people", shard) as write:
        await write.edge(JOINED, shard_root(shard), sign_up.id, time=None, data=None, present=False)
        await write.obj_delete(Person, sign_up.id)
    await store.release(graph, sign_up.username, sign_up.id)


def abandoned_sign_up(graph: Graph) -> Handler:
    """The outbox handler of `sign_up`: undo it unless its account came to be."""

    async def handler(payload: bytes) -> None:
        left = msgspec.json.decode(payload, type=SignUp)
        if not await in_thread(Account.objects.filter(id=left.id).exists):
            log.info("the sign-up of %s was not finished: undone", left.username)
            await _undo(graph, left)

    return handler


async def change_profile(graph: Graph, account_id: AccountId, *, name: str, bio: str, website: str) -> None:
    await graph.obj_update(Person, account_id, name=name, bio=bio, website=website)


async def choose_language(account_id: AccountId, language: str) -> None:
    """What mails are written in, and pages of browsers that log in from now on; empty: as each browser asks."""
    await in_thread(Account.objects.filter(id=account_id).update, language=language)


async def change_password(account: Account, password: str) -> None:
    """Set a new password; raises `ValidationError` when the validators refuse it. The caller ends other sessions."""

    def change() -> None:
        validate_password(password, account)
        account.set_password(password)
        account.save(update_fields=["password"])

    await in_thread(change)


class ResetMail(msgspec.Struct, frozen=True):
    """The payload of an outbox row of kind `reset_mail`."""

    email: str
    origin: str
    language: str = ""
    """In which it was asked for."""


async def ask_for_reset(graph: Graph, email: str, origin: str, language: str = "") -> None:
    """Have a link to a new password sent to this address, if it is an account's.

    Nothing is looked up here, so the time it takes tells nobody which addresses have accounts.
    """
    shard = graph.shards.any_shard()
    async with graph.transaction("people", shard) as write:
        await write.post("people", shard, "reset_mail", ResetMail(email, origin, language), 0)


async def send_reset_mail(payload: bytes) -> None:
    """The outbox handler of `reset_mail`. May send twice after a crash, which harms nobody."""
    await in_thread(_send_reset_mail, msgspec.json.decode(payload, type=ResetMail))


def _send_reset_mail(wanted: ResetMail) -> None:
    account = Account.objects.filter(email__iexact=wanted.email, is_active=True).first()
    if account is None:
        return
    uid = urlsafe_base64_encode(force_bytes(account.pk))
    path = reverse("password_reset_confirm", args=[uid, default_token_generator.make_token(account)])
    with translation.override(account.language or wanted.language or settings.LANGUAGE_CODE):
        text = render_to_string(
            "accounts/reset_mail.txt", {"username": account.username, "link": wanted.origin + path}
        )
        send_mail(_("Your password at Calotype"), text, None, [account.email])

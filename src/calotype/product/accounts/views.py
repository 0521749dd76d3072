"""Signing up, in and out; passwords; one's own profile."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlsafe_base64_decode
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from calotype.infra.blobs import blob_key
from calotype.infra.imaging import ImageRefused
from calotype.product.accounts import actions, avatars, forms, names
from calotype.product.accounts.models import Account
from calotype.product.accounts.pages import show
from calotype.product.accounts.queries import require_viewer, viewer
from calotype.product.accounts.types import AccountId
from calotype.std.errors import BadRequest, NotFound
from calotype.web import languages
from calotype.web.media import send_blob
from calotype.web.orm import in_thread
from calotype.web.pages import origin_of, safe_next, see_other
from calotype.web.rate_limits import RateLimit
from calotype.web.request import SiteRequest
from calotype.web.sentences import sentence

LOG_IN_BY_NAME = RateLimit("log-in-name", amount=10, seconds=900)
LOG_IN_BY_ADDRESS = RateLimit("log-in-address", amount=50, seconds=900)
SIGN_UP_BY_ADDRESS = RateLimit("sign-up-address", amount=20, seconds=3600)
RESET_BY_ADDRESS = RateLimit("reset-address", amount=10, seconds=3600)

BACKEND = "calotype.product.accounts.backends.AccountBackend"


def address(request: HttpRequest) -> str:
    """Where the request came from, as far as the server can tell: the key of limits by address."""
    return str(request.META.get("REMOTE_ADDR", ""))


@require_http_methods(["GET", "HEAD", "POST"])
async def sign_up(request: SiteRequest) -> HttpResponse:
    if await viewer(request):
        return see_other("/")
    form = forms.SignUpForm(request.POST or None)
    if request.method == "POST":
        await SIGN_UP_BY_ADDRESS.spend(request.site.sessions, address(request))
        if form.is_valid() and (account := await _sign_up(request, form)):
            await in_thread(login, request, account, BACKEND)
            return see_other(safe_next(request, reverse("people")))
    return await show(request, "accounts/sign_up.html", {"form": form}, 422 if form.errors else 200)


async def _sign_up(request: SiteRequest, form: forms.SignUpForm) -> Account | None:
    entered = form.cleaned_data
    try:
        account_id = await actions.sign_up(
            request.site.graph,
            username=entered["username"],
            email=entered["email"],
            password=entered["password"],
            language=languages.chosen(request),
        )
    except ValidationError as error:
        form.add_error("password", error)
    except actions.UsernameTaken as error:
        form.add_error("username", error.message)
    except actions.EmailTaken as error:
        form.add_error("email", error.message)
    else:
        return await in_thread(Account.objects.get, id=account_id)
    return None


@require_http_methods(["GET", "HEAD", "POST"])
async def log_in(request: SiteRequest) -> HttpResponse:
    if await viewer(request):
        return see_other(safe_next(request, "/"))
    form = forms.LogInForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        entered = form.cleaned_data
        await LOG_IN_BY_ADDRESS.spend(request.site.sessions, address(request))
        await LOG_IN_BY_NAME.spend(request.site.sessions, names.canonical(entered["username"]))
        account = await in_thread(
            authenticate, request, username=entered["username"], password=entered["password"]
        )
        if account is not None:
            await in_thread(login, request, account, BACKEND)
            response = see_other(safe_next(request, "/"))
            if account.language:
                languages.remember(response, account.language)
            return response
        form.add_error(None, _("The name or the password is wrong."))
    context = {"form": form, "next": request.POST.get("next") or request.GET.get("next", "")}
    return await show(request, "accounts/log_in.html", context, 422 if form.errors else 200)


@require_POST
async def log_out(request: SiteRequest) -> HttpResponse:
    """Nothing that the browser has kept of this person stays: pages, pictures, drafts, likes that wait to be sent."""
    await in_thread(logout, request)
    response = see_other("/")
    response["Clear-Site-Data"] = '"cache", "storage"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
async def edit_profile(request: SiteRequest) -> HttpResponse:
    person = await require_viewer(request)
    initial = {"name": person.data.name, "bio": person.data.bio, "website": person.data.website}
    form = forms.ProfileForm(request.POST or None, request.FILES or None, initial=initial)
    if (
        request.method == "POST"
        and form.is_valid()
        and await _change_profile(request, AccountId(person.id), form)
    ):
        messages.success(request, _("Your profile is saved."))
        return see_other(f"/@{person.data.username}/")
    return await show(request, "accounts/edit_profile.html", {"form": form}, 422 if form.errors else 200)


async def _change_profile(request: SiteRequest, account_id: AccountId, form: forms.ProfileForm) -> bool:
    entered = form.cleaned_data
    if picture := entered["avatar"]:
        try:
            await avatars.set_avatar(request.site, account_id, await sync_to_async(picture.read)())
        except ImageRefused as error:
            form.add_error("avatar", sentence(error))
            return False
    elif entered["remove_avatar"]:
        await avatars.remove_avatar(request.site, account_id)
    await actions.change_profile(
        request.site.graph, account_id, name=entered["name"], bio=entered["bio"], website=entered["website"]
    )
    return True


@require_http_methods(["GET", "HEAD", "POST"])
async def change_password(request: SiteRequest) -> HttpResponse:
    person = await require_viewer(request)
    form = forms.ChangePasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        await LOG_IN_BY_NAME.spend(request.site.sessions, person.data.username)
        account = await in_thread(Account.objects.get, id=person.id)
        if not await in_thread(account.check_password, form.cleaned_data["current"]):
            form.add_error("current", _("This is not your password now."))
        elif await _set_password(account, form):
            await in_thread(login, request, account, BACKEND)
            await request.site.sessions.end_all(account.id, keep=request.session.session_key or "")
            messages.success(request, _("Your password is changed. You are logged out everywhere else."))
            return see_other(f"/@{person.data.username}/")
    return await show(request, "accounts/change_password.html", {"form": form}, 422 if form.errors else 200)


async def _set_password(account: Account, form: Form) -> bool:
    try:
        await actions.change_password(account, form.cleaned_data["new"])
    except ValidationError as error:
        form.add_error("new", error)
        return False
    return True


@require_http_methods(["GET", "HEAD"])
async def language_settings(request: SiteRequest) -> HttpResponse:
    await require_viewer(request)
    form = forms.LanguageForm(initial={"language": languages.chosen(request)})
    return await show(request, "accounts/language.html", {"form": form})


@require_POST
async def choose_language(request: SiteRequest) -> HttpResponse:
    """For this browser, whoever looks; of somebody with an account for their mails and their next browsers too."""
    form = forms.LanguageForm(request.POST)
    if not form.is_valid():
        raise BadRequest(_("This site does not speak that language."))
    language = form.cleaned_data["language"]
    me = await viewer(request)
    languages.speak(request, language)
    if me is not None:
        await actions.choose_language(AccountId(me.id), language)
        messages.success(request, _("Your language is saved."))
    response = see_other(safe_next(request, "/"))
    languages.remember(response, language)
    return response


@require_http_methods(["GET", "HEAD", "POST"])
async def reset_request(request: SiteRequest) -> HttpResponse:
    """Ask for a link by e-mail. The answer, and the time it takes, is the same whether or not there is such an account."""
    form = forms.ResetRequestForm(request.POST or None)
    sent = False
    if request.method == "POST" and form.is_valid():
        await RESET_BY_ADDRESS.spend(request.site.sessions, address(request))
        await actions.ask_for_reset(
            request.site.graph, form.cleaned_data["email"], origin_of(request), get_language() or ""
        )
        sent = True
    return await show(
        request, "accounts/reset_request.html", {"form": form, "sent": sent}, 422 if form.errors else 200
    )


@require_http_methods(["GET", "HEAD", "POST"])
async def reset_confirm(request: SiteRequest, uid: str, token: str) -> HttpResponse:
    account = await in_thread(_account_of_link, uid, token)
    if account is None:
        raise LinkExpired(_("This link has expired or was used already. Ask for a new one."))
    form = forms.ResetForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and await _set_password(account, form):
        await request.site.sessions.end_all(account.pk)
        messages.success(request, _("Your password is changed. Log in with it."))
        return see_other(reverse("log_in"))
    response = await show(request, "accounts/reset_confirm.html", {"form": form}, 422 if form.errors else 200)
    response["Referrer-Policy"] = "no-referrer"  # the link is a secret
    return response


class LinkExpired(NotFound):
    code = "link_expired"


def _account_of_link(uid: str, token: str) -> Account | None:
    try:
        account = Account.objects.get(pk=int(urlsafe_base64_decode(uid)), is_active=True)
    except (ValueError, OverflowError, Account.DoesNotExist):
        return None
    return account if default_token_generator.check_token(account, token) else None


@require_http_methods(["GET", "HEAD"])
async def avatar(request: SiteRequest, account_id: int, avatar_id: int) -> Any:
    key = blob_key(f"{avatars.prefix(account_id, avatar_id)}/square.jpeg")
    return await send_blob(request, key, "image/jpeg")

"""Uploading, editing and deleting posts, and sending photographs."""

from __future__ import annotations

import secrets
from itertools import islice, zip_longest

import msgspec
from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from calotype.infra.blobs import BlobMissing, blob_key
from calotype.infra.ids import parse
from calotype.infra.imaging import DEFAULT_LIMITS
from calotype.product.accounts.pages import show
from calotype.product.accounts.queries import require_viewer
from calotype.product.accounts.types import AccountId
from calotype.product.photos import actions, queries, recipe, revisions, staging
from calotype.product.photos.forms import FILE_NAME_LIMIT, CaptionForm, clean_alts
from calotype.product.photos.types import FILES_PER_UPLOAD, PHOTOS_PER_POST, PostId
from calotype.std.errors import CalotypeError, Unprocessable
from calotype.web.errors import wants_json
from calotype.web.idempotency import key_of
from calotype.web.media import private, send_blob, send_private
from calotype.web.pages import json, see_other
from calotype.web.rate_limits import RateLimit
from calotype.web.request import SiteRequest
from calotype.web.sentences import sentence


class WordsInvalid(Unprocessable):
    """A caption or a description cannot be stored as it is."""

    code = "words_invalid"


REVISIONS = RateLimit("revision", amount=120, seconds=600)
"""Each stores an original anew and decodes a rendition. Counted when one opens the editor too."""


class RevisedAnswer(msgspec.Struct, frozen=True):
    """A photograph that was edited, as the page shows it."""

    photo: str
    src: str
    srcset: str
    full: str
    width: int
    height: int
    recipe: str


class PublishedAnswer(msgspec.Struct, frozen=True):
    """What became of an upload, as JSON: ids are strings."""

    posts: list[str]
    stored: int
    refused: list[str]
    notes: list[str]


@require_http_methods(["GET", "HEAD", "POST"])
async def new(request: SiteRequest) -> HttpResponse:
    """Upload photographs. The form's key, or an Idempotency-Key header, makes a repeated request harmless."""
    me = await require_viewer(request)
    form = CaptionForm(request.POST or None)
    refused: list[str] = []
    status = 200
    if request.method == "POST":
        alts, alt_errors = clean_alts(request.POST.getlist("alt"))
        status, refused = 422, alt_errors
        if form.is_valid() and not alt_errors:
            try:
                published = await _publish(request, AccountId(me.id), alts, form.cleaned_data["caption"])
            except (actions.NothingStored, actions.TooManyFiles) as error:
                if wants_json(request):
                    raise
                status, refused = error.status, _sentences(error)
            else:
                return _published(request, published)
        elif wants_json(request):
            raise WordsInvalid(
                " ".join([*refused, *(str(error) for error in form.errors.get("caption", []))])
            )
    context = {
        "form": form,
        "key": request.POST.get("key") or secrets.token_urlsafe(16),
        "refused": refused,
        "limits": {
            "photos": PHOTOS_PER_POST,
            "files": FILES_PER_UPLOAD,
            "megabytes": DEFAULT_LIMITS.max_bytes // 1_000_000,
        },
    }
    return await show(request, "photos/new.html", context, status)


async def _publish(
    request: SiteRequest, author: AccountId, alts: list[str], caption: str
) -> actions.Published:
    """Of the files that came before (`upload`, in order, with `edited` and `recipe` of each), or of those in the form."""
    if files := request.POST.getlist("upload"):
        return await staging.publish(
            request.site, author, _choices(request, files, alts), caption, key_of(request)
        )
    return await actions.publish(
        request.site, author, await _uploads(request, alts), caption, key_of(request)
    )


def _choices(request: SiteRequest, files: list[str], alts: list[str]) -> list[staging.Choice]:
    """Raises `IdInvalid`, `RecipeInvalid`."""
    if len(files) > FILES_PER_UPLOAD:
        raise actions.too_many(len(files))
    for given in filter(None, request.POST.getlist("recipe")):
        recipe.read(given.encode())
    edited, recipes = request.POST.getlist("edited"), request.POST.getlist("recipe")
    return [
        staging.Choice(
            file=parse(file),
            edited=parse(rendition) if rendition else 0,
            recipe=(how or "").encode(),
            alt=alt or "",
        )
        for file, rendition, how, alt in islice(zip_longest(files, edited, recipes, alts), len(files))
    ]


def _published(request: SiteRequest, published: actions.Published) -> HttpResponse:
    """On to describing the photos; with several posts, to one's own page."""
    if wants_json(request):
        return json(
            PublishedAnswer(
                [str(id_) for id_ in published.posts], published.stored, published.refused, published.notes
            ),
            201,
        )
    messages.success(request, actions.stored_sentence(published))
    for remark in (*published.refused, *published.notes):
        messages.warning(request, remark)
    if len(published.posts) > 1:
        return see_other("/")
    return see_other(f"/p/{published.posts[0]}/edit/?new")


async def _uploads(request: SiteRequest, alts: list[str]) -> list[actions.Upload]:
    files = request.FILES.getlist("photos")
    return [
        actions.Upload(
            name=(file.name or _("a file"))[:FILE_NAME_LIMIT],
            data=await _bytes(file),
            alt=alts[at] if at < len(alts) else "",
        )
        for at, file in enumerate(files)
    ]


async def _bytes(file: UploadedFile[bytes]) -> bytes:
    """What was sent; of a file over the limit only so much that it is seen to be over."""
    limit = DEFAULT_LIMITS.max_bytes + 1
    data: bytes = await sync_to_async(file.read, thread_sensitive=False)(limit)
    return data


def _sentences(error: CalotypeError) -> list[str]:
    files = error.data.get("files")
    return files if isinstance(files, list) else [sentence(error)]


@require_http_methods(["GET", "HEAD", "POST"])
async def edit(request: SiteRequest, post_id: int) -> HttpResponse:
    me = await require_viewer(request)
    post = await actions.own_post(request.site.graph, AccountId(me.id), PostId(post_id))
    form = CaptionForm(request.POST or None, initial={"caption": post.data.caption})
    errors: list[str] = []
    if request.method == "POST":
        alts, errors = clean_alts(request.POST.getlist("alt"))
        if form.is_valid() and not errors:
            await actions.edit(
                request.site.graph,
                AccountId(me.id),
                PostId(post_id),
                caption=form.cleaned_data["caption"],
                alts=alts,
            )
            messages.success(request, _("Saved."))
            return see_other(queries.post_url(post_id))
    context = {
        "form": form,
        "post_id": post_id,
        "photos": [
            (view, photo.recipe)
            for view, photo in zip(queries.photo_views(post), post.data.photos, strict=True)
        ],
        "editable": not post.data.borrowed,
        "errors": errors,
        "is_new": "new" in request.GET,
    }
    return await show(request, "photos/edit.html", context, 422 if errors or form.errors else 200)


@require_http_methods(["GET"])
async def original(request: SiteRequest, post_id: int, photo_id: int) -> HttpResponseBase:
    """A photograph as its author uploaded it, for the editor and for nobody else; a JPEG of it where browsers cannot decode it."""
    me = await require_viewer(request)
    await REVISIONS.spend(request.site.sessions, str(me.id))
    key = await revisions.original_of(request.site, AccountId(me.id), PostId(post_id), photo_id)
    format = revisions.format_of(key)
    if format not in revisions.OPENED_EVERYWHERE:
        return private(
            HttpResponse(await revisions.opened_everywhere(request.site, key), content_type="image/jpeg")
        )
    return await send_private(request, key, f"image/{format}")


@require_http_methods(["POST"])
async def revise(request: SiteRequest) -> HttpResponse:
    """Show an edited rendition in place of a photo of one's own: `post`, `photo`, `recipe`, and the file `edited`."""
    me = await require_viewer(request)
    await REVISIONS.spend(request.site.sessions, str(me.id))
    post_id = PostId(parse(request.POST.get("post", "")))
    file = request.FILES.get("edited")
    photo = await revisions.revise(
        request.site,
        AccountId(me.id),
        post_id,
        parse(request.POST.get("photo", "")),
        edited=await _bytes(file) if file else b"",
        recipe=request.POST.get("recipe", "").encode(),
    )
    view = queries.photo_view(post_id, photo)
    return json(
        RevisedAnswer(str(photo.id), view.src, view.webp, view.full, view.width, view.height, photo.recipe),
        201,
    )


@require_http_methods(["GET", "HEAD", "POST"])
async def delete(request: SiteRequest, post_id: int) -> HttpResponse:
    """Asks first; deletes on POST."""
    me = await require_viewer(request)
    post = await actions.own_post(request.site.graph, AccountId(me.id), PostId(post_id))
    if request.method == "POST":
        await actions.delete(request.site.graph, AccountId(me.id), PostId(post_id))
        messages.success(request, _("The post is deleted."))
        return see_other(f"/@{me.data.username}/")
    return await show(
        request, "photos/delete.html", {"post_id": post_id, "photos": queries.photo_views(post)}
    )


@require_http_methods(["GET", "HEAD"])
async def media(
    request: SiteRequest, post_id: int, photo_id: int, name: str, format: str
) -> HttpResponseBase:
    """A variant of a photograph, as long as its post is there to be seen by who asks. Originals have no address."""
    post = await queries.post_of(request.site.graph, post_id, request.account_id)
    photo = next((photo for photo in post.data.photos if photo.id == photo_id), None)
    if photo is None or not queries.has_variant(photo, name, format):
        raise BlobMissing(_("There is no such photo."))
    return await send_blob(
        request, blob_key(f"{actions.prefix(photo_id)}/{name}.{format}"), f"image/{format}"
    )

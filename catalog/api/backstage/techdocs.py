"""Documentation as Backstage's readers ask for it: `/api/techdocs/*`.

Built sites are not files here: what its programs load as files is made from the stored pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any, Final
from urllib.parse import unquote

import orjson
from django.core.cache import cache
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from catalog import tasks
from catalog.api.backstage.base import BackstageView, answer, call, empty
from catalog.api.openapi import OBJECT, Schema
from catalog.dialects.backstage.annotations import LOCATION
from catalog.dialects.backstage.projection import ensure_current
from catalog.dialects.backstage.queries.answers import entity_json
from catalog.dialects.backstage.queries.selection import pks_by_ref
from catalog.dialects.backstage.refs import EntityRef
from catalog.ingest.techdocs import refresh
from catalog.kernel import crypto
from catalog.kernel.errors import IdpError, NotFound, shorten
from catalog.models import DocPage, DocSite
from catalog.selectors import docs

TAG: Final = "Backstage TechDocs"
NAMES: Final = ("namespace", "kind", "name")
COOKIE: Final = "backstage-auth"
COOKIE_PATH: Final = "/api/techdocs/static"
COOKIE_LASTS: Final = timedelta(hours=1)
SYNC_EVERY_S: Final = 20  # sooner than that nobody's wish makes docs be looked at again
SYNC_LASTS_S: Final = 15 * 60  # longer than a build may take: one at a time
MAX_SYNCS: Final = 2  # that are waited for at once; a worker does the others

METADATA_FILE: Final = "techdocs_metadata.json"
INDEX_FILE: Final = "search/search_index.json"

_STRING: Schema = {"type": "string"}
_METADATA: Schema = {
    "type": "object",
    "properties": {
        "site_name": _STRING,
        "site_description": _STRING,
        "etag": _STRING,
        "build_timestamp": {"type": "integer", "description": "Milliseconds since 1970."},
        "files": {"type": "array", "items": _STRING},
    },
    "required": ["site_name", "site_description", "etag", "build_timestamp", "files"],
}

# Whatever a browser might run or draw by itself is told as text.
_AS_TEXT: Final = ("text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "text/css")
_PLAIN: Final = "text/plain; charset=utf-8"


class TechDocsMetadata(BackstageView):
    @call(
        "get_techdocs_metadata",
        "What the docs of an entity are",
        path=NAMES,
        answers={200: _METADATA},
        errors=[404],
        tag=TAG,
    )
    def get(self, request: Request, namespace: str, kind: str, name: str) -> HttpResponse:
        return answer(_metadata(_site(self.principal, namespace, kind, name)))


class EntityMetadata(BackstageView):
    @call(
        "get_techdocs_entity",
        "The entity that docs belong to, and where its file is",
        path=NAMES,
        answers={200: OBJECT},
        errors=[404],
        tag=TAG,
    )
    def get(self, request: Request, namespace: str, kind: str, name: str) -> HttpResponse:
        ensure_current()
        ref = str(EntityRef(kind, namespace, name))
        found = entity_json(pks_by_ref(self.principal, [ref]).get(ref, 0))
        if found is None:
            raise _no_metadata(ref)
        entity = orjson.loads(found)
        managed = entity["metadata"].get("annotations", {}).get(LOCATION, "")
        place, colon, target = managed.partition(":")
        located = {"locationMetadata": {"type": place, "target": target}} if colon else {}
        return answer({**entity, **located})


class Sync(BackstageView):
    @call(
        "sync_techdocs",
        "Build the docs of an entity if they changed, and tell how it goes",
        path=NAMES,
        answers={200: {"type": "string", "description": "Server-sent events: log, error, finish."}},
        errors=[404],
        tag=TAG,
        description='`finish` says `{"updated": true}` when readers see something new. Docs that '
        "somebody asked for a moment ago are not looked at again.",
    )
    def get(self, request: Request, namespace: str, kind: str, name: str) -> HttpResponseBase:
        ref = str(EntityRef(kind, namespace, name))
        site = docs.find_site(self.principal, ref)
        if site is None:
            raise NotFound(f"{shorten(ref)} is not in the catalogue, or has no docs")
        response = StreamingHttpResponse(
            _synchronised(docs.find_shown(self.principal, site) or site),
            content_type="text/event-stream",
        )
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Accel-Buffering"] = "no"
        return response


class Static(BackstageView):
    """For pictures and downloads, whose loading sends no header, the cookie counts too."""

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        if not request.META.get("HTTP_AUTHORIZATION") and (sealed := request.COOKIES.get(COOKIE)):
            request.META["HTTP_AUTHORIZATION"] = _opened(sealed)
        return super().initialize_request(request, *args, **kwargs)

    @call(
        "get_techdocs_file",
        "A file of an entity's docs",
        path=(*NAMES, "path"),
        answers={200: {"type": "string", "format": "binary"}},
        errors=[404],
        tag=TAG,
        description="Pages are HTML below the address of their folder (`guides/start/index.html`), "
        "beside `techdocs_metadata.json` and `search/search_index.json`. What a browser would run "
        "is sent as text.",
    )
    def get(
        self, request: Request, namespace: str, kind: str, name: str, path: str
    ) -> HttpResponseBase:
        site = _site(self.principal, namespace, kind, name)
        path = unquote(path)
        if "\x00" not in path:
            if path == METADATA_FILE:
                return answer(_metadata(site))
            if path == INDEX_FILE:
                return answer(_index(site))
            if (found := docs.find_page(site, _url_of(path))) is not None:
                return _file(_document(site, found).encode(), "text/html")
            if (asset := docs.find_asset(site, path)) is not None:
                return _file(bytes(asset.content), asset.content_type)
        raise NotFound(f"File not found: {shorten(path)}")


class Cookie(BackstageView):
    @call(
        "get_backstage_cookie",
        "Have the static files open to a browser without a header",
        answers={
            200: {
                "type": "object",
                "properties": {"expiresAt": {"type": "string", "format": "date-time"}},
                "required": ["expiresAt"],
            }
        },
        tag=TAG,
        description="The cookie opens nothing else. Who is logged in to the portal needs none.",
    )
    def get(self, request: Request) -> HttpResponse:
        until = datetime.now(UTC) + COOKIE_LASTS
        ends = request.auth.get("exp") if isinstance(request.auth, dict) else None
        if isinstance(ends, int | float):
            until = min(until, datetime.fromtimestamp(ends, UTC))
        shown = until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        response = answer({"expiresAt": shown})
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if header:
            response.set_cookie(
                COOKIE,
                crypto.seal(header).decode(),
                expires=until,
                path=COOKIE_PATH,
                secure=request.is_secure(),
                httponly=True,
                samesite="Lax",
            )
        return response

    @call("delete_backstage_cookie", "Take the cookie away", answers={204: {}}, tag=TAG)
    def delete(self, request: Request) -> HttpResponse:
        response = empty(204)
        response.delete_cookie(COOKIE, path=COOKIE_PATH, samesite="Lax")
        return response


def _opened(sealed: str) -> str:
    try:
        header = crypto.open_(sealed.encode())
    except (IdpError, ValueError):
        return ""
    return header if isinstance(header, str) else ""


def _site(principal: Any, namespace: str, kind: str, name: str) -> DocSite:
    """The built docs of an entity, perhaps those of another one. Raises NotFound."""
    ref = str(EntityRef(kind, namespace, name))
    own = docs.find_site(principal, ref)
    site = docs.find_shown(principal, own) if own else None
    if site is None or not site.built_at:
        raise _no_metadata(ref)
    return site


def _no_metadata(ref: str) -> NotFound:
    return NotFound(f"Unable to get metadata for '{shorten(ref)}'")


def _metadata(site: DocSite) -> dict[str, Any]:
    assert site.built_at is not None  # noqa: S101 - `_site` gives built ones only
    pages = site.pages.order_by("path").values_list("url", flat=True)
    return {
        "site_name": site.name,
        "site_description": site.description,
        "etag": site.version,
        "build_timestamp": int(site.built_at.timestamp() * 1000),
        "files": [
            *sorted([*map(_file_of, pages), *docs.asset_paths(site)]),
            INDEX_FILE,
            METADATA_FILE,
        ],
    }


def _index(site: DocSite) -> dict[str, Any]:
    """As MkDocs' search plugin writes it."""
    pages = site.pages.order_by("path").values_list("url", "title", "text")
    return {
        "config": {"lang": ["en"], "separator": r"[\s\-]+", "pipeline": ["stopWordFilter"]},
        "docs": [{"location": url, "title": title, "text": text} for url, title, text in pages],
    }


def _file_of(url: str) -> str:
    return f"{url}index.html" if not url or url.endswith("/") else url


def _url_of(file: str) -> str:
    """The address of the page that a file shows, see `_file_of`."""
    return file.removesuffix("index.html") if f"/{file}".endswith("/index.html") else file


def _document(site: DocSite, page: DocPage) -> str:
    """A page as a document of its own; links in it are relative to its address."""
    title = page.title if page.title == site.name else f"{page.title} - {site.name}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n</head>\n<body>\n"
        f'<article class="md-content__inner md-typeset">\n{page.html}\n</article>\n'
        "</body>\n</html>\n"
    )


def _file(content: bytes, kind: str) -> HttpResponse:
    is_text = kind in _AS_TEXT or "javascript" in kind or kind.endswith("xml")
    response = HttpResponse(content, content_type=_PLAIN if is_text else kind)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _synchronised(site: DocSite) -> Iterator[bytes]:
    key = f"docs-sync:{site.pk}"
    if not cache.add(key, 1, SYNC_LASTS_S):
        yield _event("finish", {"updated": False})
        return
    slots = [f"docs-sync-slot:{number}" for number in range(MAX_SYNCS)]
    slot = next((one for one in slots if cache.add(one, 1, SYNC_LASTS_S)), None)
    if slot is None:  # whoever serves requests is not to be kept from it
        cache.touch(key, SYNC_EVERY_S)
        tasks.start_docs(site.pk)
        yield _event("log", f"Others are built just now; the docs of {site.ref} are next")
        yield _event("finish", {"updated": False})
        return
    try:
        yield _event("log", f"Looking for changes in the docs of {site.ref}")
        is_new = refresh.check(site.pk)
    finally:
        cache.delete(slot)
        cache.touch(key, SYNC_EVERY_S)
    now = DocSite.objects.filter(pk=site.pk).first()
    if now is None or now.state == DocSite.State.FAILED:
        reason = now.log if now else "The entity has no docs any more."
        yield _event("log", reason)
        yield _event("error", f"Failed to build the docs of {site.ref}: {reason}")
        return
    for warning in now.warnings if is_new else ():
        yield _event("log", f"{warning['page']}: {warning['message']}")
    yield _event("finish", {"updated": is_new})


def _event(name: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))

"""Addresses of the portal's pages.

Identifiers may hold a slash, and a web server decodes %2F before Django sees it. In our paths a
slash of an identifier is therefore written `~`, which no identifier may hold: each address is
unambiguous, needs no decoding tricks and survives being pasted anywhere.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.urls import register_converter, reverse


class IdentifierConverter:
    """One path segment with the identifier of a blueprint or an entity."""

    regex = r"[^/\x00]+"

    def to_python(self, value: str) -> str:
        return value.replace("~", "/")

    def to_url(self, value: str) -> str:
        return value.replace("/", "~")


register_converter(IdentifierConverter, "identifier")


def is_web(url: Any) -> bool:
    """Whether a link may lead there: an address of the web, and no program (javascript:)."""
    return isinstance(url, str) and url.lower().startswith(("http://", "https://"))


def table_url(blueprint: str, **query: str) -> str:
    """The table of a kind; `query` as the page itself writes it (`q`, `f`, `sort`, …)."""
    url = reverse("catalog:table", args=[blueprint])
    return f"{url}?{urlencode(query)}" if query else url


def entity_url(blueprint: str, identifier: str, tab: str = "") -> str:
    url = reverse("catalog:entity", args=[blueprint, identifier])
    return f"{url}?tab={tab}" if tab else url


def person_url(email: str) -> str:
    """Leads to the person with this e-mail address, whatever their identifier is."""
    return f"{reverse('catalog:person')}?{urlencode({'email': email})}"


def docs_url(ref: str, path: str = "") -> str:
    """A page of an entity's docs, or of its first one. ref: `kind:namespace/name`, lower case."""
    kind, _, rest = ref.partition(":")
    namespace, _, name = rest.partition("/")
    return reverse("catalog:docs-page", args=[namespace, kind, name, path])

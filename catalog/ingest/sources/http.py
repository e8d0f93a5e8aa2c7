"""Any paged REST endpoint, declared in the mapping: no code for one more program.

A resource's selector says where its list is, what in an answer the objects are, and how the next
page is found. JSON and YAML are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from catalog.ingest.sources.defaults import BundledKind
from catalog.kernel import jq
from catalog.kernel.errors import IdpError, InvalidInput, UpstreamError, shorten
from catalog.kernel.http import Client, Response
from catalog.kernel.source import Connection, Page, ResourceKind
from catalog.kernel.yaml_reader import load_document

MAX_PAGES: Final = 100_000

_PAGING: Final = ("none", "page", "offset", "cursor", "link", "next-url")
_TEXT = {"type": "string"}
_SELECTOR: Final[Mapping[str, Any]] = {
    "path": {**_TEXT, "title": "Path", "description": "Below the base address, like /v2/apps."},
    "method": {"type": "string", "enum": ["GET", "POST"], "default": "GET", "title": "Method"},
    "params": {"type": "object", "title": "Query parameters"},
    "body": {"type": "object", "title": "Body of a POST"},
    "items": {
        **_TEXT,
        "title": "Objects (jq)",
        "description": "What in an answer the list is, like .data.items; empty: the answer itself.",
    },
    "format": {"type": "string", "enum": ["json", "yaml"], "default": "json", "title": "Format"},
    "paging": {
        "type": "object",
        "title": "Paging",
        "description": "type: none, page, offset, cursor, link or next-url; param and sizeParam "
        "name the parameters, size is how many to ask for, start the first page (1), next (jq) "
        "where an answer has the cursor or address of the next page.",
    },
}


class Http(BundledKind):
    name = "http"
    title = "REST endpoint"
    icon = "RestApi"
    description = "Lists of any program with an HTTP API in JSON or YAML."
    settings_schema = {
        "type": "object",
        "properties": {
            "baseUrl": {
                "type": "string",
                "format": "url",
                "title": "Base address",
                "description": "Like https://cmdb.example.com/api.",
            },
            "authentication": {
                "type": "string",
                "title": "Authentication",
                "enum": ["none", "bearer", "basic", "header", "query"],
                "default": "none",
            },
            "username": {"type": "string", "title": "User name (basic)"},
            "secret": {
                "type": "string",
                "title": "Token or password",
                "secret": True,
            },
            "secretName": {
                "type": "string",
                "title": "Name of the header or parameter",
                "description": "For the authentications header and query.",
            },
            "headers": {"type": "object", "title": "Further headers"},
        },
        "required": ["baseUrl"],
        "additionalProperties": False,
    }
    resources = (
        ResourceKind(
            "object",
            "Objects of a list",
            "(.id // .key // .name) | tostring",
            description="Any other name will do: one for each list.",
            selector=_SELECTOR,
        ),
    )

    def resource(self, name: str) -> ResourceKind | None:
        return ResourceKind(name, name, self.resources[0].identifier, selector=_SELECTOR)

    def check(self, connection: Connection) -> Sequence[str]:
        answer = _client(connection).get("", expect=range(200, 500))
        if answer.status in (401, 403):
            raise UpstreamError(f"{answer.url} answers {answer.status}")
        return [f"{answer.url} answers ({answer.status})."]

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        walk = _Walk(resource.name, selector)
        client = _client(connection)
        at = walk.first if cursor is None else cursor
        for _ in range(MAX_PAGES):
            answer = client.request(
                selector.get("method") or "GET",
                walk.address(connection.settings["baseUrl"], at),
                params=walk.params(at),
                json=selector.get("body"),
                retry=True,  # a list is only read, also where it is asked for by POST
            )
            document = _read(answer, selector.get("format") or "json")
            items = walk.items(document)
            following = walk.next(answer, document, at, len(items))
            if following is not None and following == at:
                raise UpstreamError(f"{answer.url} names itself as the page after it")
            yield Page(items, following)
            if following is None:
                return
            at = following
        raise UpstreamError(f"{resource.name} has more than {MAX_PAGES:,} pages")


class _Walk:
    """How one list is walked. A place in it is a number (page, offset), a cursor or an address;
    "" is its start where that has no name."""

    def __init__(self, name: str, selector: Mapping[str, Any]) -> None:
        self.path = selector.get("path")
        if not isinstance(self.path, str) or urlsplit(self.path).netloc:
            raise _wrong("path", self.path, "a path below the base address")
        paging = selector.get("paging") or {}
        if not isinstance(paging, Mapping):
            raise _wrong("paging", paging, "an object")
        self.type = paging.get("type", "none")
        if self.type not in _PAGING:
            raise _wrong("paging.type", self.type, f"one of {', '.join(_PAGING)}")
        self.param = paging.get("param") or {"page": "page", "offset": "offset"}.get(self.type)
        self.size_param = paging.get("sizeParam")
        self.size = _number(paging, "size", 0)
        self.next_jq = paging.get("next")
        if self.type in ("cursor", "next-url") and not self.next_jq:
            raise _wrong("paging.next", self.next_jq, "jq that finds the next page in an answer")
        if self.type == "cursor" and not self.param:
            raise _wrong("paging.param", self.param, "the name of the parameter for the cursor")
        self.start = _number(paging, "start", 1 if self.type == "page" else 0)
        self.fixed = dict(selector.get("params") or {})
        self.items_jq = selector.get("items")
        self.name = name

    @property
    def first(self) -> Any:
        return self.start if self.type in ("page", "offset") else ""

    def address(self, base_url: str, at: Any) -> str:
        """What to ask. An address that an answer named must be on the same server: credentials
        go along."""
        if self.type not in ("link", "next-url") or not at:
            return str(self.path)
        url: str = urljoin(base_url.rstrip("/") + "/", at)
        if urlsplit(url)[:2] != urlsplit(base_url)[:2]:
            raise UpstreamError(
                f"The next page of {self.name} is on another server: {shorten(url)}"
            )
        return url

    def params(self, at: Any) -> dict[str, Any]:
        if self.type in ("link", "next-url") and at:
            return {}  # the address has them
        params = dict(self.fixed)
        if self.size and self.size_param:
            params[self.size_param] = self.size
        if self.type in ("page", "offset", "cursor") and at != "":
            params[str(self.param)] = at
        return params

    def items(self, document: Any) -> list[Any]:
        found = self._evaluated("items", self.items_jq, document) if self.items_jq else document
        if found is None:
            found = []
        if not isinstance(found, list):
            raise UpstreamError(
                f"{self.name}: {self.items_jq or 'the answer'} is {shorten(found)}; "
                "expected a list",
                hint="Say in selector.items where the list is.",
            )
        return found

    def next(self, answer: Response, document: Any, at: Any, count: int) -> Any:
        match self.type:
            case "page":
                return at + 1 if count and count >= self.size else None
            case "offset":
                return at + count if count and count >= self.size else None
            case "link":
                return answer.links.get("next")
            case "cursor" | "next-url":
                found = self._evaluated("paging.next", self.next_jq, document)
                return found if found not in (None, "", False) else None
        return None

    def _evaluated(self, field: str, expression: Any, document: Any) -> Any:
        try:
            return jq.evaluate(expression, document)
        except IdpError as error:
            raise UpstreamError(f"{self.name}: selector.{field}: {error}") from error


def _number(paging: Mapping[str, Any], name: str, default: int) -> int:
    value = paging.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _wrong(f"paging.{name}", value, "a whole number")
    return value


def _read(answer: Response, form: str) -> Any:
    return answer.json() if form == "json" else load_document(answer.content, name=answer.url)


def _client(connection: Connection) -> Client:
    settings = connection.settings
    secret, name = settings.get("secret") or "", settings.get("secretName") or ""
    overrides: dict[str, Any] = {
        "base_url": settings["baseUrl"],
        "headers": {key: str(value) for key, value in (settings.get("headers") or {}).items()},
        "secrets": [secret] if secret else [],
    }
    kind = settings.get("authentication", "none")
    if kind in ("header", "query") and not name:
        raise InvalidInput(
            f"secretName is missing; expected the name of the {kind}",
            details={"field": "settings.secretName", "expected": f"the name of the {kind}"},
        )
    match kind:
        case "bearer":
            overrides["headers"]["Authorization"] = f"Bearer {secret}"
        case "basic":
            overrides["basic"] = (settings.get("username") or "", secret)
        case "header":
            overrides["headers"][name] = secret
        case "query":
            overrides["params"] = {name: secret}
    return connection.http.with_(**overrides)


def _wrong(field: str, value: object, expected: str) -> InvalidInput:
    return InvalidInput(
        f"selector.{field} is {shorten(value)}; expected {expected}",
        details={"field": f"selector.{field}", "value": value, "expected": expected},
    )

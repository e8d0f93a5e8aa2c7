"""A small vendor for tests: a real HTTP server on 127.0.0.1 with recorded answers and bad days.

The fixture `vendor` starts one, opens the client's allow-list for it and shortens the pauses
between retries. Give `vendor.url` as the base address of whatever is tested, then::

    vendor.json("/user", {"login": "ada"})                  # GET -> 200, JSON
    vendor.json("/repos/*/readme", {"message": "Not Found"}, status=404)   # * is one segment
    vendor.text("/robots.txt", "…", headers={"content-type": "text/plain"})
    vendor.json("/tokens", {"token": "t1"}, method="POST", status=201)

    vendor.pages("/orgs/acme/repos", repos, size=2)         # ?page=, ?per_page=, Link (GitHub)
    vendor.pages("/projects", projects, style="gitlab")     # the same and X-Next-Page, X-Total
    vendor.pages("/services", services, style="offset", key="services")    # PagerDuty
    vendor.pages("/rest/api/2/search", issues, style="start_at", key="issues")   # Jira
    vendor.pages("/rest/api/3/search/jql", issues, style="token", key="issues")  # Jira Cloud
    vendor.pages("/api/v1/pods", pods, style="continue", key="items")      # Kubernetes
    vendor.pages("/things", things, style="cursor", key="data")  # ?cursor=, {"next_cursor"}

    @vendor.route("/graphql", method="POST")                # anything else, by hand
    def _(call):
        return {"data": {"viewer": call.json()["variables"]}}    # or an Answer, or bytes

Trouble comes before the recorded answer, once each, in the order given::

    vendor.trouble("/user", limited(after=1))               # 429, Retry-After: 1
    vendor.trouble("/user", failing(), failing())           # 500 twice, then fine
    vendor.trouble("/user", failing(503), times=10)
    vendor.trouble("/orgs/acme/repos", failing(), when={"page": "3"}, times=99)  # page 3 of 7
    vendor.trouble("*", refused(), after=5)                 # the token expires after five calls
    vendor.trouble("/user", garbage())                      # 200, not JSON
    vendor.trouble("/user", slow(0.5))                      # answers late
    vendor.trouble("/user", hang_up())                      # closes without an answer

`vendor.require("authorization", "Bearer t1")` answers 401 to whoever comes without it.
`vendor.etags = True` gives every 200 an ETag and answers 304 to who has it (`call.status`).
`vendor.calls` is the log: method, path, query, headers, body, status; `vendor.paths` just
"GET /user?page=2" of each. What nobody recorded answers 404 and stands in `vendor.unknown`.
"""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import pytest

Json = Any


@dataclass(frozen=True)
class Answer:
    """What the server says. body: bytes as they are, anything else as JSON."""

    status: int = 200
    body: bytes | Json = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hangs_up: bool = False
    passes: bool = False  # gives the recorded answer after all, late

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def limited(after: float | str = 1, *, status: int = 429, **headers: str) -> Answer:
    """Too many requests. after: seconds or a date. headers: with _ for -, such as
    x_ratelimit_remaining="0"."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if after != "":
        named["retry-after"] = str(after)
    return Answer(status, {"message": "API rate limit exceeded"}, named)


def failing(status: int = 500, message: str = "Something broke") -> Answer:
    return Answer(status, {"message": message})


def refused(status: int = 401, message: str = "Bad credentials") -> Answer:
    return Answer(status, {"message": message})


def garbage(text: str = "<html>not JSON</html>") -> Answer:
    return Answer(200, text.encode(), {"content-type": "application/json"})


def slow(seconds: float) -> Answer:
    return Answer(delay_s=seconds, passes=True)


def hang_up() -> Answer:
    return Answer(hangs_up=True)


@dataclass
class Call:
    """A request as it came in. path: still percent-encoded. query: the last value of each."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # lower-case names
    body: bytes
    status: int = 0

    def json(self) -> Json:
        return json.loads(self.body)

    def __str__(self) -> str:
        query = f"?{urlencode(self.query)}" if self.query else ""
        return f"{self.method} {self.path}{query}"


Handler = Callable[[Call], Any]


@dataclass
class _Trouble:
    pattern: str
    answers: list[Answer]
    when: Mapping[str, str]
    after: int

    def next(self, call: Call) -> Answer | None:
        if not _matches(self.pattern, call.path) or any(
            call.query.get(name) != value for name, value in self.when.items()
        ):
            return None
        if self.after:
            self.after -= 1
            return None
        return self.answers.pop(0) if self.answers else None


class Vendor:
    """See the module. `tls`: a server context for https."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.calls: list[Call] = []
        self.unknown: list[str] = []
        self.errors: list[Exception] = []  # of handlers
        self.etags = False
        self._routes: list[tuple[str, str, Handler]] = []
        self._troubles: list[_Trouble] = []
        self._required: dict[str, str] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    @property
    def paths(self) -> list[str]:
        return [str(call) for call in self.calls]

    def route(self, path: str, method: str = "GET") -> Callable[[Handler], Handler]:
        """Answer by hand. The last route for a path wins, so that a test may change its mind."""

        def register(handler: Handler) -> Handler:
            self._routes.insert(0, (method, path, handler))
            return handler

        return register

    def json(
        self,
        path: str,
        body: Json,
        *,
        method: str = "GET",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.route(path, method)(lambda _call: Answer(status, body, headers or {}))

    def text(
        self,
        path: str,
        body: str | bytes,
        *,
        method: str = "GET",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        content = body.encode() if isinstance(body, str) else body
        answer = Answer(status, content, {"content-type": "text/plain", **(headers or {})})
        self.route(path, method)(lambda _call: answer)

    def pages(
        self,
        path: str,
        items: Sequence[Json],
        *,
        style: str = "link",
        key: str = "",
        size: int = 100,
        method: str = "GET",
    ) -> None:
        """List `items` in pages of `size`, or fewer where the caller asks for fewer.

        key: where the items stand in the document; "" makes the list the whole document.
        """
        pager = _PAGERS[style]

        def answer(call: Call) -> Answer:
            asked = {**call.query, **(call.json() if method == "POST" and call.body else {})}
            return pager(self.url + call.path, call.query, asked, list(items), key, size)

        self.route(path, method)(answer)

    def trouble(
        self,
        path: str,
        *answers: Answer,
        times: int = 1,
        when: Mapping[str, str] | None = None,
        after: int = 0,
    ) -> None:
        """Say `answers` first to calls of `path` ("*": any) whose query holds `when`.

        times: how often the row of them. after: how many calls go well before.
        """
        lasting = times if not after or times > 1 else 10_000
        self._troubles.append(_Trouble(path, list(answers) * lasting, when or {}, after))

    def require(self, header: str, value: str) -> None:
        self._required[header.lower()] = value

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, call: Call) -> Answer:
        with self._lock:
            self.calls.append(call)
            answer = self._trouble_for(call)
        if answer is None or answer.passes:
            delay_s = answer.delay_s if answer else 0.0
            answer = replace(self._recorded(call), delay_s=delay_s)
        if self.etags and answer.status == 200 and call.method == "GET":
            etag = f'"{hashlib.sha256(answer.content).hexdigest()[:16]}"'
            headers = {**answer.headers, "etag": etag}
            if call.headers.get("if-none-match") == etag:
                answer = Answer(304, b"", headers, answer.delay_s)
            else:
                answer = replace(answer, headers=headers)
        call.status = answer.status
        return answer

    def _trouble_for(self, call: Call) -> Answer | None:
        for trouble in self._troubles:
            if answer := trouble.next(call):
                return answer
        return None

    def _recorded(self, call: Call) -> Answer:
        if any(call.headers.get(name) != value for name, value in self._required.items()):
            return refused()
        for method, pattern, handler in self._routes:
            if method == call.method and _matches(pattern, call.path):
                try:
                    said = handler(call)
                except Exception as error:  # noqa: BLE001 - the fixture reports it
                    self.errors.append(error)
                    return failing(message=f"the test's own handler failed: {error!r}")
                return said if isinstance(said, Answer) else Answer(200, said)
        self.unknown.append(str(call))
        return Answer(404, {"message": "Not Found"})


def _matches(pattern: str, path: str) -> bool:
    if pattern == "*":
        return True
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(
        fnmatchcase(part, want) or fnmatchcase(unquote(part), want)
        for part, want in zip(parts, wanted, strict=True)
    )


# Pagers: (address, query, everything asked, items, key, size) -> Answer

Asked = Mapping[str, Any]


def _document(items: list[Json], key: str, extra: Mapping[str, Json]) -> Json:
    return {key or "items": items, **extra}


def _by_number(url: str, query: Asked, asked: Asked, items: list[Json], key: str, size: int):
    number = int(asked.get("page") or 1)
    size = min(size, int(asked.get("per_page") or size))
    last = max(1, -(-len(items) // size))
    part = items[(number - 1) * size : number * size]
    steps = {"next": number + 1, "last": last} if number < last else {}
    steps |= {"prev": number - 1, "first": 1} if number > 1 else {}
    links = ", ".join(
        f'<{url}?{urlencode({**query, "page": page})}>; rel="{rel}"' for rel, page in steps.items()
    )
    headers = {"link": links} if links else {}
    body = {key: part, "total_count": len(items)} if key else part
    return Answer(200, body, headers), number, last, size


def _link(*about: Any) -> Answer:
    return _by_number(*about)[0]


def _gitlab(url: str, query: Asked, asked: Asked, items: list[Json], key: str, size: int) -> Answer:
    answer, number, last, size = _by_number(url, query, asked, items, key, size)
    headers = {
        **answer.headers,
        "x-page": str(number),
        "x-per-page": str(size),
        "x-total": str(len(items)),
        "x-total-pages": str(last),
        "x-next-page": str(number + 1) if number < last else "",
    }
    return replace(answer, headers=headers)


def _offset(url: str, query: Asked, asked: Asked, items: list[Json], key: str, size: int) -> Answer:
    start, size = int(asked.get("offset") or 0), min(size, int(asked.get("limit") or size))
    extra = {"offset": start, "limit": size, "more": start + size < len(items), "total": None}
    return Answer(200, _document(items[start : start + size], key, extra))


def _start_at(
    url: str, query: Asked, asked: Asked, items: list[Json], key: str, size: int
) -> Answer:
    start, size = int(asked.get("startAt") or 0), min(size, int(asked.get("maxResults") or size))
    is_last = start + size >= len(items)
    extra = {"startAt": start, "maxResults": size, "total": len(items), "isLast": is_last}
    return Answer(200, _document(items[start : start + size], key, extra))


def _opaque(parameter: str, size_parameter: str, extra: Callable[[str], Json]) -> Callable:
    """A pager whose next page has a name that only the server understands."""

    def answer(url: str, query: Asked, asked: Asked, items: list[Json], key: str, size: int):
        size = min(size, int(asked.get(size_parameter) or size))
        start = int(str(asked.get(parameter) or "at-0").removeprefix("at-"))
        name = f"at-{start + size}" if start + size < len(items) else ""
        return Answer(200, _document(items[start : start + size], key, extra(name)))

    return answer


_PAGERS: dict[str, Callable[..., Answer]] = {
    "link": _link,
    "gitlab": _gitlab,
    "offset": _offset,
    "start_at": _start_at,
    "token": _opaque(
        "nextPageToken",
        "maxResults",
        lambda name: {"isLast": not name, **({"nextPageToken": name} if name else {})},
    ),
    "continue": _opaque("continue", "limit", lambda name: {"metadata": {"continue": name}}),
    "cursor": _opaque("cursor", "limit", lambda name: {"next_cursor": name or None}),
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """A client that hangs up, or refuses our certificate, is no news."""


def _handler_of(vendor: Vendor) -> type[BaseHTTPRequestHandler]:
    class RequestHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet for head and body
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            call = Call(
                method=self.command,
                path=parts.path,
                query=dict(parse_qsl(parts.query, keep_blank_values=True)),
                headers={name.lower(): value for name, value in self.headers.items()},
                body=body,
            )
            answer = vendor.answer(call)
            if answer.delay_s:
                time.sleep(answer.delay_s)
            if answer.hangs_up:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            content = answer.content
            headers = {"content-type": "application/json", **answer.headers}
            self.send_response(answer.status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "content-length" not in headers:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            self.wfile.flush()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer

        def log_message(self, *_: object) -> None:
            """The log is `Vendor.calls`."""

    return RequestHandler


@pytest.fixture
def vendor(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """A vendor of this test's own, which the guarded client may call."""
    monkeypatch.setattr("catalog.kernel.http.waiting.FIRST_BACKOFF_S", 0.01)
    settings.IDP_HTTP_ALLOW = ["127.0.0.1"]
    one = Vendor()
    yield one
    one.close()
    assert one.errors == []

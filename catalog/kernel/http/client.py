"""The client: one way to ask, with everything that can go wrong thought of once."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import InitVar, dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any, TypeAlias

import httpcore2
import httpx2
import orjson
import structlog

from catalog.kernel.errors import (
    AddressRefused,
    InvalidInput,
    UpstreamError,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamUnavailable,
)
from catalog.kernel.http.addresses import Resolver, parse_url, resolve
from catalog.kernel.http.dialling import TOO_LONG, Dialler, deadline
from catalog.kernel.http.etags import EtagStore, Stored
from catalog.kernel.http.masking import looks_secret, mask, mask_url
from catalog.kernel.http.responses import (
    Broken,
    Downloaded,
    Response,
    TooLarge,
    links_of,
    unpacked,
    words_of,
)
from catalog.kernel.http.waiting import (
    OnWait,
    asked_wait_s,
    backoff_s,
    is_limited,
    limit_wait_s,
    sleep,
)

Scalar: TypeAlias = str | int | float | bool | None
Params: TypeAlias = Mapping[str, Scalar | Sequence[Scalar]]

OK = range(200, 300)
_SAFE = ("GET", "HEAD", "OPTIONS")
_OVERLOADED = (500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)
# What goes along to another host; anything else may be a credential.
_HARMLESS = ("accept", "accept-language", "content-type", "user-agent")
_KEPT_WITH_BODY = ("content-type", "link")
_CLIMBING = re.compile(r"(^|[/\\])(\.|%2e){1,2}([/\\#]|$)", re.I)  # a segment "." or ".."
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ERROR_BYTES = 256 * 1024  # as much of a refusal is read as its words can need
# Before these a request has not been sent: asking again repeats nothing.
_UNSENT = (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.PoolTimeout)
_FAILURES = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    Broken,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Call:
    """One request as it is sent."""

    method: str
    url: httpx2.URL
    headers: dict[str, str]
    content: bytes | None

    @property
    def shown(self) -> str:
        return mask_url(str(self.url))


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx2.Headers
    content: bytes
    size_bytes: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Client:
    """Asks servers elsewhere; refuses addresses that are not theirs to be asked.

    base_url: what relative addresses continue. headers, params, basic (user, password): sent
    with every call to the origin of `base_url` and to no other, so that a link to elsewhere
    carries no credentials; without a `base_url` they go wherever a call starts.
    verify: True, False, or the PEM of the authorities to trust. cert: PEM of a client's
    certificate and key. timeout_s: for each connect, read and write; deadline_s: for one whole
    exchange. max_bytes: of an answer, unpacked. retries: further tries after a failure, for
    methods that change nothing. max_wait_s: how long one call may wait for rate limits in all.
    on_wait: told of each wait, about every second; it may raise to give up. redirects: how many
    are followed, each to a checked address. etags: where answers are kept for "not modified".
    secrets: hidden in messages and logs wherever a server says them back; headers, params and
    passwords given here are already.
    """

    base_url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Params = field(default_factory=dict, repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)
    verify: bool | str = field(default=True, repr=False)
    cert: tuple[str, str] | None = field(default=None, repr=False)
    timeout_s: float = 30.0
    deadline_s: float = 120.0
    max_bytes: int = 32 * 1024 * 1024
    retries: int = 4
    max_wait_s: float = 60.0
    on_wait: OnWait | None = field(default=None, repr=False)
    redirects: int = 0
    etags: EtagStore | None = field(default=None, repr=False)
    secrets: Collection[str] = field(default=(), repr=False)
    resolver: Resolver = field(default=resolve, repr=False)
    dialler: InitVar[Dialler | None] = None

    def __post_init__(self, dialler: Dialler | None) -> None:
        if self.base_url:
            parse_url(self.base_url, field="base_url")
        own = dialler or Dialler(verify=self.verify, cert=self.cert, resolver=self.resolver)
        object.__setattr__(self, "_dialler", own)

    def with_(self, **overrides: Any) -> Client:
        """A client with other fields. `headers`, `params` and `secrets` are added to those there
        are; connections are shared as long as it trusts and shows the same."""
        for name in ("headers", "params"):
            if name in overrides:
                overrides[name] = {**getattr(self, name), **overrides[name]}
        if "secrets" in overrides:
            overrides["secrets"] = {*self.secrets, *overrides["secrets"]}
        is_same = not overrides.keys() & {"verify", "cert", "resolver"}
        return replace(self, dialler=self._dialler if is_same else None, **overrides)

    def close(self) -> None:
        self._dialler.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, url: str, **options: Any) -> Response:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> Response:
        return self.request("POST", url, **options)

    def get_json(self, url: str, **options: Any) -> Any:
        return self.request("GET", url, **options).json()

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Params | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Container[int] = OK,
        retry: bool | None = None,
    ) -> Response:
        """Ask, wait where the server says so, try again where that may help.

        url: absolute, or continuing `base_url`. json: becomes the body. expect: statuses that
        are answers; any other is an error. retry: whether repeating does no harm; None says so
        of GET, HEAD and OPTIONS alone.

        Raises AddressRefused, UpstreamRefused (401, 403), UpstreamNotFound (404, and for a relative
        address with a segment "." or ".."),
        UpstreamUnavailable (rate limits beyond `max_wait_s`, 5xx after the retries, timeouts, no
        connection), UpstreamError (any other status, an answer too large),
        InvalidInput (a header with a line end in it).
        """
        if json is not None:
            content = orjson.dumps(json)
            headers = {"content-type": "application/json", **(headers or {})}
        call = self._call(method, url, params or {}, headers or {}, content)
        key = f"{call.headers.get('accept')} {call.url}"
        stored = self.etags.get(key) if self.etags and method == "GET" else None
        if stored:
            call.headers["if-none-match"] = stored.etag
        answer, url = self._ask(call, expect, retry, stored is not None)
        is_cached = stored is not None and answer.status == 304
        if stored and is_cached:
            merged = httpx2.Headers({**stored.headers, **answer.headers})
            answer = _Answer(200, merged, stored.body, len(stored.body))
        elif self.etags and method == "GET" and answer.status == 200 and "etag" in answer.headers:
            kept = {
                name: answer.headers[name] for name in _KEPT_WITH_BODY if name in answer.headers
            }
            self.etags.set(key, Stored(answer.headers["etag"], answer.content, kept))
        return Response(
            method=method,
            url=mask_url(url),
            status=answer.status,
            headers=answer.headers,
            content=answer.content,
            links=links_of(answer.headers, url),
            is_cached=is_cached,
        )

    def download(
        self,
        url: str,
        path: Path,
        *,
        max_bytes: int,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Downloaded:
        """Write the body of a GET into `path`, without holding it in memory.

        Nothing is left at `path` when it fails. max_bytes replaces the client's own cap. Errors
        are those of `request`.
        """
        call = self._call("GET", url, params or {}, headers or {}, None)
        call.headers["accept-encoding"] = "identity"
        try:
            answer, url = self.with_(max_bytes=max_bytes)._ask(call, OK, None, False, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Downloaded(mask_url(url), answer.status, answer.headers, path, answer.size_bytes)

    def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        host: str = "",
    ) -> Stream:
        """One exchange whose answer is handed on as it comes, whatever its status; the body is
        not unpacked. Whoever gets it closes it.

        host: the Host header, where it is not that of `url`. No retries, waits or redirects.
        Raises AddressRefused, UpstreamUnavailable (no connection, no answer in time), InvalidInput.
        """
        call = self._call(
            method, url, {}, {"accept-encoding": "identity", **(headers or {})}, content
        )
        return Stream(self, call, host)

    # How a call is made

    def _call(
        self,
        method: str,
        url: str,
        params: Params,
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> _Call:
        is_absolute = url.lower().startswith(("http://", "https://")) or not self.base_url
        if not is_absolute and _CLIMBING.search(url.partition("?")[0]):
            # Names that others gave stand in paths; one like this would lead to another object.
            raise UpstreamNotFound(
                f"{method} {mask_url(url)}: the path leaves the place that it begins at",
                details={"url": mask_url(url)},
            )
        target = parse_url(url if is_absolute else f"{self.base_url.rstrip('/')}/{url.lstrip('/')}")
        own = not self.base_url or _origin(target) == _origin(httpx2.URL(self.base_url))
        wanted = {**(self.params if own else {}), **params}
        given = {name: value for name, value in wanted.items() if value is not None}
        if given:
            target = target.copy_merge_params(given)
        sent = {"accept": "*/*", "user-agent": "idp", "accept-encoding": "gzip, deflate"}
        sent |= {
            name.lower(): value
            for name, value in self.headers.items()
            if own or name.lower() in _HARMLESS
        }
        if own and self.basic:
            pair = ":".join(self.basic).encode()
            sent["authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        sent |= {name.lower(): value for name, value in headers.items()}
        for name, value in sent.items():
            if _CONTROL.search(value):
                # The value is not said: it may be a token that was pasted with its line end.
                raise InvalidInput(f'The value for the header "{name}" has a line end in it')
        if content is None and method in ("POST", "PUT", "PATCH"):
            content = b""
        return _Call(method, target, sent, content)

    def _ask(
        self,
        call: _Call,
        expect: Container[int],
        retry: bool | None,
        is_conditional: bool,
        path: Path | None = None,
    ) -> tuple[_Answer, str]:
        """The answer that counts, and the address that gave it, after waits, retries, redirects."""
        can_retry = call.method in _SAFE if retry is None else retry
        attempt, hops, limited, waited_s = 0, 0, 0, 0.0
        while True:
            can_again = attempt < self.retries
            try:
                answer = self._exchange(call, expect, path)
            except _FAILURES as error:
                if can_again and (can_retry or isinstance(error, _UNSENT)):
                    self._back_off(call, attempt, None, self._failure_words(call, error))
                    attempt += 1
                    continue
                raise self._failed(call, error) from error
            status = answer.status
            if status in expect or (status == 304 and is_conditional):
                return answer, str(call.url)
            if status in _REDIRECTS and hops < self.redirects:
                call, hops = self._redirected(call, answer), hops + 1
                continue
            words = self._words(call, answer)
            if is_limited(status, answer.headers, words):
                # At least a little, and more each time: some servers ask for no wait at all.
                wait_s = max(limit_wait_s(answer.headers), backoff_s(limited))
                if waited_s + wait_s > self.max_wait_s:
                    raise self._refused(call, answer, words, retry_after_s=wait_s)
                log.info("http_limited", url=self._shown(call), wait_s=round(wait_s, 1))
                self._wait(wait_s, f"rate limit of {call.url.host}")
                waited_s, limited = waited_s + wait_s, limited + 1
                continue
            if status in _OVERLOADED and can_retry and can_again:
                asked_s = asked_wait_s(answer.headers) if "retry-after" in answer.headers else None
                if asked_s is None or waited_s + asked_s <= self.max_wait_s:
                    waited_s += asked_s or 0.0
                    self._back_off(call, attempt, asked_s, f"{status} {words}".strip())
                    attempt += 1
                    continue
            raise self._refused(call, answer, words)

    def _exchange(self, call: _Call, expect: Container[int], path: Path | None) -> _Answer:
        """One request and its answer. The body goes into `path`, if given and the answer counts."""
        began_at, status, size = monotonic(), 0, 0
        pool = self._dialler.pool_for(call.url.raw_host.decode("ascii"))
        try:
            with (
                deadline(self.deadline_s),
                pool.stream(
                    call.method,
                    _target(call),
                    headers=_headers(call),
                    content=call.content,
                    extensions=self._extensions(),
                ) as raw,
            ):
                status, headers = raw.status, httpx2.Headers(raw.headers)
                counts = status in expect
                pieces = self._pieces(raw, headers, self.max_bytes if counts else _ERROR_BYTES)
                if path is not None and counts:
                    with path.open("wb") as file:
                        for piece in pieces:
                            size += file.write(piece)
                    return _Answer(status, headers, b"", size)
                content = bytearray()
                # A refusal that is too long is still one: its beginning says why.
                with suppress(*(() if counts else (TooLarge, Broken))):
                    for piece in pieces:
                        content += piece
                size = len(content)
                return _Answer(status, headers, bytes(content), size)
        except TooLarge:
            raise UpstreamError(
                f"{call.method} {self._shown(call)} answered with more than "
                f"{self.max_bytes:,} bytes",
                details={"status": status, "url": self._shown(call), "limit": self.max_bytes},
            ) from None
        finally:
            log.info(
                "http_call",
                method=call.method,
                url=self._shown(call),
                status=status or None,
                size_bytes=size,
                took_ms=round((monotonic() - began_at) * 1000),
            )

    def _extensions(self) -> dict[str, Any]:
        return {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self.timeout_s)}

    def _pieces(
        self, raw: httpcore2.Response, headers: httpx2.Headers, max_bytes: int
    ) -> Iterator[bytes]:
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > max_bytes:
            raise TooLarge
        encoding = headers.get("content-encoding", "").strip().lower()
        yield from unpacked(raw.iter_stream(), encoding, max_bytes)

    def _redirected(self, call: _Call, answer: _Answer) -> _Call:
        """The call that a redirect asks for; credentials stay with the origin they are for."""
        place = answer.headers.get("location", "")
        try:
            target = parse_url(str(call.url.join(place)))
        except (httpx2.InvalidURL, AddressRefused) as error:
            raise AddressRefused(
                f"{call.method} {self._shown(call)} redirects to where this server does not go: "
                f"{mask_url(place)}"
            ) from error
        if call.url.scheme == "https" and target.scheme != "https":
            raise AddressRefused(
                f"{call.method} {self._shown(call)} redirects to {mask_url(str(target))}, "
                "which is not encrypted"
            )
        method, content, headers = call.method, call.content, call.headers
        if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
            method, content = "GET" if method != "HEAD" else "HEAD", None
            headers = {n: v for n, v in headers.items() if n != "content-type"}
        if _origin(target) != _origin(call.url):
            headers = {n: v for n, v in headers.items() if n in (*_HARMLESS, "accept-encoding")}
        return _Call(method, target, headers, content)

    # How trouble is told

    def _back_off(self, call: _Call, attempt: int, asked_s: float | None, reason: str) -> None:
        wait_s = backoff_s(attempt) if asked_s is None else asked_s
        log.warning(
            "http_retry", method=call.method, url=self._shown(call), reason=reason, wait_s=wait_s
        )
        self._wait(wait_s, f"{call.url.host} failed ({reason})")

    def _wait(self, seconds: float, reason: str) -> None:
        sleep(seconds, reason, self.on_wait)

    def _hide(self, call: _Call, text: str) -> str:
        return mask(text, self._known_secrets(call))

    def _shown(self, call: _Call) -> str:
        return self._hide(call, call.shown)

    def _known_secrets(self, call: _Call) -> set[str]:
        """What was sent to prove who we are, whole and without its scheme ("Bearer …")."""
        known = set(self.secrets) | ({self.basic[1]} if self.basic else set())
        known |= {v for n, v in call.url.params.multi_items() if looks_secret(n)}
        for name, value in call.headers.items():
            if name not in (*_HARMLESS, "accept-encoding", "if-none-match"):
                known |= {value, value.rpartition(" ")[2]}
        return known

    def _words(self, call: _Call, answer: _Answer) -> str:
        return self._hide(call, words_of(answer.headers, answer.content))

    def _failure_words(self, call: _Call, error: Exception) -> str:
        said = str(error.args[0] if error.args else "") or type(error).__name__
        if isinstance(error, httpcore2.ConnectTimeout):
            said = f"no connection within {self.timeout_s:g} s"
        elif isinstance(error, httpcore2.TimeoutException) and said != TOO_LONG:
            said = f"no answer within {self.timeout_s:g} s"
        return self._hide(call, said)

    def _failed(self, call: _Call, error: Exception) -> UpstreamError:
        shown = self._shown(call)
        return UpstreamUnavailable(
            f"{call.method} {shown} failed: {self._failure_words(call, error)}",
            details={"url": shown},
        )

    def _refused(
        self, call: _Call, answer: _Answer, words: str, *, retry_after_s: float | None = None
    ) -> UpstreamError:
        status, shown = answer.status, self._shown(call)
        details: dict[str, Any] = {"status": status, "url": shown}
        message = f"{call.method} {shown} answered {status}" + (f": {words}" if words else "")
        if retry_after_s is not None:
            details["retry_after_s"] = round(retry_after_s)
            return UpstreamUnavailable(
                message,
                hint=f"It limits how often it may be asked; try again in {retry_after_s:.0f} s.",
                details=details,
            )
        if status in (401, 403):
            hint = "Check the credentials, and what they are allowed to read."
            return UpstreamRefused(message, hint=hint, details=details)
        if status == 404:
            return UpstreamNotFound(message, details=details)
        if status in _OVERLOADED or status == 408:
            return UpstreamUnavailable(message, details=details)
        if status in _REDIRECTS:
            place = mask_url(answer.headers.get("location", ""))
            message = f"{call.method} {shown} answered {status}: it has moved to {place}"
            return UpstreamError(message, hint="Use the new address.", details=details)
        return UpstreamError(message, details=details)

    _dialler: Dialler = field(init=False, repr=False)


class Stream:
    """An answer that is read as it comes; `headers` has each header as often as it was sent."""

    def __init__(self, client: Client, call: _Call, host: str) -> None:
        self._client = client
        self._call = call
        self._began_at = monotonic()
        self._size = 0
        self._is_open = True
        pool = client._dialler.pool_for(call.url.raw_host.decode("ascii"))
        headers = _headers(call, host)
        if call.content is not None:
            headers.append((b"Content-Length", str(len(call.content)).encode()))
        request = httpcore2.Request(
            call.method,
            _target(call),
            headers=headers,
            content=call.content,
            extensions=client._extensions(),
        )
        self.status = 0
        try:
            with deadline(client.deadline_s):
                self._raw = pool.handle_request(request)
        except _FAILURES as error:
            self._log()
            raise client._failed(call, error) from error
        self.status = self._raw.status
        self.headers = httpx2.Headers(self._raw.headers)
        self.url = str(call.url)

    def pieces(self) -> Iterator[bytes]:
        """The body as it was sent. Raises UpstreamError when it is larger than the client's cap,
        and UpstreamUnavailable when it breaks off or takes longer than the deadline."""
        client, parts = self._client, self._raw.iter_stream()
        try:
            while True:
                # Each by itself: between two of them whoever reads may be somewhere else.
                with deadline(client.deadline_s - (monotonic() - self._began_at)):
                    piece = next(parts, None)
                if piece is None:
                    return
                self._size += len(piece)
                if self._size > client.max_bytes:
                    shown = client._shown(self._call)
                    raise UpstreamError(
                        f"{self._call.method} {shown} answered with more than "
                        f"{client.max_bytes:,} bytes",
                        details={"url": shown, "limit": client.max_bytes},
                    )
                yield piece
        except _FAILURES as error:
            raise client._failed(self._call, error) from error
        finally:
            self.close()

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._raw.close()
            self._log()

    def _log(self) -> None:
        log.info(
            "http_call",
            method=self._call.method,
            url=self._client._shown(self._call),
            status=self.status or None,
            size_bytes=self._size,
            took_ms=round((monotonic() - self._began_at) * 1000),
        )


def _target(call: _Call) -> httpcore2.URL:
    """In parts, not as text: what was checked is what is called, without a second parser."""
    return httpcore2.URL(
        scheme=call.url.raw_scheme,
        host=call.url.raw_host,
        port=call.url.port,
        target=call.url.raw_path,
    )


def _headers(call: _Call, host: str = "") -> list[tuple[bytes, bytes]]:
    return [
        (b"Host", host.encode() or call.url.netloc),
        *((n.encode(), v.encode()) for n, v in call.headers.items()),
    ]


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port

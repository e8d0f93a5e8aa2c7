"""One call for a run: sent once, kept as it may be shown, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from actions.registry import Invocation
from actions.services.templating import is_credential
from catalog.kernel.errors import InvalidInput, UpstreamUnavailable
from catalog.kernel.http import Client, Response, mask_url
from catalog.kernel.http.masking import HIDDEN
from catalog.kernel.http.responses import words_of
from catalog.kernel.http.waiting import asked_wait_s, is_limited, limit_wait_s
from catalog.kernel.identifiers import storable_text
from catalog.kernel.schema import check_json

_TIMEOUT_S: Final = 60.0
_DEADLINE_S: Final = 100.0  # less than a worker has a run to itself
_KEPT_BYTES: Final = 256 * 1024  # of an answer; a longer one is kept as text, and cut
_KEPT_CHARS: Final = 64 * 1024
_AGAIN: Final = (408, 425)  # as those from 500 on: it may work later


@dataclass(frozen=True, slots=True)
class Call:
    """headers: names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """words: what was called, and what it said. body: JSON, or the text where it is none."""

    is_good: bool
    words: str
    body: Any


def send(call: Call, invocation: Invocation) -> Answer:
    """Raises UpstreamUnavailable where trying again later may help, with `retry_after_s` where the
    receiver asked for it; AddressRefused; InvalidInput for a header that cannot be sent.
    """
    invocation.extend()
    invocation.record(
        method=call.method,
        url=mask_url(call.url),
        request_headers=shown_headers(call.headers),
        request_body=call.content.decode(errors="replace"),
    )
    with Client(
        retries=0, timeout_s=_TIMEOUT_S, deadline_s=_DEADLINE_S, secrets=invocation.secrets
    ) as client:
        response = client.request(
            call.method,
            call.url,
            content=call.content,
            headers=call.headers,
            expect=range(100, 600),
        )
    invocation.record(
        status_code=response.status,
        response_headers=shown_headers(response.headers),
        response_body=response.text,
    )
    return _judged(response)


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: HIDDEN if is_credential(name) else value for name, value in headers.items()}


def _judged(response: Response) -> Answer:
    is_good = response.status < 300
    said = "" if is_good else words_of(response.headers, response.content)
    words = f"{response.method} {response.url} answered {response.status}"
    if 300 <= response.status < 400:
        words += f": it has moved to {mask_url(response.headers.get('location', ''))}"
    elif said:
        words += f": {said}"
    if (wait_s := _wait_s(response, said)) is not None:
        details = {"status": response.status, "url": response.url, "retry_after_s": wait_s}
        raise UpstreamUnavailable(words, details=details)
    return Answer(is_good, words, _body(response))


def _wait_s(response: Response, said: str) -> float | None:
    """How long to wait at least before it is asked again; None for an answer that counts."""
    if is_limited(response.status, response.headers, said):
        return limit_wait_s(response.headers)
    if response.status in _AGAIN or response.status >= 500:
        has_asked = "retry-after" in response.headers
        return (asked_wait_s(response.headers) or 0.0) if has_asked else 0.0
    return None


def _body(response: Response) -> Any:
    """As it can be kept."""
    if not response.content:
        return None
    text = storable_text(response.text[:_KEPT_CHARS])
    if len(response.content) > _KEPT_BYTES:
        return text
    try:
        found = orjson.loads(response.content)
        check_json(found)
    except (orjson.JSONDecodeError, InvalidInput):
        return text
    return found

"""What all views below /api/catalog, /api/search, /api/techdocs and /api/proxy share.

    class Facets(BackstageView):
        @call("list_facets", "Count values", params=(FACET, FILTER), answers={200: OBJECT})
        def get(self, request: Request) -> HttpResponse:
            return answer({"facets": count(self.query["facet"])})

`call` documents a method and lets `BackstageView` check it: unknown and wrong parameters and bodies
are refused before the method runs, which finds them in `self.query` and `self.body`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from itertools import chain, islice
from typing import Any, TypeVar

import orjson
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import OpenApiParameter
from jsonschema_rs import Draft202012Validator
from rest_framework.request import Request

from catalog.api.backstage.checks import Parameter, check_body, check_query, compile_body
from catalog.api.backstage.errors import JSON
from catalog.api.base import ApiView
from catalog.api.openapi import Schema, documented, ref
from catalog.kernel.errors import NotAuthenticated
from catalog.selectors.documents import CHUNK

TAG = "Backstage catalogue"

_Method = TypeVar("_Method", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Call:
    params: Sequence[Parameter]
    body: Draft202012Validator | None


def call(
    operation_id: str,
    summary: str,
    *,
    answers: Mapping[int, Schema],
    params: Sequence[Parameter] = (),
    path: Sequence[str] = (),
    body: Schema | None = None,
    errors: Sequence[int] = (),
    description: str = "",
    tag: str = TAG,
) -> Callable[[_Method], _Method]:
    """Declare a method of a `BackstageView`.

    answers: {} is no body. body: a JSON Schema without references, by which a body is checked.
    errors: statuses besides 400 and 401.
    """
    describe = documented(
        operation_id,
        summary,
        tag=tag,
        answers=answers,
        path=path,
        params=[_document(one) for one in params],
        body=body,
        errors=[400, *errors],
        description=description,
        error=ref("BackstageError"),
    )
    declared = _Call(params, None if body is None else compile_body(body))

    def decorate(method: _Method) -> _Method:
        described = describe(method)
        described.backstage_call = declared  # type: ignore[attr-defined]
        return described

    return decorate


class BackstageView(ApiView):
    """query: the checked value of each declared parameter (`checks.check_query`). body: the checked
    body."""

    query: dict[str, Any]
    body: Any

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)
        except NotAuthenticated as error:
            raise NotAuthenticated("Illegal token", hint=error.hint) from None

    def permission_denied(
        self, request: Request, message: str | None = None, code: str | None = None
    ) -> Any:
        if not request.user.is_authenticated:
            raise NotAuthenticated("Missing credentials")
        super().permission_denied(request, message, code)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = getattr(self, str(request.method).lower(), None)
        declared: _Call | None = getattr(method, "backstage_call", None)
        if declared is not None:
            self.query = check_query(request.query_params, declared.params)
            # Clients say Content-Type with every request: only those that declare a body read it.
            self.body = declared.body and check_body(request.data, declared.body)


def answer(
    body: Any, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """JSON. Values may be `orjson.Fragment`s."""
    return HttpResponse(
        orjson.dumps(body), status=status, content_type=JSON, headers=dict(headers or {})
    )


def short_answer(request: Request, body: Any) -> HttpResponseBase:
    """JSON with an ETag of its text: 304 when the client has it."""
    made = answer(body)
    digest = b64encode(sha1(made.content, usedforsecurity=False).digest()).decode()
    etag = f'W/"{len(made.content):x}-{digest}"'
    made.headers["ETag"] = etag
    plain: HttpRequest = request._request
    return get_conditional_response(plain, etag=etag, response=made) or made


def streamed(head: bytes, items: Iterator[bytes], tail: bytes) -> HttpResponseBase:
    """JSON with these items, streamed when there are many. The first of them are fetched before
    anything is sent, so that an error is still an answer."""
    first = list(islice(items, CHUNK))
    if len(first) < CHUNK:
        return HttpResponse(head + b",".join(first) + tail, content_type=JSON)
    return StreamingHttpResponse(
        chain([head, b",".join(first)], _rest(items), [tail]), content_type=JSON
    )


def empty(status: int = 200) -> HttpResponse:
    """No body at all, and so no media type."""
    made = HttpResponse(status=status)
    del made.headers["Content-Type"]
    return made


def _rest(items: Iterator[bytes]) -> Iterator[bytes]:
    while part := list(islice(items, CHUNK)):
        yield b"," + b",".join(part)


def _document(parameter: Parameter) -> OpenApiParameter:
    many = parameter.is_many or parameter.is_split
    return OpenApiParameter(
        parameter.name,
        parameter.schema,
        OpenApiParameter.QUERY,
        required=parameter.is_required,
        description=parameter.description,
        explode=parameter.is_many if many else None,
    )

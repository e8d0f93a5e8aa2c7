"""What all views of the API share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import orjson
import structlog
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.kernel.actors import Actor
from catalog.kernel.errors import NotFound
from catalog.models import Blueprint
from catalog.selectors.documents import CHUNK, timestamp
from catalog.services import permissions


class ApiView(APIView):
    """A view that knows who asks, and by which program.

    documented_methods: those that the OpenAPI document shows; None is all.
    """

    documented_methods: tuple[str, ...] | None = None

    @property
    def principal(self) -> Any:
        return self.request.user

    @property
    def actor(self) -> Actor:
        """The caller as history names it. Its datasource is the User-Agent, as exporters find
        their own entities by it."""
        return permissions.actor_of(
            self.principal,
            datasource=self.request.META.get("HTTP_USER_AGENT", ""),
            request_id=_request_id(),
        )

    def finalize_response(  # type: ignore[override] # not only REST framework's own answers
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type]
        response.headers["X-Trace-Id"] = _request_id()  # clients write it into their logs
        return response

    def blueprint_to_write(self, identifier: str) -> Blueprint:
        """The blueprint, if the caller may write its entities. Raises PermissionDenied else."""
        blueprint = get_blueprint(identifier)
        permissions.require_entity_write(self.principal, blueprint)
        return blueprint


def get_blueprint(identifier: str) -> Blueprint:
    """The blueprint without its schema. Raises NotFound."""
    found = Blueprint.objects.defer("schema").filter(identifier=identifier).first()
    if found is None:
        raise NotFound.of("Blueprint", identifier)
    return found


def _request_id() -> str:
    """The id that the log lines and the history of this request carry."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))[:100]


def ok(status: int = 200, /, **body: Any) -> Response:
    """The envelope of every good answer. Values may be `orjson.Fragment`s."""
    return Response({"ok": True, **body}, status=status)


def signed(row: Any) -> dict[str, Any]:
    """When and by whom a row was made and changed."""
    return {
        "createdAt": timestamp(row.created_at),
        "createdBy": row.created_by,
        "updatedAt": timestamp(row.updated_at),
        "updatedBy": row.updated_by,
    }


def ok_list(name: str, documents: Iterator[bytes], **rest: Any) -> HttpResponseBase:
    """{"ok": true, **rest, name: [documents]}, streamed when there are many.

    The first documents are fetched before anything is sent, so that an error is still an answer.
    """
    head = orjson.dumps({"ok": True, **rest})[:-1] + b',"%s":[' % name.encode()
    first = list(islice(documents, CHUNK))
    if len(first) < CHUNK:
        return HttpResponse(head + b",".join(first) + b"]}", content_type="application/json")
    return StreamingHttpResponse(
        chain([head, b",".join(first)], _rest(documents), [b"]}"]),
        content_type="application/json",
    )


def _rest(documents: Iterator[bytes]) -> Iterator[bytes]:
    while part := list(islice(documents, CHUNK)):
        yield b"," + b",".join(part)

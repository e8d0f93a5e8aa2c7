"""Queries: CQL over the catalogue, asked at once; the answer is kept for a while."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

import orjson
from django.core.cache import cache
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.openapi import OBJECT
from catalog.kernel.errors import NotFound
from catalog.selectors.documents import timestamp
from scorecards.api.cortex.base import CortexView, call
from scorecards.api.cortex.documents import entity_document
from scorecards.selectors.asking import TooSlow, ask

KEPT_S: Final = 3600


class QueryList(CortexView):
    @call(
        "run_query",
        "Run a query",
        body={
            "type": "object",
            "properties": {"query": {"type": "string", "description": "CQL."}},
            "required": ["query"],
        },
        answers={200: OBJECT},
        description="It is answered at once; the answer is kept for an hour, for its author.",
    )
    def post(self, request: Request) -> Response:
        query = _text(params.body_text(params.body_object(request), "query"))
        job = {
            "jobId": str(uuid4()),
            "query": query,
            "initiatedAt": timestamp(timezone.now()),
        }
        answer: dict[str, Any] = {"queryDetails": job}
        try:
            found = ask(query, self.principal)
        except TooSlow:
            answer["status"] = "TIMED_OUT"
        else:
            answer |= {"status": "DONE", "result": [entity_document(one) for one in found]}
        cache.set(_key(job["jobId"], self.principal), answer, KEPT_S)
        return Response(job)


class QueryDetail(CortexView):
    @call("get_query", "Get the answer of a query", path=["job"], answers={200: OBJECT})
    def get(self, request: Request, job: str) -> Response:
        answer = cache.get(_key(job, self.principal)) if len(job) == len(str(uuid4())) else None
        if answer is None:
            raise NotFound.of("Query", job, field="jobId")
        return Response(answer)


def _text(sent: str) -> str:
    """Files that Cortex's client sends as they are may hold the query as CQL, or as JSON."""
    try:
        document = orjson.loads(sent)
    except ValueError:
        return sent
    query = document.get("query") if isinstance(document, dict) else None
    return query if isinstance(query, str) else sent


def _key(job: str, principal: Any) -> str:
    who = getattr(principal, "client_id", "") or f"user-{principal.pk}"
    return f"scorecards:query:{who}:{job}"

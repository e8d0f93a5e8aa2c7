"""Queries: CQL over the catalogue, asked at once; the answer is kept for a while."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

import orjson
from django.core.cache import cache
from django.utils import timezone
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.openapi import OBJECT
from catalog.api.slots import slot
from catalog.kernel.errors import NotFound
from catalog.selectors.documents import timestamp
from scorecards.api.cortex.base import CortexView, call
from scorecards.api.cortex.documents import entity_document
from scorecards.selectors.asking import TIMEOUT_S, TooSlow, ask

KEPT_S: Final = 3600
KEPT: Final = 10  # answers of one caller, which may be large


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
        errors=[429],
        description=f"It is answered at once; the answer is kept for an hour, for its author, who "
        f"has at most {KEPT}. Two of one caller, and eight of all, are answered at once.",
    )
    def post(self, request: Request) -> Response:
        query = _text(params.body_text(params.body_object(request), "query"))
        job = {
            "jobId": str(uuid4()),
            "query": query,
            "initiatedAt": timestamp(timezone.now()),
        }
        answer: dict[str, Any] = {"queryDetails": job}
        with slot("query", self.principal, lasts_s=5 * TIMEOUT_S) as held:
            if held is None:
                raise Throttled(wait=TIMEOUT_S)
            try:
                found = ask(query, self.principal)
            except TooSlow:
                answer["status"] = "TIMED_OUT"
            else:
                answer |= {"status": "DONE", "result": [entity_document(one) for one in found]}
            _keep(job["jobId"], answer, self.principal)
        return Response(job)


class QueryDetail(CortexView):
    @call("get_query", "Get the answer of a query", path=["job"], answers={200: OBJECT})
    def get(self, request: Request, job: str) -> Response:
        answer = cache.get(_key(job, self.principal)) if len(job) == len(str(uuid4())) else None
        if answer is None:
            raise NotFound.of("Query", job, field="jobId")
        return Response(answer)


def _keep(job: str, answer: dict[str, Any], principal: Any) -> None:
    """The newest answers of a caller; older ones go."""
    listed = _key("newest", principal)
    jobs = [*cache.get(listed, []), job]
    cache.delete_many([_key(one, principal) for one in jobs[:-KEPT]])
    cache.set_many({_key(job, principal): answer, listed: jobs[-KEPT:]}, KEPT_S)


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

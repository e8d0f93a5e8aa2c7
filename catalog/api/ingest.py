"""/v1/webhooks/ingest/<key>: live events come in. Whoever knows the key may send."""

from __future__ import annotations

import time
from typing import Any, cast

import structlog
from django.conf import settings
from django.core.cache import cache
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter
from redis.exceptions import RedisError
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api.base import ApiView, ok
from catalog.api.openapi import documented, envelope
from catalog.api.parsers import read_up_to
from catalog.ingest import live, webhooks
from catalog.kernel.errors import Conflict
from catalog.models import InboundEvent, Integration
from catalog.tasks import start_events

_WINDOW_S = 60

logger = structlog.get_logger(__name__)


class Ingest(ApiView):
    authentication_classes = ()  # a sender has no account here
    permission_classes = ()

    @documented(
        "ingest_event",
        "Send an event to a webhook or another source",
        tag="Webhooks",
        params=[
            OpenApiParameter(
                "key", str, OpenApiParameter.PATH, description="The end of the source's address."
            )
        ],
        body={"description": "What the program has to say, as it says it."},
        answers={202: envelope()},
        errors=[404, 429],
        is_open=True,
        description="It is kept and processed afterwards. A delivery that is known already is "
        "answered the same and changes nothing; so is one to a source that is off.",
    )
    def post(self, request: Request, key: str) -> Response:
        source = live.receiver(key)
        if source is None:
            raise Http404
        _take_turn(source)
        is_webhook = source.kind == Integration.WEBHOOK
        limit = webhooks.MAX_BODY_BYTES if is_webhook else settings.IDP_MAX_EVENT_BYTES
        body = read_up_to(limit, cast(Any, request.stream)) if request.stream else b""
        try:
            event = live.receive(source, request.headers, request.query_params.dict(), body)
        except Conflict:  # its sender did nothing wrong
            return ok(202)
        if event.state == InboundEvent.State.WAITING:
            start_events(source)
        return ok(202)


def _take_turn(source: Integration) -> None:
    """Count the events of this minute. Raises Throttled; lets pass when Redis is away."""
    limit = settings.IDP_EVENTS_PER_MINUTE
    now = time.time()
    name = f"events:{source.pk}:{int(now // _WINDOW_S)}"
    try:
        cache.add(name, 0, timeout=2 * _WINDOW_S)
        count = cache.incr(name)
    except (RedisError, ValueError) as error:
        logger.warning("events_not_counted", error=str(error))
        return
    if count > limit:
        raise Throttled(
            wait=_WINDOW_S - now % _WINDOW_S,
            detail=f"This source takes {limit:,} events a minute",
        )

"""Who acts, when somebody presses a button in the admin."""

from __future__ import annotations

from typing import cast

import structlog
from django.http import HttpRequest

from catalog.kernel.actors import Actor, Principal
from catalog.services.permissions import actor_of

DATASOURCE = "idp/admin"


def actor_for(request: HttpRequest) -> Actor:
    """The author of what this request changes."""
    request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    return actor_of(principal_of(request), datasource=DATASOURCE, request_id=request_id[:100])


def principal_of(request: HttpRequest) -> Principal:
    """Who asks; the admin site lets nobody in who is not logged in."""
    return cast(Principal, request.user)

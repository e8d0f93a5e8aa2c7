"""Who acts, when somebody presses a button in the portal."""

from __future__ import annotations

import structlog

from catalog.kernel.actors import Actor
from catalog.portal.shell import PortalRequest
from catalog.services.permissions import actor_of

DATASOURCE = "idp/portal"


def actor_for(request: PortalRequest) -> Actor:
    """The author of what this request changes."""
    request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    return actor_of(request.user, datasource=DATASOURCE, request_id=request_id[:100])

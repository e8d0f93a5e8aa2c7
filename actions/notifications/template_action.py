"""`notification:send`, by which a software template tells people something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actions.models import Notification
from actions.notifications import recipients as who
from actions.notifications.notices import MAX_TEXT, MAX_TITLE, is_link, notify
from actions.scaffolder.registry import (
    FLAG,
    TEXT,
    TEXTS,
    ActionContext,
    Example,
    TemplateAction,
    inputs,
    titled,
)
from catalog.dialects.backstage.refs import RefError
from catalog.kernel.errors import IdpError, InvalidInput

TOPIC = "template"


def _send(context: ActionContext) -> Mapping[str, Any]:
    given = context.input
    try:
        told = _tell(given, is_dry_run=context.is_dry_run)
    except IdpError as error:
        if not given.get("optional"):
            raise
        context.log(f"Nobody was notified: {error}", level="WARNING")
        return {}
    count = len(told)
    context.log(f"Notified {count} {'person' if count == 1 else 'people'}")
    return {}


def _tell(given: Mapping[str, Any], *, is_dry_run: bool) -> set[str]:
    link = given.get("link") or ""
    if not is_link(link):
        raise InvalidInput.of("link", link, "an address that begins with https://, or a path")
    if given["recipients"] == "broadcast":
        told = who.everybody()
    else:
        try:
            told = who.named(given.get("entityRefs") or [])
        except RefError as error:
            raise InvalidInput(f"entityRefs: {error}", details={"field": "entityRefs"}) from None
    if not is_dry_run:
        notify(
            given["title"],
            topic=TOPIC,
            description=given.get("info") or "",
            link=link,
            severity=given.get("severity") or Notification.Severity.NORMAL,
            scope=given.get("scope") or "",
            recipients=told,
        )
    return told


SEND = TemplateAction(
    id="notification:send",
    description="Tells people, the members of teams, or the owners of anything else something.",
    input=inputs(
        ("recipients", "title"),
        recipients=titled({"type": "string", "enum": ["entity", "broadcast"]}, "Recipients"),
        entityRefs=titled(TEXTS, "Entities", "Whom to tell, unless it is everybody."),
        title=titled({**TEXT, "minLength": 1, "maxLength": MAX_TITLE}, "Title"),
        info=titled({**TEXT, "maxLength": MAX_TEXT}, "Text"),
        link=titled(TEXT, "Link"),
        severity=titled({"type": "string", "enum": list(Notification.Severity.values)}, "Severity"),
        scope=titled(
            {**TEXT, "maxLength": 200}, "Scope", "A later one of it takes the earlier one's place."
        ),
        optional=titled(FLAG, "Optional", "Go on when it cannot be sent."),
    ),
    run=_send,
    examples=(
        Example(
            "Tell the owners of a service",
            """- id: tell
  action: notification:send
  input:
    recipients: entity
    entityRefs: ["component:default/pay"]
    title: The service was made
""",
        ),
    ),
    supports_dry_run=True,
)

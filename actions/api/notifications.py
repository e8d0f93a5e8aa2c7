"""/api/notifications: one's inbox, and telling people, as Backstage's clients and the actions of
its scaffolder do it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from actions.models import Notification
from actions.notifications import recipients as who
from actions.notifications.notices import is_link, notify
from actions.notifications.reading import mark
from actions.selectors.notifications import (
    inbox,
    matching,
    severities_from,
)
from catalog.api import params
from catalog.api.backstage.base import BackstageView, answer, call
from catalog.api.backstage.checks import Parameter
from catalog.api.openapi import OBJECT, Schema, list_of
from catalog.dialects.backstage.refs import RefError
from catalog.kernel.errors import InvalidRequest, NotFound, PermissionDenied, shorten
from catalog.selectors.documents import timestamp
from catalog.services.permissions import WRITERS, Standing

TAG: Final = "Backstage notifications"
ORIGIN: Final = "plugin:idp"
TOPIC: Final = "message"  # of what names none
MAX_IDS: Final = 1000
MAX_REFS: Final = 1000

_SEVERITIES: Final[tuple[str, ...]] = tuple(Notification.Severity.values)
_TEXT: Final[Schema] = {"type": "string"}
_PAYLOAD: Final[Schema] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 300},
        "description": {"type": "string", "maxLength": 10_000},
        "link": {"type": "string", "maxLength": 2000},
        "severity": {"type": "string", "enum": list(_SEVERITIES)},
        "topic": {"type": "string", "maxLength": 50},
        "scope": {"type": "string", "maxLength": 200},
        "icon": _TEXT,
        "metadata": {"type": "object"},
    },
    "required": ["title"],
}
_SENT: Final[Schema] = {
    "type": "object",
    "properties": {
        "recipients": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "enum": ["entity", "broadcast"]},
                "entityRef": {},
                "excludeEntityRef": {},
            },
            "required": ["type"],
        },
        "payload": _PAYLOAD,
    },
    "required": ["recipients", "payload"],
}
_LIMIT: Final = 500
_ORDERS: Final = {"created": "created_at", "topic": "topic"}


class NotificationList(BackstageView):
    @call(
        "list_backstage_notifications",
        "List one's notifications, the newest first",
        tag=TAG,
        params=(
            Parameter("limit", f"How many, at most {_LIMIT}.", "integer", minimum=1),
            Parameter("offset", "How many to leave out.", "integer", minimum=0),
            Parameter("read", "Only those that are read, or (false) that are not.", "boolean"),
            Parameter("saved", "Only saved ones, of which there are none.", "boolean"),
            Parameter("search", "Text in title or description."),
            Parameter("topic", "Of this topic."),
            Parameter("createdAfter", "After this moment."),
            Parameter("minimumSeverity", "This severe or more.", choices=_SEVERITIES),
            Parameter("orderField", 'As "created,desc" or "topic,asc".'),
        ),
        answers={
            200: {
                "type": "object",
                "properties": {
                    "totalCount": {"type": "integer"},
                    "notifications": list_of(OBJECT),
                },
            }
        },
    )
    def get(self, request: Request) -> HttpResponse:
        asked = self.query
        since = asked["createdAfter"]
        found = matching(
            inbox(self.principal),
            text=asked["search"] or "",
            topic=asked["topic"] or "",
            is_read=asked["read"],
            severities=severities_from(asked["minimumSeverity"])
            if asked["minimumSeverity"]
            else (),
            since=params.parse_moment(since, "createdAfter") if since else None,
        )
        if asked["saved"]:
            found = found.none()
        start = asked["offset"] or 0
        rows = found.order_by(*_order(asked["orderField"]))[
            start : start + min(asked["limit"] or 10, _LIMIT)
        ]
        return answer(
            {
                "totalCount": found.count(),
                "notifications": [_document(one) for one in rows],
            }
        )

    @call(
        "send_backstage_notification",
        "Tell people something",
        tag=TAG,
        body=_SENT,
        answers={200: list_of(OBJECT)},
        errors=[403],
        description="For programs: API clients with the role Member. Recipients are references of "
        "people, of teams (their members), or of anything else (its owners), or everybody "
        "(`broadcast`). A later one of the same topic and scope takes the place of an earlier one, "
        "and is unread again. `icon` and `metadata` are not kept.",
    )
    def post(self, request: Request) -> HttpResponse:
        _require_program(self.principal)
        payload: Mapping[str, Any] = self.body["payload"]
        notice = notify(
            payload["title"],
            topic=payload.get("topic") or TOPIC,
            description=payload.get("description") or "",
            link=_link(payload.get("link") or ""),
            severity=payload.get("severity") or Notification.Severity.NORMAL,
            scope=payload.get("scope") or "",
            recipients=_recipients(self.body["recipients"]),
        )
        told = {"title": notice.title, "severity": notice.severity, "topic": notice.topic}
        created = timestamp(timezone.now())
        return answer(
            [
                {"user": one, "created": created, "origin": ORIGIN, "payload": told}
                for one in sorted(notice.recipients)
            ]
        )


class NotificationDetail(BackstageView):
    @call(
        "get_backstage_notification",
        "Get one of one's notifications",
        tag=TAG,
        path=["notification"],
        answers={200: OBJECT},
        errors=[404],
    )
    def get(self, request: Request, notification: str) -> HttpResponse:
        is_number = notification.isascii() and notification.isdigit() and len(notification) < 19
        found = inbox(self.principal).filter(pk=int(notification)).first() if is_number else None
        if found is None:
            raise NotFound.of("Notification", notification, field="id")
        return answer(_document(found))


class NotificationStatus(BackstageView):
    @call(
        "get_backstage_notification_status",
        "Count one's notifications",
        tag=TAG,
        answers={
            200: {
                "type": "object",
                "properties": {"unread": {"type": "integer"}, "read": {"type": "integer"}},
            }
        },
    )
    def get(self, request: Request) -> HttpResponse:
        found = inbox(self.principal)
        unread = found.filter(read_at=None).count()
        return answer({"unread": unread, "read": found.exclude(read_at=None).count()})


class NotificationTopics(BackstageView):
    @call(
        "list_backstage_notification_topics",
        "List the topics of one's notifications",
        tag=TAG,
        answers={200: {"type": "object", "properties": {"topics": list_of(OBJECT)}}},
    )
    def get(self, request: Request) -> HttpResponse:
        topics = inbox(self.principal).order_by("topic").values_list("topic", flat=True).distinct()
        return answer({"topics": [{"origin": ORIGIN, "topic": one} for one in topics]})


class NotificationUpdate(BackstageView):
    @call(
        "update_backstage_notifications",
        "Mark some of one's notifications as read or unread",
        tag=TAG,
        body={
            "type": "object",
            "properties": {
                "ids": {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": MAX_IDS},
                "read": {"type": "boolean"},
                "saved": {"type": "boolean"},
            },
            "required": ["ids"],
        },
        answers={200: list_of(OBJECT)},
        description="Nothing is saved for later here: `saved` is refused where it is true.",
    )
    def post(self, request: Request) -> HttpResponse:
        if self.body.get("saved"):
            raise InvalidRequest("Notifications are not saved here: only `read` can be set")
        pks = [int(one) for one in self.body["ids"] if one.isascii() and one.isdigit()]
        pks = [pk for pk in pks if pk < 2**63]
        if "read" in self.body:
            mark(self.principal, pks, is_read=self.body["read"])
        return answer([_document(one) for one in inbox(self.principal).filter(pk__in=pks)])


def _document(notification: Notification) -> dict[str, Any]:
    payload = {
        "title": notification.title,
        "description": notification.description,
        "link": notification.link,
        "severity": notification.severity,
        "topic": notification.topic,
        "scope": notification.scope,
    }
    return {
        "id": str(notification.pk),
        "user": notification.recipient,
        "created": timestamp(notification.created_at),
        "read": timestamp(notification.read_at) if notification.read_at else None,
        "saved": None,
        "origin": ORIGIN,
        "payload": {key: value for key, value in payload.items() if value},
    }


def _order(text: str | None) -> list[str]:
    """Raises InvalidRequest."""
    name, _, direction = (text or "created,desc").partition(",")
    if name not in _ORDERS or direction not in ("", "asc", "desc"):
        raise InvalidRequest(
            f'orderField is "{shorten(text)}"; expected one of {", ".join(_ORDERS)} with ,asc or '
            ",desc",
            details={"field": "orderField", "value": shorten(text), "expected": list(_ORDERS)},
        )
    sign = "-" if direction == "desc" else ""
    return [f"{sign}{_ORDERS[name]}", f"{sign}pk"]


def _require_program(principal: Any) -> None:
    """As in Backstage: what people could send others, they could send them in anybody's name."""
    is_program = bool(getattr(principal, "client_id", ""))
    if not is_program or Standing(principal).role not in WRITERS:
        raise PermissionDenied(
            "Only programs may send notifications",
            hint="Use an API client with the role Member.",
        )


def _link(link: str) -> str:
    """Raises InvalidRequest."""
    if not is_link(link):
        raise InvalidRequest(
            f'link is "{shorten(link)}"; expected an address that begins with https://, or a path',
            details={"field": "payload.link", "value": shorten(link), "expected": "an address"},
        )
    return link


def _named(refs: Sequence[str]) -> set[str]:
    """Raises InvalidRequest."""
    try:
        return who.named(refs)
    except RefError as error:
        raise InvalidRequest(f"recipients: {error}") from None


def _recipients(stated: Mapping[str, Any]) -> set[str]:
    """Raises InvalidRequest."""
    excluded = _named(_refs(stated, "excludeEntityRef"))
    if stated["type"] == "broadcast":
        return who.everybody() - excluded
    refs = _refs(stated, "entityRef")
    if not refs:
        raise _wrong("entityRef", stated.get("entityRef"))
    return _named(refs) - excluded


def _refs(stated: Mapping[str, Any], key: str) -> Sequence[str]:
    value = stated.get(key)
    refs = [value] if isinstance(value, str) else value if value is not None else []
    if not isinstance(refs, list) or len(refs) > MAX_REFS:
        raise _wrong(key, value)
    return refs


def _wrong(key: str, value: Any) -> InvalidRequest:
    return InvalidRequest(
        f"recipients.{key} is {shorten(value)}; expected a reference like user:default/ann, or a "
        f"list of at most {MAX_REFS}",
        details={"field": f"recipients.{key}", "value": shorten(value), "expected": "references"},
    )

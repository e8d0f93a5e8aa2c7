"""Telling people: one notice becomes a line in the inbox of each recipient, and messages on their
way to their e-mail addresses and to the channels that want to hear of its topic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.dispatch import Signal
from django.utils import timezone

from actions.models import Channel, Message, Notification, Run
from actions.notifications import recipients as who
from catalog import registry
from catalog.kernel.errors import shorten
from catalog.kernel.identifiers import storable_text
from catalog.models import Entity
from catalog.selectors.documents import timestamp

APPROVAL: Final = "approval"
RUN: Final = "run"
FAILURE: Final = "failure"
TOPICS: Final[Mapping[str, str]] = {
    APPROVAL: "A run waits for approval, or was decided on",
    RUN: "A run ended well, or was cancelled",
    FAILURE: "A run failed, or was given up",
}

MAX_TITLE: Final = 300
MAX_TEXT: Final = 10_000

messages_due = Signal()  # no arguments: a poke, not a message

# A later one of the same scope takes the place of an earlier one, and is unread again.
_INSERT: Final = """
INSERT INTO actions_notification (
    recipient, title, description, link, severity, topic, scope, created_at)
SELECT DISTINCT ON (r.recipient, r.topic, coalesce(nullif(r.scope, ''), r.place::text))
       r.recipient, r.title, r.description, r.link, r.severity, r.topic, r.scope, %s
FROM json_to_recordset(%s::json) AS r(
    place int, recipient text, title text, description text, link text, severity text, topic text,
    scope text)
ORDER BY r.recipient, r.topic, coalesce(nullif(r.scope, ''), r.place::text), r.place DESC
ON CONFLICT (recipient, topic, scope) WHERE scope <> '' DO UPDATE SET
    title = excluded.title, description = excluded.description, link = excluded.link,
    severity = excluded.severity, created_at = excluded.created_at, read_at = NULL
"""


@dataclass(frozen=True, slots=True)
class Hook:
    """A place to tell besides the channels there are. url: secrets as `${NAME}`."""

    url: str
    format: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What to tell whom.

    link: an address, or a path of the portal. scope: what a later notice of the same topic
    replaces. recipients: who gets it into their inbox (e-mail addresses, or user names);
    is_mailed: those with an address get an e-mail, too. run, details: what it is about, for
    programs.
    """

    title: str
    topic: str
    description: str = ""
    link: str = ""
    severity: str = Notification.Severity.NORMAL
    scope: str = ""
    recipients: frozenset[str] = frozenset()
    is_mailed: bool = False
    hook: Hook | None = None
    run: Run | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def topics() -> dict[str, str]:
    """What channels may want to hear of: {name: in words}; other apps add theirs."""
    return {**TOPICS, **registry.notification_topics}


def is_link(link: str) -> bool:
    """Whether it is an address of the web, a path of the portal, or none at all."""
    is_path = link.startswith("/") and not link.startswith(("//", "/\\"))
    return not link or is_path or link.lower().startswith(("http://", "https://"))


def notify(
    title: str,
    *,
    topic: str,
    description: str = "",
    link: str = "",
    severity: str = Notification.Severity.NORMAL,
    scope: str = "",
    recipients: Collection[str] = (),
    teams: Collection[str] = (),
    owners: Sequence[Entity] = (),
    is_mailed: bool = False,
) -> Notice:
    """Tell people (e-mail addresses), the members of teams, and whoever owns entities (their
    `blueprint` loaded); in the caller's transaction. Returns what was told to whom.
    """
    everybody = {*recipients, *who.members(teams), *who.behind(owners)}
    notice = Notice(
        title=title,
        topic=topic,
        description=description,
        link=link,
        severity=severity,
        scope=scope,
        recipients=frozenset(one.strip().lower() for one in everybody if one.strip()),
        is_mailed=is_mailed,
    )
    tell([notice])
    return notice


@transaction.atomic
def tell(notices: Sequence[Notice]) -> None:
    """Write notices into inboxes, and their messages; three statements, however many there are."""
    if not notices:
        return
    _fill_inboxes(notices)
    channels = list(Channel.objects.filter(is_active=True))
    queue([message for one in notices for message in _messages(one, channels)])


def queue(messages: Sequence[Message]) -> list[Message]:
    """Have messages sent once the transaction is over."""
    made = Message.objects.bulk_create(messages)
    if made:
        transaction.on_commit(lambda: messages_due.send_robust(sender=None), robust=True)
    return made


def absolute(link: str) -> str:
    """A link as it works outside of the portal."""
    return f"{settings.IDP_URL}{link}" if link.startswith("/") else link


def message_to(target: Hook, notice: Notice, channel: Channel | None = None) -> Message:
    """A message about a notice to a place outside."""
    return Message(
        kind=Message.Kind.WEBHOOK,
        target=target.url,
        format=target.format,
        topic=notice.topic,
        body=_body(notice),
        channel=channel,
        run=notice.run,
        due_at=timezone.now(),
        created_at=timezone.now(),
    )


def _fill_inboxes(notices: Sequence[Notice]) -> None:
    rows = [
        {
            "place": place,
            "recipient": recipient[:300],
            "title": shorten(storable_text(one.title), MAX_TITLE),
            "description": shorten(storable_text(one.description), MAX_TEXT),
            "link": one.link[:2000],
            "severity": one.severity,
            "topic": one.topic[:50],
            "scope": one.scope[:200],
        }
        for place, one in enumerate(notices)
        for recipient in sorted(one.recipients)
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, [timezone.now(), orjson.dumps(rows).decode()])


def _messages(notice: Notice, channels: Sequence[Channel]) -> list[Message]:
    now = timezone.now()
    mails = [
        Message(
            kind=Message.Kind.EMAIL,
            target=recipient,
            topic=notice.topic,
            body=_body(notice),
            run=notice.run,
            due_at=now,
            created_at=now,
        )
        for recipient in sorted(notice.recipients)
        if notice.is_mailed and "@" in recipient
    ]
    calls = [
        message_to(Hook(one.url, one.format), notice, one)
        for one in channels
        if not one.topics or notice.topic in one.topics
    ]
    if notice.hook:
        calls.append(message_to(notice.hook, notice))
    return mails + calls


def _body(notice: Notice) -> dict[str, Any]:
    return {
        "topic": notice.topic,
        "severity": notice.severity,
        "title": shorten(storable_text(notice.title), MAX_TITLE),
        "description": shorten(storable_text(notice.description), MAX_TEXT),
        "link": absolute(notice.link),
        "recipients": sorted(notice.recipients),
        "at": timestamp(timezone.now()),
        **notice.details,
    }

"""Channels: places outside that are told of what happens. Made, changed, tried and removed here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, TypedDict, Unpack
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.utils import timezone

from actions.models import Channel, Message
from actions.notifications.notices import Hook, Notice, message_to, topics
from actions.notifications.sending import place_of, send
from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import AlreadyExists, InvalidInput, NotFound
from catalog.kernel.http import check_address
from catalog.kernel.placeholders import names_in

MODEL: Final = "channel"  # in the feed
MAX_TITLE: Final = 100
MAX_URL: Final = 2000
TEST: Final = "test"

_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")


class Stated(TypedDict, total=False):
    """What a person says of a channel (see `Channel`); what is left out stays as it is."""

    title: str
    url: str
    format: str
    topics: Sequence[str]
    is_active: bool


def create_channel(*, actor: Actor, **stated: Unpack[Stated]) -> Channel:
    """Raises AlreadyExists, InvalidInput, AddressRefused."""
    now = timezone.now()
    channel = Channel(created_at=now, created_by=actor.name)
    _assign(channel, {"title": "", "url": "", **stated})
    with transaction.atomic():
        _save(channel, actor)
        _note(feed.CREATE, channel, actor)
    return channel


def update_channel(channel: Channel, *, actor: Actor, **stated: Unpack[Stated]) -> Channel:
    """Change what is said; a change of nothing changes nothing. Returns the row as it is now.

    Raises NotFound, AlreadyExists, InvalidInput, AddressRefused.
    """
    with transaction.atomic():
        row = _locked(channel)
        before, was = _document(row), row.url
        _assign(row, stated)
        after = _document(row)
        if before == after and was == row.url:
            return row
        if was != row.url:  # which may hold a secret: the history says that it changed
            after["address"] = f"{after['url']} (another one)"
        _save(row, actor)
        changed = [key for key in after if before.get(key) != after[key]]
        _note(
            feed.UPDATE,
            row,
            actor,
            {key: before[key] for key in changed if key in before},
            {key: after[key] for key in changed},
        )
    return row


def delete_channel(channel: Channel, *, actor: Actor) -> None:
    """Its messages stay; those that wait are still sent. Raises NotFound."""
    with transaction.atomic():
        row = _locked(channel)
        _note(feed.DELETE, row, actor, _document(row))
        row.delete()


def try_channel(channel: Channel, *, actor: Actor) -> Message:
    """Send a message now and once; what came of it is on the row that is returned."""
    notice = Notice(
        title="A message to try this channel",
        description=f"{actor.name} sent it from the admin.",
        topic=TEST,
        link="/notifications",
    )
    message = message_to(Hook(channel.url, channel.format), notice, channel)
    message.due_at = None  # for no tick to send
    message.save()
    send(message)
    if message.state == Message.State.WAITING:
        message.state, message.due_at = Message.State.FAILED, None
        message.ended_at = timezone.now()
        message.save(update_fields=["state", "due_at", "ended_at"])
    return message


def _assign(channel: Channel, stated: Stated) -> None:
    if "title" in stated:
        title = stated["title"].strip()
        if not title or len(title) > MAX_TITLE:
            raise InvalidInput.of("title", title, f"text of 1 to {MAX_TITLE} characters")
        channel.title = title
    if "url" in stated:
        channel.url = _checked_url(stated["url"].strip())
    if "format" in stated:
        if stated["format"] not in Channel.Format.values:
            raise InvalidInput.of(
                "format", stated["format"], f"one of {', '.join(Channel.Format.values)}"
            )
        channel.format = stated["format"]
    if "topics" in stated:
        known = topics()
        if unknown := [one for one in stated["topics"] if one not in known]:
            raise InvalidInput.of("topics", unknown[0], f"some of {', '.join(known)}")
        channel.topics = list(stated["topics"])
    if "is_active" in stated:
        channel.is_active = stated["is_active"]


def _checked_url(url: str) -> str:
    """An address with a secret in it is checked when it is known: as it is called."""
    is_web = url.lower().startswith(("http://", "https://")) or url.startswith("${")
    if not is_web or len(url) > MAX_URL or _CONTROL.search(url):
        # The value is not said: it may be a secret.
        raise InvalidInput(
            "The address is not one of the web",
            hint="It begins with https://, or with ${NAME} where all of it is a secret.",
            details={"field": "url", "expected": "an address that begins with https://"},
        )
    if not names_in(url.partition("?")[0]):
        if not urlsplit(url).hostname:
            raise InvalidInput(
                "The address names no host",
                details={"field": "url", "expected": "an address that begins with https://"},
            )
        check_address(url, "url")
    return url


def _locked(channel: Channel) -> Channel:
    row = Channel.objects.select_for_update().filter(pk=channel.pk).first()
    if row is None:
        raise NotFound.of("Channel", channel.title, field="title")
    return row


def _save(channel: Channel, actor: Actor) -> None:
    channel.updated_at, channel.updated_by = timezone.now(), actor.name
    try:
        with transaction.atomic():
            channel.save()
    except IntegrityError:
        raise AlreadyExists.of("Channel", channel.title, field="title") from None


def _document(channel: Channel) -> dict[str, Any]:
    return {
        "title": channel.title,
        "url": place_of(channel.url),
        "format": channel.format,
        "topics": list(channel.topics),
        "isActive": channel.is_active,
    }


def _note(
    action: str,
    channel: Channel,
    actor: Actor,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    record = feed.Record(action, MODEL, channel.title, "", channel.pk, before, after)
    feed.record([record], actor=actor, at=timezone.now())

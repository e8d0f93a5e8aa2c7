"""Messages on their way out: sent until they arrive, or given up.

At least once: a message that is being sent is due again after a while, should the worker die.
"""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from actions.dispatching import BACKOFF_S
from actions.models import Channel, Message
from actions.services import signing
from catalog.kernel.errors import IdpError, InvalidInput, UpstreamUnavailable, shorten
from catalog.kernel.http import Client
from catalog.kernel.placeholders import names_in
from catalog.services import secrets

LEASE: Final = timedelta(minutes=5)
AT_ONCE: Final = 10  # messages that a worker takes: all are tried before the lease runs out
MAX_ROUNDS: Final = 20  # of one tick
TIMEOUT_S: Final = 10.0
MAX_ANSWER: Final = 64 * 1024
MAX_ERROR: Final = 2000
SLACK_TEXT: Final = 3000  # characters of a section


def send_due(now: datetime) -> int:
    """Send what is due; returns how many attempts were made."""
    count = 0
    for _ in range(MAX_ROUNDS):
        messages = _take(now)
        for message in messages:
            send(message)
        count += len(messages)
        if len(messages) < AT_ONCE:
            break
    return count


def send(message: Message) -> Message:
    """Make one attempt, outside of any transaction; what came of it is on the row."""
    error, is_over = "", False
    try:
        if message.kind == Message.Kind.EMAIL:
            _mail(message)
        else:
            _call(message)
    except UpstreamUnavailable as problem:
        error = str(problem)
    except IdpError as problem:
        error, is_over = str(problem), True
    except smtplib.SMTPRecipientsRefused as problem:
        error, is_over = f"The mail server refuses the address: {problem}", True
    except (smtplib.SMTPException, OSError) as problem:
        error = f"The mail server did not take it: {problem}"
    except ValueError as problem:  # an address that no mail can go to, or a character no mail holds
        error, is_over = f"It cannot be sent: {problem}", True
    _settle(message, error, is_over=is_over)
    return message


def place_of(target: str) -> str:
    """An address of the web as people may see it: what is behind the host may be a secret unless
    it names one.
    """
    if names_in(target):
        return target
    parts = urlsplit(target)
    rest = "/…" if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{parts.hostname or ''}{rest}"


def payload_of(body: Mapping[str, Any], form: str) -> dict[str, Any]:
    """What a channel is sent: the body of a message as it is, or in Slack's words."""
    return _slack(body) if form == Channel.Format.SLACK else dict(body)


@transaction.atomic
def _take(now: datetime) -> list[Message]:
    """Those that are due, for nobody else to send meanwhile."""
    due = Message.objects.select_for_update(skip_locked=True).filter(
        state=Message.State.WAITING, due_at__lte=now
    )
    messages = list(due.order_by("due_at")[:AT_ONCE])
    for message in messages:
        message.due_at = timezone.now() + LEASE
    Message.objects.bulk_update(messages, ["due_at"])
    return messages


def _settle(message: Message, error: str, *, is_over: bool) -> None:
    now = timezone.now()
    message.attempts += 1
    message.error = shorten(error, MAX_ERROR)
    is_over = is_over or message.attempts > len(BACKOFF_S)
    if not error or is_over:
        message.state = Message.State.FAILED if error else Message.State.SENT
        message.due_at, message.ended_at = None, now
    else:
        message.due_at = now + timedelta(seconds=BACKOFF_S[message.attempts - 1])
    message.save(update_fields=["state", "attempts", "error", "due_at", "ended_at"])


def _mail(message: Message) -> None:
    context = {**message.body, "portal": settings.IDP_URL}
    mail = EmailMultiAlternatives(
        subject=" ".join(str(message.body["title"]).split()),
        body=render_to_string("actions/notifications/email.txt", context),
        to=[message.target],
        headers={"X-Idp-Topic": message.topic, "Auto-Submitted": "auto-generated"},
    )
    mail.attach_alternative(
        render_to_string("actions/notifications/email.html", context), "text/html"
    )
    mail.send()


def _call(message: Message) -> None:
    """Raises UpstreamUnavailable, or another IdpError where trying again would not help."""
    try:
        resolved = secrets.resolve_with_secrets({"url": message.target}, None)
    except InvalidInput as error:
        raise InvalidInput(error.message.removeprefix("settings."), hint=error.hint) from None
    content = orjson.dumps(payload_of(message.body, message.format))
    headers = {"content-type": "application/json", "idempotency-key": f"message_{message.pk}"}
    if message.format != Channel.Format.SLACK:
        headers |= signing.headers_for(content)
    url = str(resolved.settings["url"])
    hidden = {*resolved.secrets, urlsplit(url).path}
    with Client(
        timeout_s=TIMEOUT_S,
        deadline_s=2 * TIMEOUT_S,
        max_bytes=MAX_ANSWER,
        retries=0,
        max_wait_s=0,
        secrets=hidden,
    ) as client:
        client.post(url, content=content, headers=headers)


def _slack(body: Mapping[str, Any]) -> dict[str, Any]:
    title, link = _escaped(body["title"]), str(body.get("link") or "")
    text = f"*{title}*"
    if body.get("description"):
        text += f"\n{_escaped(body['description'])}"
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": shorten(text, SLACK_TEXT)}}
    ]
    if link:
        button = {
            "type": "button",
            "text": {"type": "plain_text", "text": "Open"},
            "url": link,
        }
        blocks.append({"type": "actions", "elements": [button]})
    return {"text": f"{title} {link}".strip(), "blocks": blocks}


def _escaped(text: object) -> str:
    """As Slack wants the three signs that mean something to it."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

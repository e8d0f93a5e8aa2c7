"""Live events: verified and kept while the sender waits, processed after, each exactly once.

The events of a source are processed one after the other in the order of their arrival, by one
worker at a time: whoever holds the advisory lock of the source. An event is one transaction: its
entities, whose they are, its lines of the log and its state are stored together or not at all, and
a worker that dies lets go of the lock with its connection. Before that, in a transaction of its
own, the attempt is counted, so that an event that kills its workers is given up. New events are
taken up several at a time, others one by one.

While an event waits to be tried again, those behind it wait too; what it cannot be processed for
(the vendor is away) mostly holds for them as well.
"""

from __future__ import annotations

import re
import secrets as random
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Final

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Min, QuerySet
from django.utils import timezone

from catalog.ingest import live_changes, pushes, webhooks
from catalog.ingest.connections import open_source
from catalog.ingest.live_writing import Outcome, Writer
from catalog.ingest.mapping import Mapping as SourceMapping
from catalog.ingest.mapping import parse_mapping
from catalog.ingest.messages import Log, masked_text
from catalog.kernel.errors import (
    Conflict,
    IdpError,
    NotAuthenticated,
    UpstreamUnavailable,
    shorten,
)
from catalog.kernel.http import Wait
from catalog.kernel.identifiers import OWN_RUN
from catalog.kernel.locks import Lock, hold, try_hold
from catalog.kernel.source import Event, SourceKind
from catalog.models import InboundEvent, Integration
from catalog.registry import live_listeners, source_kinds
from catalog.services import secrets
from catalog.services.entities import MissingTargets, Mode

MAX_ATTEMPTS: Final = 6
RETRY_AFTER_S: Final = (5, 30, 120, 600, 1800)
BATCH: Final = 20  # new events that are taken up together
LEASE_S: Final = 15  # until its lock is held, nobody else takes an event that was taken up
BUDGET_S: Final = 60.0  # of one call; others wait for the worker, too
LONGEST_WAIT_S: Final = 20.0  # for a vendor; a longer one is waited for without a worker

State = InboundEvent.State

# What may serve as the id of a run in the change feed.
_NAME: Final = re.compile(r"[A-Za-z0-9@_=-]{1,100}")
# Headers that prove who sent an event, or name a person's address; no mapping needs them.
_PRIVATE: Final = re.compile(
    r"auth(?!or$)|cookie|signature|token|secret|passw|api-?key|credential|forwarded|real-ip|hmac"
    r"|(^|[-_.])(key|sig|pwd)$",
    re.I,
)
_MAX_HEADER: Final = 2000  # characters

logger = structlog.get_logger(__name__)


class _Gone(Exception):
    """The event was deleted, or taken up by somebody else, while we were at it."""


# Taking in


def receiver(key: str) -> Integration | None:
    """The source whose address ends in `key`, if it takes events; None for any other reason."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", key):
        return None
    found = Integration.objects.filter(webhook_key=key, runs_here=True).first()
    return found if found is not None and takes_events(found.kind) else None


def takes_events(kind: str) -> bool:
    """Whether sources of a kind have an address for live events."""
    known = source_kinds.get(kind)
    return kind == Integration.WEBHOOK or (known is not None and known.takes_events)


def receive(
    integration: Integration,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    body: bytes,
) -> InboundEvent:
    """Check an event and keep it, for `process_waiting`.

    headers: names in any case. A delivery that is known already changes nothing, unless it failed:
    then it is tried again. Raises NotAuthenticated; InvalidRequest for a body that should be JSON
    and is not; Conflict for a source that is off.
    """
    event = Event({name.lower(): value for name, value in headers.items()}, query, body)
    name = _verified(integration, event)
    if not integration.is_enabled:
        raise Conflict(f'"{integration.identifier}" is off')
    is_json = "json" in event.headers.get("content-type", "").lower()
    if integration.kind == Integration.WEBHOOK or is_json:
        webhooks.read_body(event)
    hidden = _proof_headers(integration)
    row, is_new = InboundEvent.objects.get_or_create(
        integration=integration,
        delivery=_run_name(name),
        defaults={
            "headers": _storable(event.headers, hidden),
            "query": _storable(event.query, hidden),
            "body": body,
        },
    )
    if not is_new and row.state == State.FAILED:
        retry(row)
    if is_new:
        _pass_on(row)
    return row


def followers(leader: Integration) -> list[Integration]:
    """The sources that hear the live events of another one, too."""
    kinds = [one.name for one in source_kinds.values() if one.follows == leader.kind]
    if not kinds:
        return []
    following = Integration.objects.filter(kind__in=kinds, runs_here=True, is_enabled=True)
    return [
        one
        for one in following
        if source_kinds[one.kind].leader(one.settings) in ("", leader.identifier)
    ]


def _pass_on(event: InboundEvent) -> None:
    """Give an event to the sources that follow its own, too: each has it in its own queue."""
    InboundEvent.objects.bulk_create(
        [
            InboundEvent(
                integration=one,
                delivery=event.delivery,
                headers=event.headers,
                query=event.query,
                body=event.body,
            )
            for one in followers(event.integration)
        ],
        ignore_conflicts=True,
    )


def retry(event: InboundEvent) -> None:
    """Have a failed event processed again. Raises Conflict for one that did not fail."""
    changed = InboundEvent.objects.filter(pk=event.pk, state=State.FAILED).update(
        state=State.WAITING, attempts=0, due_at=timezone.now(), processed_at=None, error=""
    )
    if not changed:
        raise Conflict("Only an event that failed can be tried again")
    event.refresh_from_db()


def _verified(integration: Integration, event: Event) -> str:
    """The sender's name of the delivery, once it is sure who sent it. Raises NotAuthenticated."""
    try:
        settings = secrets.resolve(integration.settings, integration.sealed)
    except IdpError as error:
        logger.warning("live_event_refused", source=integration.identifier, error=str(error))
        raise NotAuthenticated("The settings of this source are not complete") from None
    if integration.kind == Integration.WEBHOOK:
        # Refusals quote the other settings, and events are named by them: no secret is put there.
        security = {**integration.settings, "secret": settings.get("secret")}
        webhooks.verify(event, security)
        return webhooks.delivery(event, security)
    kind: SourceKind = source_kinds[integration.kind]
    kind.verify(event, settings)
    return kind.delivery(event)


def _run_name(delivery: str) -> str:
    """The delivery as the change feed can name it; one of our own where the sender names none.

    Then the same body sent twice is two events: a state may well come back, and to write what is
    there already writes nothing.
    """
    if not delivery:
        return f"evt_{random.token_hex(12)}"
    is_name = _NAME.fullmatch(delivery) and not OWN_RUN.match(delivery)
    return delivery if is_name else sha256(delivery.encode()).hexdigest()


def _proof_headers(integration: Integration) -> set[str]:
    name = integration.settings.get("signatureHeaderName")
    return {name.lower()} if isinstance(name, str) else set()


def _storable(values: Mapping[str, str], hidden: Collection[str]) -> dict[str, str]:
    return {
        masked_text(name): masked_text(shorten(value, _MAX_HEADER))
        for name, value in values.items()
        if name.lower() not in hidden and not _PRIVATE.search(name)
    }


# Processing


def waiting_sources() -> list[int]:
    """The sources whose oldest event is due; the tick hands them out."""
    waiting = InboundEvent.objects.filter(state=State.WAITING)
    oldest = waiting.values("integration").annotate(first=Min("pk")).values("first")
    due = InboundEvent.objects.filter(pk__in=oldest, due_at__lte=timezone.now())
    return list(due.order_by("pk").values_list("integration_id", flat=True))


def process_waiting(integration_pk: int, *, budget_s: float = BUDGET_S) -> bool:
    """Process the events of a source, oldest first, until none is due or the time is up.

    Any number of workers may call it at once. Returns whether there is more to do for another
    call. Raises OperationalError when the database is away; nothing is lost then.
    """
    ends_at = time.monotonic() + budget_s
    while True:
        claimed = _claim(integration_pk)
        for place, event in enumerate(claimed, 1):
            if not process_event(event) or time.monotonic() > ends_at:
                _let_go(claimed[place:])  # their turn has not come
                break
        # One that came while we looked: its own worker found the lock taken, and left.
        if not claimed and not (_due(integration_pk) and _is_free(integration_pk)):
            return False
        if time.monotonic() > ends_at:
            return _due(integration_pk) is not None


def process_event(event: InboundEvent) -> bool:
    """Process an event that was claimed; does nothing when somebody else took it up since.

    Returns whether it is over, so that the next one's turn has come.
    """
    log = Log(event.integration, event=event)
    try:
        with transaction.atomic():
            # Who looks for something to take up has it for a moment only.
            hold(Lock.LIVE_EVENTS, event.integration_id)
            row = (
                InboundEvent.objects.select_related("integration")
                .filter(pk=event.pk, state=State.WAITING, attempts=event.attempts)
                .first()
            )
            if row is None:
                return False
            _process(row, log)
    except _Gone:
        return False
    except (UpstreamUnavailable, OperationalError, SoftTimeLimitExceeded) as error:
        is_over = _put_back(event, error, log)
        if isinstance(error, SoftTimeLimitExceeded):
            raise
        return is_over
    except IdpError as error:
        _fail(event, str(error), log)
    except InterfaceError:
        raise
    except Exception as error:
        logger.exception("live_event_broke", pk=event.pk)
        return _put_back(event, error, log)
    return True


def _process(event: InboundEvent, log: Log) -> None:
    """Do what the event says, in the caller's transaction. Raises IdpError."""
    integration = event.integration
    if not integration.is_enabled:
        _end(event, State.IGNORED, error="The source is off.", log=log)
        return
    raw = Event(event.headers, event.query, bytes(event.body))
    if integration.kind == Integration.WEBHOOK:
        outcome = _process_webhook(event, raw, log)
    else:
        outcome = _process_change(event, raw, log)
    if integration.kind in pushes.KINDS:
        pushes.heed(integration.kind, raw)
    for heed in live_listeners:
        heed(integration.kind, raw)
    said_something = outcome.count or outcome.problems
    _end(
        event,
        State.DONE if said_something else State.IGNORED,
        error=outcome.summary,
        log=log,
        outcome=outcome,
    )


def _process_webhook(event: InboundEvent, raw: Event, log: Log) -> Outcome:
    writer = Writer(event.integration, log, run_name=event.delivery, owns_only_what_it_makes=True)
    mapping = webhooks.parse(event.integration.mapping, compile_all=False)
    return writer.carry_out(webhooks.steps_of(mapping, webhooks.as_input(raw), writer))


def _process_change(event: InboundEvent, raw: Event, log: Log) -> Outcome:
    source = open_source(
        event.integration, log=partial(log.remark, stage="live"), on_wait=_not_for_long
    )
    log.secrets = source.secrets
    document = event.integration.mapping
    if not document and not source.kind.imports:
        return Outcome()
    mapping = (
        parse_mapping(document, kind=source.kind, compile_all=False)
        if document
        else SourceMapping(resources=())
    )
    writer = Writer(
        event.integration,
        log,
        run_name=event.delivery,
        mode=Mode.MERGE if mapping.merge else Mode.REPLACE,
        missing_targets=(
            MissingTargets.CREATE if mapping.create_missing else MissingTargets.REJECT
        ),
    )
    with source.connection.http:
        changes = live_changes.changes_of(source, mapping, raw)
        if source.kind.imports:
            live_changes.import_event(source, raw, writer)
    return writer.carry_out(live_changes.steps_of(source, mapping, changes, writer))


def _not_for_long(wait: Wait) -> None:
    if wait.total_s > LONGEST_WAIT_S:
        raise UpstreamUnavailable(wait.reason, details={"retry_after_s": wait.total_s})


def _claim(integration_pk: int) -> list[InboundEvent]:
    """Take up the oldest events of a source, if they are due and nobody is at it.

    Counts the attempt. One that was tried before comes alone.
    """
    while _due(integration_pk):
        with transaction.atomic():
            if not try_hold(Lock.LIVE_EVENTS, integration_pk):
                return []
            first = _due(integration_pk)
            if first is None:
                return []
            if first.attempts < MAX_ATTEMPTS:
                return _taken_up(first)
            gave_up = f"Its worker died; it was given up after {MAX_ATTEMPTS} attempts."
            _fail(first, gave_up, Log(first.integration, event=first))
    return []


def _taken_up(first: InboundEvent) -> list[InboundEvent]:
    events = [first]
    if first.attempts == 0:
        behind = _waiting(first.integration_id).filter(pk__gt=first.pk)
        for event in behind[: BATCH - 1]:
            if event.attempts:
                break
            events.append(event)
    until = timezone.now() + timedelta(seconds=LEASE_S)
    for event in events:
        event.attempts, event.due_at = event.attempts + 1, until
    InboundEvent.objects.filter(pk__in=[event.pk for event in events]).update(
        attempts=first.attempts, due_at=until
    )
    return events


def _let_go(events: Sequence[InboundEvent]) -> None:
    """Put down new events that were taken up and not begun, as if nobody had touched them."""
    InboundEvent.objects.filter(
        pk__in=[event.pk for event in events], state=State.WAITING, attempts=1
    ).update(attempts=0, due_at=timezone.now())


def _waiting(integration_pk: int) -> QuerySet[InboundEvent]:
    """The events of a source that are not done, oldest first, without their bodies."""
    waiting = InboundEvent.objects.filter(integration=integration_pk, state=State.WAITING)
    return waiting.select_related("integration").defer("body").order_by("pk")


def _due(integration_pk: int) -> InboundEvent | None:
    """The oldest event of a source that is not done, if it is due."""
    oldest = _waiting(integration_pk).first()
    return oldest if oldest is not None and oldest.due_at <= timezone.now() else None


def _is_free(integration_pk: int) -> bool:
    with transaction.atomic():
        return try_hold(Lock.LIVE_EVENTS, integration_pk)


def _put_back(event: InboundEvent, error: BaseException, log: Log) -> bool:
    """Have an event tried again later; the last time it has failed. Returns whether it has."""
    if isinstance(error, IdpError):
        told = str(error)
    elif isinstance(error, OperationalError | SoftTimeLimitExceeded):
        told = "The server was interrupted."
    else:
        told = f"Unexpected error: {type(error).__name__}. The server's log has more."
    if event.attempts >= MAX_ATTEMPTS:
        _fail(event, told, log)
        return True
    wait_s = float(RETRY_AFTER_S[min(event.attempts, len(RETRY_AFTER_S)) - 1])
    if isinstance(error, UpstreamUnavailable):
        asked = error.details.get("retry_after_s")
        if isinstance(asked, int | float):
            wait_s = max(wait_s, min(float(asked), RETRY_AFTER_S[-1]))
    elif isinstance(error, OperationalError | SoftTimeLimitExceeded):
        wait_s = 0.0  # a deadlock is over by now, a server that stops is not there to try
    _still_ours(event).update(
        due_at=timezone.now() + timedelta(seconds=wait_s),
        error=masked_text(told, log.secrets),
    )
    logger.info("live_event_put_back", pk=event.pk, attempt=event.attempts, wait_s=wait_s)
    return False


def _fail(event: InboundEvent, error: str, log: Log) -> None:
    log.remark("error", error, stage="live")
    with suppress(_Gone):
        _end(event, State.FAILED, error=error, log=log)


def _end(
    event: InboundEvent,
    state: InboundEvent.State,
    *,
    error: str,
    log: Log,
    outcome: Outcome | None = None,
) -> None:
    """Write what became of an event, with its lines of the log. Raises _Gone."""
    with transaction.atomic():
        changed = _still_ours(event).update(
            state=state,
            processed_at=timezone.now(),
            error=masked_text(error, log.secrets),
            results=outcome.results if outcome else [],
        )
        if not changed:
            raise _Gone
        log.close()


def _still_ours(event: InboundEvent) -> QuerySet[InboundEvent]:
    return InboundEvent.objects.filter(pk=event.pk, state=State.WAITING, attempts=event.attempts)

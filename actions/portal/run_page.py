"""A run's page, put together: what became of it and why, its steps, its log, what it made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import orjson
from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from actions.models import Delivery, Run, RunArtifact, RunLog
from actions.portal.log_text import plain
from actions.portal.words import DELIVERIES, LEVELS, badge_of, tile_of
from actions.selectors.runs import entities_of
from catalog.dialects.backstage.mapping import key_of_ref
from catalog.dialects.backstage.refs import RefError, parse_ref
from catalog.kernel import feed
from catalog.portal.code import as_json
from catalog.portal.links import entity_url, is_web
from catalog.portal.sources import Badge

LOG_ROWS: Final = 500
MAX_CHANGED: Final = 50
MAX_DELIVERIES: Final = 50
MAX_LINKS: Final = 20
MAX_TEXTS: Final = 10

_STEPS: Final = {
    "processing": Badge("at work", "blue", "progress_activity"),
    "completed": Badge("done", "green", "check_circle"),
    "failed": Badge("failed", "red", "error"),
    "skipped": Badge("skipped", "lightGray", "step_over"),
    "cancelled": Badge("cancelled", "lightGray", "cancel"),
    "open": Badge("to come", "lightGray", "radio_button_unchecked"),
}
_DEEDS: Final = {feed.CREATE: "Created", feed.UPDATE: "Changed", feed.DELETE: "Deleted"}


@dataclass(frozen=True, slots=True)
class Line:
    """tone: "" for what is as expected."""

    pk: int
    at: datetime
    level: str
    tone: str
    text: str
    step: str
    by: str


@dataclass(frozen=True, slots=True)
class LogPart:
    """before: the pk below which there are earlier lines, None at the beginning. last: the pk that
    later lines come after."""

    lines: Sequence[Line]
    before: int | None
    last: int


@dataclass(frozen=True, slots=True)
class Step:
    """seconds: how long it took. since: when it began, while it is at work."""

    pk: str
    name: str
    action: str
    badge: Badge
    seconds: float | None
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    delivery: Delivery
    badge: Badge
    seconds: float | None
    request_body: str
    response_body: str

    @property
    def title(self) -> str:
        return f"{self.delivery.method} {self.delivery.url}".strip()


@dataclass(frozen=True, slots=True)
class Link:
    """is_ours: it leads to an entity's page."""

    url: str
    title: str
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A text that a template puts out; Markdown."""

    title: str
    content: str


@dataclass(frozen=True, slots=True)
class Changed:
    """An entity that the run wrote. words: "Created"."""

    blueprint: str
    identifier: str
    words: str
    is_gone: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a page shows of a run beside its log. stamp: differs when any of it does."""

    run: Run
    badge: Badge
    tile: str
    waiting: str
    trouble: Sequence[str]
    steps: Sequence[Step]
    attempts: Sequence[Attempt]
    artifacts: Sequence[RunArtifact]
    changed: Sequence[Changed]
    links: Sequence[Link]
    texts: Sequence[Text]
    response: str
    seconds: float
    stamp: str

    @property
    def is_done_here(self) -> bool:
        """Nothing is sent for it: a worker does it all."""
        return self.run.payload.get("type") in ("TEMPLATE", "UPSERT_ENTITY")

    @property
    def has_deliveries(self) -> bool:
        return bool(self.attempts) and not (self.is_done_here and len(self.attempts) == 1)

    @property
    def has_failed(self) -> bool:
        return self.run.status in (Run.Status.FAILURE, Run.Status.TIMED_OUT)


def parts_of(run: Run) -> Parts:
    """Three queries, whatever the run did; one more for one that failed."""
    attempts = [_attempt(one) for one in run.deliveries.order_by("-pk")[:MAX_DELIVERIES]]
    artifacts = list(run.artifacts.defer("content"))
    changed = _changed(run)
    seen = [
        [run.status, run.status_label, run.summary, run.link, run.steps, run.output],
        [run.response, run.approvals, run.is_pending, run.due_at, run.leased_until is not None],
        [[one.delivery.pk, one.delivery.state] for one in attempts],
        [one.name for one in artifacts],
        [[one.blueprint, one.identifier, one.words] for one in changed],
    ]
    return Parts(
        run=run,
        badge=badge_of(run),
        tile=tile_of(run),
        waiting=_waiting(run, attempts),
        trouble=_trouble(run, attempts),
        steps=steps_of(
            run.steps or (), is_open=run.is_open, is_cancelled=run.status == Run.Status.CANCELLED
        ),
        attempts=attempts,
        artifacts=artifacts,
        changed=changed,
        links=_links(run),
        texts=_texts(run),
        response="" if run.response is None else _readable(run.response),
        seconds=((run.ended_at or timezone.now()) - run.created_at).total_seconds(),
        stamp=blake2b(orjson.dumps(seen, default=str), digest_size=8).hexdigest(),
    )


def lines_after(run: Run, after: int, *, step: str = "") -> LogPart:
    """What was written since; at most `LOG_ROWS` lines, the rest comes with the next question."""
    found = list(_log(run, step).filter(pk__gt=after).order_by("pk")[:LOG_ROWS])
    return LogPart([_line(one) for one in found], None, found[-1].pk if found else after)


def last_lines(run: Run, *, before: int | None = None, step: str = "") -> LogPart:
    """The end of the log, or what stands before a line."""
    rows = _log(run, step).order_by("-pk")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: LOG_ROWS + 1])
    shown = found[:LOG_ROWS][::-1]
    has_more = len(found) > LOG_ROWS
    return LogPart(
        lines=[_line(one) for one in shown],
        before=shown[0].pk if has_more else None,
        last=shown[-1].pk if shown else 0,
    )


def _log(run: Run, step: str) -> Any:
    return run.logs.filter(step=step) if step else run.logs.all()


def _line(line: RunLog) -> Line:
    return Line(
        pk=line.pk,
        at=line.created_at,
        level=line.level,
        tone=LEVELS[line.level],
        text=plain(line.message),
        step=line.step,
        by=line.created_by,
    )


def steps_of(
    steps: Sequence[Mapping[str, Any]], *, is_open: bool, is_cancelled: bool = False
) -> list[Step]:
    """The steps of a template, as `Run.steps` has them. Once it is over, none is at work."""
    return [_step(one, is_open, "cancelled" if is_cancelled else "failed") for one in steps]


def _step(step: Mapping[str, Any], is_open: bool, otherwise: str) -> Step:
    begun, ended = _moment(step.get("startedAt")), _moment(step.get("endedAt"))
    status = str(step.get("status") or "open")
    is_at_work = status == "processing" and is_open
    if status == "processing" and not is_open:
        status = otherwise
    return Step(
        pk=str(step.get("id") or ""),
        name=str(step.get("name") or step.get("id") or ""),
        action=str(step.get("action") or ""),
        badge=_STEPS.get(status, _STEPS["open"]),
        seconds=(ended - begun).total_seconds() if begun and ended else None,
        since=begun if is_at_work else None,
    )


def _moment(text: Any) -> datetime | None:
    return parse_datetime(text) if isinstance(text, str) else None


def _attempt(delivery: Delivery) -> Attempt:
    took = delivery.ended_at - delivery.started_at if delivery.ended_at else None
    return Attempt(
        delivery=delivery,
        badge=DELIVERIES[delivery.state],
        seconds=took.total_seconds() if took else None,
        request_body=_pretty(delivery.request_body),
        response_body=_pretty(delivery.response_body),
    )


def _pretty(text: str) -> str:
    """JSON as people read it; other text as it is."""
    try:
        return as_json(orjson.loads(text)) if text[:1] in ("{", "[") else text
    except orjson.JSONDecodeError:
        return text


def _readable(value: Any) -> str:
    return _pretty(value) if isinstance(value, str) else as_json(value)


def _waiting(run: Run, attempts: Sequence[Attempt]) -> str:
    """What an open run waits for."""
    if run.status != Run.Status.IN_PROGRESS:
        return ""
    if run.is_pending:
        agent = "an agent inside the network" if run.installation[:1] == "_" else run.installation
        return f"Waits for {agent} to fetch it."
    if run.leased_until is not None:
        return "A worker is at it."
    if run.due_at is not None:
        return "The next attempt comes by itself." if attempts else "A worker takes it in a moment."
    return "It was handed over. Whoever does the work says how it goes, and when it ends."


def _trouble(run: Run, attempts: Sequence[Attempt]) -> list[str]:
    """Why it failed, or why it is not getting on: the shortest account first, each once."""
    if run.status in (Run.Status.FAILURE, Run.Status.TIMED_OUT):
        told = [run.summary, run.status_label]
        failed = [str(one.get("name") or one.get("id")) for one in run.steps or () if _is_bad(one)]
        told += [f"The step “{name}” failed." for name in failed]
        told += [_of_delivery(attempts[0])] if attempts else []
        if not any(told):
            last = run.logs.filter(level=RunLog.Level.ERROR).order_by("-pk").first()
            told.append(plain(last.message) if last else "Whoever did the work did not say why.")
    elif run.status == Run.Status.IN_PROGRESS and run.due_at is not None and attempts:
        told = [_of_delivery(attempts[0])]
    else:
        told = []
    kept: list[str] = []
    for text in filter(None, told):
        if not any(text in other for other in kept):
            kept.append(text)
    return kept


def _is_bad(step: Mapping[str, Any]) -> bool:
    return step.get("status") == "failed"


def _of_delivery(attempt: Attempt) -> str:
    delivery = attempt.delivery
    if delivery.state == Delivery.State.UNKNOWN:
        return (
            "Whether the last attempt arrived is not known: its worker ended before it could say."
        )
    return delivery.error if delivery.state == Delivery.State.FAILED else ""


def _changed(run: Run) -> list[Changed]:
    """The entities that were written in the name of this run, in that order."""
    return [
        Changed(
            one.blueprint,
            one.identifier,
            _DEEDS[one.action],
            is_gone=one.action == feed.DELETE,
        )
        for one in entities_of(run)[:MAX_CHANGED]
    ]


def _links(run: Run) -> list[Link]:
    """What a template puts out, and what was reported: addresses of the web, and of our pages. The
    same place is named once.
    """
    output = run.output if isinstance(run.output, Mapping) else {}
    named = [
        (one.get("url") or _url_of_ref(one.get("entityRef")), str(one.get("title") or ""))
        for one in _listed(output.get("links"))
    ]
    found: dict[str, Link] = {}
    for url, title in [*named, *((url, "") for url in run.link or ())]:
        path = url.removeprefix(settings.IDP_URL) if isinstance(url, str) else ""
        is_ours = path.startswith("/") and not path.startswith("//")
        if is_ours or is_web(path):
            found.setdefault(path, Link(path, title, is_ours))
    return list(found.values())[:MAX_LINKS]


def _url_of_ref(text: Any) -> str:
    try:
        return entity_url(*key_of_ref(parse_ref(text)))
    except RefError:
        return ""


def _texts(run: Run) -> list[Text]:
    output = run.output if isinstance(run.output, Mapping) else {}
    return [
        Text(str(one.get("title") or ""), str(one.get("content") or ""))
        for one in _listed(output.get("text"))[:MAX_TEXTS]
    ]


def _listed(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []

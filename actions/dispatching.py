"""Doing the work of runs: a worker takes a due run, hands it to its backend, keeps what came of it.

At least once: the attempt is noted down before anything is sent, and the lease of a worker that
died runs out. What is sent again carries the same idempotency key, the identifier of the run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from django.db import transaction
from django.db.models import Exists, Max, Q, QuerySet
from django.utils import timezone
from structlog import get_logger

from actions.backends.echo import Echo
from actions.inputs import MASK
from actions.models import Delivery, Run, RunLog
from actions.registry import Invocation, Outcome, Watches, backends
from actions.services import handing_over, reporting
from actions.services.access import Access
from actions.services.reporting import get_run
from actions.services.states import changing, is_approved, move, write_line
from actions.services.telling import takes_long, tell_worker
from catalog.kernel.actors import Actor, Principal
from catalog.kernel.errors import Conflict, IdpError, PermissionDenied, UpstreamUnavailable
from catalog.kernel.http.masking import HIDDEN, mask
from catalog.kernel.identifiers import storable_text

logger = get_logger(__name__)

LEASE: Final = timedelta(minutes=2)
MAX_BODY: Final = 64 * 1024  # characters that are kept of what was sent and answered
MAX_DUE: Final = 200  # runs of one tick
MAX_WATCH_S: Final = 300

# Seconds before the next attempt. After the last one the run, or a message, is given up.
BACKOFF_S: Final = (5, 15, 45, 120, 300, 900, 1800, 3600)

WORKER: Final = Actor.system("runs")
_SENT_AGAIN: Final = (Run.Status.FAILURE, Run.Status.TIMED_OUT, Run.Status.IN_PROGRESS)
_TEXTS: Final = ("url", "request_body", "response_body", "error")


def due_runs(now: datetime) -> list[tuple[int, bool]]:
    """(pk, whether it takes long) of the runs that a worker should take now."""
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    found = Run.objects.filter(free, due_at__lte=now).order_by("due_at")
    return [
        (pk, takes_long(payload)) for pk, payload in found.values_list("pk", "payload")[:MAX_DUE]
    ]


def dispatch(pk: int) -> None:
    """Make one attempt at a run, or look how far it is elsewhere. Does nothing when it is not due,
    or somebody else is at it.
    """
    taken = _take(pk)
    if isinstance(taken, _Attempt):
        _try(taken)
    elif taken is not None:
        _watch(taken)


def _try(attempt: _Attempt) -> None:
    try:
        outcome = attempt.make()
    except UpstreamUnavailable as error:
        attempt.put_off(error)
    except IdpError as error:
        attempt.give_up(str(error))
    except Exception as error:
        attempt.give_up(f"The server failed at it ({type(error).__name__}); its log says why.")
        raise
    else:
        attempt.keep(outcome)


def redeliver(identifier: str, *, principal: Principal, actor: Actor) -> Run:
    """Hand the same payload over once more: of a run that failed, or that is being waited for.

    Raises NotFound, PermissionDenied, Conflict when there is nothing that could be sent.
    """
    found = get_run(identifier, principal=principal)
    if not Access(principal).may_repeat(found):
        raise PermissionDenied(
            "You may not redeliver this run",
            hint="It takes the permission to run its action.",
            details={"resource": "Run", "value": identifier, "permission": "execute"},
        )
    with changing(found.pk, actor) as run:
        details = {"resource": "Run", "value": identifier, "status": run.status}
        if run.status not in _SENT_AGAIN:
            raise Conflict(f"A run that is {run.status} is not sent again", details=details)
        if not is_approved(run):
            raise Conflict("Nobody approved this run, so it was never sent", details=details)
        if run.due_at is not None or run.is_pending:
            raise Conflict("The run is on its way already", details=details)
        if _is_forgotten(run):
            raise Conflict(
                "The secrets of this run have been forgotten: run the action again",
                details=details,
            )
        write_line(run, f"Sent again by {actor.name}.", by=actor.name)
        move(run, Run.Status.IN_PROGRESS)
        if len(run.payload) > 1:
            _send_again(run)
        else:  # it failed before its payload was filled in
            handing_over.hand_over(run, by=actor)
        tell_worker(run)
    return run


def may_redeliver(run: Run, principal: Principal) -> bool:
    is_idle = run.due_at is None and not run.is_pending
    is_sendable = is_idle and run.status in _SENT_AGAIN and is_approved(run)
    return is_sendable and Access(principal).may_repeat(run)


def _send_again(run: Run) -> None:
    payload = handing_over.opened(run)["payload"]
    run.attempts = 0
    backend = backends.get(payload["type"])
    name = backend.agent_of(payload) if backend is not None and not run.is_test else ""
    if name:
        run.is_pending, run.installation = True, name[:200]
    else:
        run.due_at = timezone.now()


def _is_forgotten(run: Run) -> bool:
    """Whether what would be sent has a mask in the place of a secret: one of the payload or, where
    the inputs are still to be put into it, one of these.
    """
    if run.sealed is not None:
        return False
    is_filled_in = len(run.payload) > 1 and run.payload["type"] != "TEMPLATE"
    return _holds(run.payload, HIDDEN) or (not is_filled_in and _holds(run.properties, MASK))


def _holds(value: Any, text: str) -> bool:
    return text in orjson.dumps(value).decode()


class _Attempt:
    """One attempt, of a worker that holds the run's lease.

    Its number is a fence: a worker that comes back after its lease has run out, and somebody else
    has begun anew, changes nothing.
    """

    def __init__(self, run: Run, delivery: Delivery) -> None:
        self.run = run
        self.delivery = delivery
        self.secrets: frozenset[str] = frozenset()

    def make(self) -> Outcome:
        run = self.run
        opened = handing_over.opened(run)
        self.secrets = frozenset(opened["secrets"])
        payload = opened["payload"]
        backend = Echo() if run.is_test else backends.get(payload["type"])
        if backend is None:
            raise Conflict(f"Nothing here does the work of {payload['type']}")
        return backend.invoke(
            Invocation(
                run=run,
                payload=payload,
                inputs=handing_over.with_secrets(run.properties, opened["inputs"]),
                secrets=self.secrets,
                record=self.record,
                log=self.log,
                is_cancelled=self.is_cancelled,
                extend=self.extend,
            )
        )

    def record(self, **fields: Any) -> None:
        for name in _TEXTS:
            if name in fields:
                fields[name] = self._shown(fields[name])
        for name in ("request_headers", "response_headers"):
            if name in fields:
                fields[name] = handing_over.masked(_plain(fields[name]), self.secrets)
        Delivery.objects.filter(pk=self.delivery.pk).update(**fields)

    def log(
        self, message: str, *, level: str = "INFO", step: str = "", step_status: str = ""
    ) -> None:
        reporting.log(
            self.run,
            mask(message, self.secrets),
            level=level,
            step=step,
            step_status=step_status,
            by=WORKER.name,
        )

    def is_cancelled(self) -> bool:
        return not self._mine.exists()

    def extend(self) -> None:
        self._mine.update(leased_until=timezone.now() + LEASE)

    def keep(self, outcome: Outcome) -> None:
        """The attempt worked; the run may go on elsewhere."""
        with changing(self.run.pk, WORKER) as run:
            failed = outcome.status == Run.Status.FAILURE
            self._close(Delivery.State.FAILED if failed else Delivery.State.DELIVERED)
            if not self._mine.exists():
                return
            _apply(run, outcome, self.secrets)

    def put_off(self, error: UpstreamUnavailable) -> None:
        """It may work later."""
        asked, why = error.details.get("retry_after_s"), str(error).rstrip(".")
        if self.run.attempts > len(BACKOFF_S):
            self.give_up(f"{why}. Given up after {self.run.attempts} attempts.")
            return
        wait_s = BACKOFF_S[self.run.attempts - 1]
        if isinstance(asked, int | float):
            wait_s = int(min(max(wait_s, asked), BACKOFF_S[-1]))
        with changing(self.run.pk, WORKER) as run:
            self._close(Delivery.State.FAILED, str(error))
            if self._mine.exists():
                run.due_at, run.leased_until = timezone.now() + timedelta(seconds=wait_s), None
                self._say(run, f"{why}. Next attempt in {wait_s} s.", RunLog.Level.WARNING)
                tell_worker(run)

    def give_up(self, why: str) -> None:
        with changing(self.run.pk, WORKER) as run:
            self._close(Delivery.State.FAILED, why)
            if self._mine.exists():
                handing_over.fail(run, mask(why, self.secrets), by=WORKER)

    @property
    def _mine(self) -> QuerySet[Run]:
        """The run, unless somebody has ended it, or taken it up anew, meanwhile. Attempts are
        counted from the start when it is sent again, deliveries are not."""
        newer = Delivery.objects.filter(run=self.run.pk, number__gt=self.delivery.number)
        return Run.objects.filter(
            ~Exists(newer),
            pk=self.run.pk,
            status=Run.Status.IN_PROGRESS,
            attempts=self.run.attempts,
        )

    def _close(self, state: str, error: str = "") -> None:
        said = {"error": self._shown(error)} if error else {}
        Delivery.objects.filter(pk=self.delivery.pk).update(
            state=state, ended_at=timezone.now(), **said
        )

    def _say(self, run: Run, message: str, level: str) -> None:
        write_line(run, mask(message, self.secrets), by=WORKER.name, level=level)

    def _shown(self, text: str) -> str:
        return storable_text(mask(text, self.secrets))[:MAX_BODY]


def _take(pk: int) -> _Attempt | Run | None:
    """An attempt to be made at the run; the run itself, if it is only watched; None: neither."""
    now = timezone.now()
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    with transaction.atomic():
        run = (
            Run.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("action")
            .filter(free, pk=pk, status=Run.Status.IN_PROGRESS, due_at__lte=now)
            .first()
        )
        if run is None:
            return None
        run.leased_until = now + LEASE
        run.attempts += not run.is_watched
        run.save(update_fields=["attempts", "leased_until"])
        if run.is_watched:
            return run
        lost = Delivery.objects.filter(run=run, state=Delivery.State.SENDING).update(
            state=Delivery.State.UNKNOWN, ended_at=now, error="The worker died meanwhile."
        )
        if lost:
            write_line(
                run,
                "A worker died while it was at this; it is done again, with the same key.",
                by=WORKER.name,
                level=RunLog.Level.WARNING,
            )
        delivery = Delivery.objects.create(
            run=run, number=run.deliveries.count() + 1, started_at=now
        )
    return _Attempt(run, delivery)


def _watch(run: Run) -> None:
    """Ask how far a run is that goes on elsewhere. To ask twice does no harm."""
    backend = backends.get(run.payload["type"])
    outcome, failure = None, ""
    try:
        outcome = backend.watch(run) if isinstance(backend, Watches) else Outcome()
    except UpstreamUnavailable as error:
        logger.warning("run_not_seen", run=run.identifier, reason=str(error))
    except IdpError as error:
        failure = str(error)
    secrets = handing_over.opened(run)["secrets"]
    with changing(run.pk, WORKER) as held:
        if held.status != Run.Status.IN_PROGRESS or not held.is_watched:
            return
        if failure:
            handing_over.fail(held, mask(failure, secrets), by=WORKER)
        else:
            _apply(held, outcome or Outcome(), secrets)


def _apply(run: Run, outcome: Outcome, secrets: Collection[str]) -> None:
    """Keep what came of the work; without a status it goes on elsewhere."""
    run.due_at = run.leased_until = None
    if outcome.summary is not None:
        run.summary = mask(outcome.summary, secrets)
    if outcome.status_label is not None:
        run.status_label = mask(outcome.status_label, secrets)
    links = (mask(one, secrets) for one in outcome.links)
    run.link = list(dict.fromkeys([*run.link, *links]))
    if outcome.external_run_id is not None:
        run.external_run_id = outcome.external_run_id
    if outcome.response is not None:
        run.response = handing_over.masked(outcome.response, secrets)
    if outcome.output is not None:
        run.output = handing_over.masked(outcome.output, secrets)
    if outcome.status:
        move(run, outcome.status)
        if outcome.status == Run.Status.FAILURE and run.summary:
            write_line(run, run.summary, by=WORKER.name, level=RunLog.Level.ERROR)
    else:
        _look_later(run)


def _look_later(run: Run) -> None:
    """The longer it takes, the less often."""
    backend = backends.get(run.payload["type"])
    if not isinstance(backend, Watches):
        return
    now = timezone.now()
    delivered = run.deliveries.filter(state=Delivery.State.DELIVERED)
    begun = delivered.aggregate(at=Max("ended_at"))["at"] or now
    waited_s = (now - begun).total_seconds()
    wait_s = min(MAX_WATCH_S, max(backend.watch_every_s, waited_s / 2))
    run.is_watched, run.due_at = True, now + timedelta(seconds=wait_s)
    tell_worker(run)


def _plain(headers: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in headers.items()}

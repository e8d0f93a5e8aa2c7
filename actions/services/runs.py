"""Runs: started by people and programs, approved, fetched by agents, and ended by whoever does
the work.

Nothing is called from here: a run waits until somebody reports its end, and says so. An agent
may fetch a run whose payload has no templates in it, since these are not filled in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from actions.models import Action, Run, RunLog
from actions.services.definitions import get_action, permissions_document
from actions.services.inputs import checked_inputs
from catalog.kernel import feed
from catalog.kernel.actors import Actor, Principal
from catalog.kernel.errors import Conflict, InvalidInput, NotFound, PermissionDenied, shorten
from catalog.kernel.identifiers import is_storable
from catalog.kernel.schema import check_json
from catalog.models import Entity
from catalog.services import documents
from catalog.services.permissions import WRITERS, Standing

AGENT: Final = "_PORT_EXEC_AGENT"  # the name under which an execution agent claims its runs
SYSTEM: Final = "system"
MAX_CLAIMED: Final = 1000
MAX_TEXT: Final = 64 * 1024
ENDS: Final = ("SUCCESS", "FAILURE", "CANCELLED")
NOT_CALLED: Final = (
    "Nothing was called: backends of actions are not called by this version. The run stays open "
    "until its end is reported (PATCH /v1/actions/runs/{run})."
)
FETCHED: Final = "Waits for {name} to fetch it."


def visible_runs(principal: Principal) -> QuerySet[Run]:
    """Runs that `principal` may see: its own, and those that an action shows to everybody."""
    standing = Standing(principal)
    runs = Run.objects.select_related("action")
    if standing.is_admin:
        return runs
    closed = [
        action.pk
        for action in Action.objects.all()
        if action.document.get("allowAnyoneToViewRuns") is False
        and not standing.is_granted(permissions_document(action)["approve"])
    ]
    own = _own_names(principal)
    return runs.filter(~Q(action__in=closed) | Q(action=None) | Q(created_by__in=own))


def get_run(identifier: str, *, principal: Principal) -> Run:
    """Raises NotFound, also for a run that `principal` may not see."""
    found = visible_runs(principal).filter(identifier=identifier).first()
    if found is None:
        raise NotFound.of("Run", identifier, field="id")
    return found


def start_run(
    action_identifier: str,
    body: Mapping[str, Any],
    *,
    principal: Principal,
    actor: Actor,
    run_as: str = "",
    entity: str | None = None,
) -> Run:
    """Start a run with inputs `body["properties"]`, on the entity `body["entity"]`.

    run_as: an admin may start it in the name of somebody else (an e-mail address).
    Raises NotFound, InvalidInput naming the input, PermissionDenied.
    """
    action = get_action(action_identifier)
    if not action.is_self_service:
        raise InvalidInput(
            f'"{action_identifier}" is an automation: events start it, nobody else',
            details={"field": "action", "value": action_identifier, "expected": "self-service"},
        )
    standing = Standing(principal)
    if run_as and not standing.is_admin:
        raise PermissionDenied("Only admins may run an action in the name of somebody else")
    target = _target(action, body.get("entity") if entity is None else entity, principal)
    grant = permissions_document(action)["execute"]
    if not standing.is_granted(grant, team=target.team if target else ()):
        raise PermissionDenied(
            f'You may not run the action "{action_identifier}"',
            hint="An admin can name you in its permissions.",
            details={"resource": "Action", "value": action_identifier, "permission": "execute"},
        )
    given = body.get("properties")
    properties = checked_inputs(
        action.trigger.get("userInputs") or {}, {} if given is None else given
    )
    approval = action.document.get("requiredApproval")
    required = approval["type"] if isinstance(approval, dict) else ("ANY" if approval else "")
    with transaction.atomic():
        run = Run(
            action=action,
            about=_about(action.identifier, action.document.get("title"), action.document),
            blueprint=_about(action.blueprint.identifier, action.blueprint.title, action.blueprint)
            if action.blueprint
            else None,
            entity=_about(target.identifier, target.title, target) if target else None,
            properties=properties,
            payload=action.document["invocationMethod"],
            source="UI" if actor.kind == "user" else "API",
            required_approval=required,
            status=Run.Status.WAITING_FOR_APPROVAL if required else Run.Status.IN_PROGRESS,
            impersonated_by=actor.name if run_as else "",
        )
        documents.sign(run, actor, is_new=True)
        run.created_by = run_as or actor.name
        run.save(force_insert=True)
        if not required:
            _hand_over(run)
            run.save()
        _note(feed.CREATE, run, actor, after={"status": run.status})
    return run


def change_run(
    identifier: str, body: Mapping[str, Any], *, principal: Principal, actor: Actor
) -> Run:
    """Report on a run: any of status, statusLabel, link, summary, externalRunId, message. A status
    that ends it ends it; reporting on one that has ended is allowed.

    Raises NotFound, InvalidInput, PermissionDenied.
    """
    with transaction.atomic():
        run = _to_change(identifier, principal)
        before = _reported(run)
        if body.get("status") is not None:
            _set_status(run, body["status"], field="status")
        for key, name in (("statusLabel", "status_label"), ("summary", "summary")):
            if key in body:
                setattr(run, name, _text(body[key], key))
        if "externalRunId" in body:
            run.external_run_id = _text(body["externalRunId"], "externalRunId", 1000)
        if "link" in body:
            run.link = _links(body["link"])
        if body.get("message"):
            _log(run, _as_text(body["message"]), actor)
        _save(run, actor, before)
    return run


def add_log(
    identifier: str, body: Mapping[str, Any], *, principal: Principal, actor: Actor
) -> RunLog:
    """A line for the log; `terminationStatus` in the body ends the run with it.

    Raises NotFound, InvalidInput, PermissionDenied.
    """
    message = _text(body.get("message"), "message")
    if not message:
        raise InvalidInput.of("message", message, "text")
    with transaction.atomic():
        run = _to_change(identifier, principal)
        before = _reported(run)
        if body.get("terminationStatus") is not None:
            _set_status(run, body["terminationStatus"], field="terminationStatus")
        if "statusLabel" in body:
            run.status_label = _text(body["statusLabel"], "statusLabel")
        line = _log(run, message, actor)
        _save(run, actor, before)
    return line


def set_response(identifier: str, response: Any, *, principal: Principal, actor: Actor) -> Run:
    """What the backend of a run answered. Raises NotFound, InvalidInput, PermissionDenied."""
    check_json({"response": response})
    with transaction.atomic():
        run = _to_change(identifier, principal)
        run.response = response
        documents.sign(run, actor)
        run.save(update_fields=["response", "updated_at", "updated_by"])
    return run


def decide(identifier: str, body: Mapping[str, Any], *, principal: Principal, actor: Actor) -> Run:
    """Approve or decline a run that waits for it; one who declines ends it.

    Raises NotFound, InvalidInput, Conflict when it does not wait, PermissionDenied.
    """
    verdict = str(body.get("status", "")).upper()
    if verdict not in ("APPROVE", "DECLINE"):
        raise InvalidInput.of("status", body.get("status"), "APPROVE or DECLINE")
    description = _text(body.get("description"), "description") or ""
    with transaction.atomic():
        run = _locked(identifier, principal)
        standing = Standing(principal)
        grant = permissions_document(run.action)["approve"] if run.action else {}
        if not standing.is_granted(grant):
            raise PermissionDenied(
                "You may not approve this run",
                hint="An admin can name you in the action's permissions.",
                details={"resource": "Run", "value": identifier, "permission": "approve"},
            )
        if run.status != Run.Status.WAITING_FOR_APPROVAL:
            raise Conflict(
                f"The run does not wait for approval: it is {run.status}",
                details={"resource": "Run", "value": identifier},
            )
        before = _reported(run)
        now = timezone.now()
        state = "APPROVED" if verdict == "APPROVE" else "DECLINED"
        run.approvals = [
            *(one for one in run.approvals if one["user"] != actor.name),
            {
                "user": actor.name,
                "state": state,
                "description": description,
                "at": now.isoformat(),
            },
        ]
        _log(run, f"{state.capitalize()} by {actor.name}. {description}".strip(), actor)
        if state == "DECLINED":
            run.status, run.ended_at = Run.Status.DECLINED, now
        elif not pending_approvers(run):
            run.status = Run.Status.IN_PROGRESS
            _hand_over(run)
        _save(run, actor, before)
    return run


def pending_approvers(run: Run) -> list[str]:
    """Whose approval is missing: with ALL, everybody whom the permissions name as a user."""
    approved = {one["user"].lower() for one in run.approvals if one["state"] == "APPROVED"}
    if run.required_approval != "ALL" or run.action is None:
        return []
    named = permissions_document(run.action)["approve"]["users"]
    return [name for name in named if name.lower() not in approved]


def claim_pending(
    *,
    installation: str,
    limit: int,
    visibility_ms: int,
    method: str = "",
    exclude: Sequence[str] = (),
    principal: Principal,
) -> list[Run]:
    """Runs for an agent to execute, oldest first. Nobody else gets them for `visibility_ms`.

    installation: the agent's name; method: only this type of invocation; exclude: identifiers of
    actions. Raises PermissionDenied.
    """
    _require_agent(principal)
    now = timezone.now()
    with transaction.atomic():
        waiting = Run.objects.select_for_update(of=("self",), skip_locked=True).filter(
            Q(claimed_until=None) | Q(claimed_until__lt=now),
            is_pending=True,
            status=Run.Status.IN_PROGRESS,
            installation=installation,
        )
        if exclude:
            waiting = waiting.exclude(action__identifier__in=exclude)
        runs = [
            run
            for run in waiting.select_related("action").order_by("pk")[:MAX_CLAIMED]
            if not method or run.payload.get("type") == method
        ][:limit]
        for run in runs:
            run.claimed_until = now + timedelta(milliseconds=visibility_ms)
        Run.objects.bulk_update(runs, ["claimed_until"])
    return runs


def acknowledge(identifiers: Sequence[str], *, principal: Principal) -> int:
    """The agent has these runs now, and they are offered to nobody again. Returns how many there
    were to have. Raises PermissionDenied.
    """
    _require_agent(principal)
    wanted = [one for one in identifiers if is_storable(one)]
    pending = Run.objects.filter(identifier__in=wanted, is_pending=True)
    return pending.update(is_pending=False, claimed_until=None)


def _target(action: Action, identifier: Any, principal: Principal) -> Entity | None:
    """The entity a run is about, which the principal may see."""
    operation = action.trigger.get("operation") or "CREATE"
    if operation == "CREATE" or action.blueprint is None:
        return None
    if not isinstance(identifier, str) or not identifier:
        raise InvalidInput.of(
            "entity", identifier, f"the identifier of a {action.blueprint.identifier}"
        )
    found = (
        Entity.objects.visible_to(principal)
        .filter(blueprint=action.blueprint, identifier=identifier)
        .first()
        if is_storable(identifier)
        else None
    )
    if found is None:
        raise NotFound.of("Entity", identifier)
    return found


def _hand_over(run: Run) -> None:
    """Offer the run to the agent it is for; or say that nothing is going to happen here."""
    payload = run.payload
    name = ""
    if payload.get("type") == "INTEGRATION_ACTION":
        name = str(payload.get("installationId") or "")[:200]
    elif payload.get("type") == "WEBHOOK" and payload.get("agent") is True:
        name = AGENT
    if name and not _has_templates(payload):
        run.is_pending, run.installation = True, name
        message = FETCHED.format(name="an execution agent" if name == AGENT else name)
    else:
        message = NOT_CALLED.format(run=run.identifier)
        run.summary = message
    RunLog.objects.create(run=run, message=message, created_at=timezone.now(), created_by=SYSTEM)


def _has_templates(value: Any) -> bool:
    if isinstance(value, str):
        return "{{" in value
    if isinstance(value, Mapping):
        return any(map(_has_templates, (*value.keys(), *value.values())))
    return isinstance(value, list) and any(map(_has_templates, value))


def _set_status(run: Run, value: Any, *, field: str) -> None:
    status = str(value).upper()
    if status not in ENDS and not (status == "IN_PROGRESS" and run.status == "IN_PROGRESS"):
        raise InvalidInput.of(field, value, f"one of {', '.join(ENDS)}")
    if status in ENDS:
        run.status, run.is_pending = status, False
        run.ended_at = run.ended_at or timezone.now()


def _to_change(identifier: str, principal: Principal) -> Run:
    """The run, locked, if the principal may report on it."""
    run = _locked(identifier, principal)
    if Standing(principal).role not in WRITERS and run.created_by not in _own_names(principal):
        raise PermissionDenied(
            "You may not change this run",
            hint="Ask an admin for the role Member.",
            details={"resource": "Run", "value": identifier},
        )
    return run


def _locked(identifier: str, principal: Principal) -> Run:
    found = get_run(identifier, principal=principal)
    Run.objects.select_for_update().get(pk=found.pk)
    found.refresh_from_db()
    return found


def _save(run: Run, actor: Actor, before: dict[str, Any]) -> None:
    after = _reported(run)
    if before != after:
        documents.sign(run, actor)
        run.save()
        _note(feed.UPDATE, run, actor, before=before, after=after)


def _reported(run: Run) -> dict[str, Any]:
    return {
        "status": run.status,
        "statusLabel": run.status_label,
        "summary": run.summary,
        "link": run.link,
        "externalRunId": run.external_run_id,
        "approvals": run.approvals,
    }


def _note(action: str, run: Run, actor: Actor, **parts: Any) -> None:
    documents.note(
        action,
        run,
        actor=actor,
        blueprint=run.blueprint["identifier"] if run.blueprint else "",
        run=run.identifier,
        **parts,
    )


def _log(run: Run, message: str, actor: Actor) -> RunLog:
    return RunLog.objects.create(
        run=run, message=message, created_at=timezone.now(), created_by=actor.name
    )


def _about(identifier: str, title: str | None, thing: Any) -> dict[str, Any]:
    icon = thing.get("icon") if isinstance(thing, dict) else thing.icon
    return {"identifier": identifier, "title": title, "icon": icon}


def _own_names(principal: Principal) -> list[str]:
    names = (getattr(principal, key, "") for key in ("email", "username", "client_id"))
    return [name for name in names if name]


def _require_agent(principal: Principal) -> None:
    """Payloads are for those who execute them: admins and programs."""
    standing = Standing(principal)
    is_program = bool(getattr(principal, "client_id", "")) and standing.role in WRITERS
    if not (standing.is_admin or is_program):
        raise PermissionDenied(
            "Only admins and API clients may fetch runs",
            hint="Use an API client with the role Member.",
        )


def _links(value: Any) -> list[str]:
    links = [value] if isinstance(value, str) else value
    if links is None:
        return []
    if not isinstance(links, list) or not all(isinstance(one, str) for one in links):
        raise InvalidInput.of("link", value, "an address, or a list of addresses")
    return [str(_text(one, "link")) for one in links]


def _text(value: Any, field: str, limit: int = MAX_TEXT) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_storable(value) or len(value) > limit:
        raise InvalidInput.of(field, value, f"text of at most {limit} characters")
    return value


def _as_text(value: Any) -> str:
    """A message, which may be an object, as a line of the log."""
    return str(_text(value, "message")) if isinstance(value, str) else shorten(value, MAX_TEXT)

"""Starting runs: by people and programs, in somebody's name, again, and by automations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.utils import timezone

from actions.inputs import Checked, check, definition_of, form_context
from actions.models import Action, Run
from actions.selectors.runs import find_entity
from actions.services import handing_over
from actions.services.access import Access
from actions.services.definitions import get_action
from actions.services.reporting import checked_text, get_run
from actions.services.states import approval_limit, changing, note, write_line
from actions.services.telling import tell_worker
from catalog.kernel import feed
from catalog.kernel.actors import Actor, Insider, Principal, Role
from catalog.kernel.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    PermissionDenied,
    shorten,
)
from catalog.kernel.identifiers import ORGANIZATION, is_storable
from catalog.models import Entity
from catalog.selectors.documents import timestamp
from catalog.services import documents

MAX_KEY = 255  # characters of an idempotency key


def start_run(
    action: Action | str,
    body: Mapping[str, Any],
    *,
    principal: Principal,
    actor: Actor,
    run_as: str = "",
    entity: str | None = None,
    idempotency_key: str = "",
    secrets: Mapping[str, Any] | None = None,
    is_test: bool = False,
    origin: Run | None = None,
) -> Run:
    """Start a run with inputs `body["properties"]`, on the entity `body["entity"]`.

    run_as: an admin may start it in the name of somebody else (an e-mail address).
    idempotency_key: the same key of the same caller gives the run that it started before.
    secrets: further inputs that nobody may see. is_test: nothing is called, it is only shown what
    would be. origin: the run that this repeats.
    Raises NotFound, InvalidInput naming the inputs, PermissionDenied, Conflict for a key that was
    used for something else.
    """
    found = get_action(action) if isinstance(action, str) else action
    access = Access(principal)
    _require_startable(found, access, is_test=is_test)
    person: Any = principal
    if run_as:
        if not access.standing.is_admin:
            raise PermissionDenied("Only admins may run an action in the name of somebody else")
        person = _person(run_as)
    target = target_of(found, body.get("entity") if entity is None else entity, principal)
    access.require_execute(found, entity=target)
    if target is not None and not access.is_offered_on(found, target):
        raise Conflict(
            f'The action "{found.identifier}" is not for {shorten(target.identifier)}: '
            "its condition does not hold",
            details={"resource": "Action", "value": found.identifier, "field": "entity"},
        )
    context = form_context(person, target)
    given = body.get("properties")
    checked = check(
        definition_of(found),
        {} if given is None else given,
        context,
        principal=principal,
        secrets=secrets or {},
    )
    key = checked_text(idempotency_key, "Idempotency-Key", MAX_KEY) or ""
    run = _new(found, checked, target, actor, run_as, key, is_test=is_test)
    run.source = "UI" if actor.kind == "user" else "API"
    run.trigger = {
        "by": {"userId": context.user.get("id"), "orgId": ORGANIZATION, "user": context.user},
        "origin": run.source,
        "at": timestamp(timezone.now()),
        "operation": found.operation,
    }
    run.origin_run = origin
    # Policies see what people see: their errors are shown, and logged.
    access.require_execute(found, entity=target, inputs=checked.properties, trigger=run.trigger)
    if earlier := _started_before(run):
        return earlier
    if run.required_approval:
        run.approvers = access.policy_approvers(run, inputs=checked.properties)
    try:
        with transaction.atomic():
            _begin(run, checked.secrets, actor)
    except IntegrityError:
        if earlier := _started_before(run):
            return earlier
        raise
    return run


def start_automation(action: Action, event: Mapping[str, Any], *, depth: int) -> Run:
    """Start a run of an automation, in the caller's transaction. depth: how many runs, one caused
    by the other, this one makes.
    """
    actor = Actor.system(f"automation {action.identifier}")
    subject = _subject(event)
    run = _new(action, None, subject, actor, "", "", is_test=False)
    run.source, run.event, run.depth = "AUTOMATION", dict(event), depth
    run.trigger = {
        **(event.get("trigger") or {}),
        "operation": str(event.get("action") or ""),
    }
    _begin(run, {}, actor)
    return run


def repeat_run(
    identifier: str,
    body: Mapping[str, Any] | None = None,
    *,
    principal: Principal,
    actor: Actor,
    idempotency_key: str = "",
    secrets: Mapping[str, Any] | None = None,
) -> Run:
    """Start the action of a run once more, with its inputs or those in `body["properties"]`.

    Secret inputs are forgotten and have to be given again. Raises NotFound, InvalidInput,
    PermissionDenied, Conflict.
    """
    origin = get_run(identifier, principal=principal)
    if origin.action is None:
        raise Conflict(
            "The action of this run was deleted",
            details={"resource": "Run", "value": identifier},
        )
    if not origin.action.is_self_service:
        raise Conflict(
            "An automation answers to events; redeliver the run to do its work again",
            details={"resource": "Run", "value": identifier},
        )
    definition = definition_of(origin.action)
    kept = {
        name: value
        for name, value in origin.properties.items()
        if name in definition.fields and name not in definition.secret_names
    }
    given = (body or {}).get("properties")
    if given is not None and not isinstance(given, Mapping):
        raise InvalidInput.of("properties", given, "an object")
    lost = sorted(origin.properties.keys() & definition.secret_names)
    if given is None and lost and not secrets:  # without them it would be another thing
        raise InvalidInput(
            f"Secret inputs are not kept and have to be given again: {', '.join(lost)}",
            details={"field": f"properties.{lost[0]}", "value": "", "expected": "a value"},
        )
    return start_run(
        origin.action,
        {
            "properties": kept if given is None else dict(given),
            "entity": origin.entity["identifier"] if origin.entity else None,
        },
        principal=principal,
        actor=actor,
        idempotency_key=idempotency_key,
        secrets=secrets,
        origin=origin,
    )


def target_of(action: Action, identifier: Any, principal: Principal) -> Entity | None:
    """The entity a run is about, which the principal may see; None for an action without one.

    Raises InvalidInput, NotFound.
    """
    if action.operation == "CREATE" or action.blueprint is None:
        return None
    if not isinstance(identifier, str) or not identifier:
        raise InvalidInput.of(
            "entity", identifier, f"the identifier of a {action.blueprint.identifier}"
        )
    found = (
        Entity.objects.visible_to(principal)
        .select_related("blueprint")
        .filter(blueprint=action.blueprint, identifier=identifier)
        .first()
        if is_storable(identifier)
        else None
    )
    if found is None:
        raise NotFound.of("Entity", identifier)
    return found


def _require_startable(action: Action, access: Access, *, is_test: bool) -> None:
    if not access.may_see(action):
        raise NotFound.of("Action", action.identifier)
    if not action.is_self_service:
        raise InvalidInput(
            f'"{action.identifier}" is an automation: events start it, nobody else',
            details={
                "field": "action",
                "value": action.identifier,
                "expected": "self-service",
            },
        )
    if not action.is_published and not is_test:
        raise Conflict(
            f'The action "{action.identifier}" is not published',
            hint="An admin can publish it.",
            details={"resource": "Action", "value": action.identifier},
        )


def _begin(run: Run, secrets: Mapping[str, Any], actor: Actor) -> None:
    """Save it and set it going, in one transaction."""
    handing_over.seal(run, inputs=dict(secrets))
    run.save(force_insert=True)
    note(feed.CREATE, run, actor, after={"status": run.status})
    if run.status != Run.Status.IN_PROGRESS:
        write_line(run, "Waits for approval.", by=actor.name)
        return
    with changing(run.pk, actor) as held:
        handing_over.hand_over(held, by=actor)
        tell_worker(held)
    run.refresh_from_db()


def _new(
    action: Action,
    checked: Checked | None,
    target: Entity | None,
    actor: Actor,
    run_as: str,
    key: str,
    *,
    is_test: bool,
) -> Run:
    approval = action.document.get("requiredApproval")
    required = approval["type"] if isinstance(approval, dict) else ("ANY" if approval else "")
    if is_test or not action.is_self_service:
        required = ""
    blueprint = target.blueprint if target else action.blueprint
    run = Run(
        action=action,
        version=action.version,
        about=_about(action.identifier, action.document.get("title"), action.document),
        blueprint=_about(blueprint.identifier, blueprint.title, blueprint) if blueprint else None,
        entity=_about(target.identifier, target.title, target) if target else None,
        properties=checked.properties if checked else {},
        payload={"type": action.invocation["type"]},
        required_approval=required,
        status=Run.Status.WAITING_FOR_APPROVAL if required else Run.Status.IN_PROGRESS,
        idempotency_key=key,
        impersonated_by=actor.name if run_as else "",
        is_test=is_test,
        is_closed=action.document.get("allowAnyoneToViewRuns") is False,
    )
    documents.sign(run, actor, is_new=True)
    run.created_by = run_as or actor.name
    if required:
        run.expires_at = run.created_at + approval_limit(action.document)
    return run


def _started_before(run: Run) -> Run | None:
    """What the same caller started with the same key. Raises Conflict when it was another thing."""
    if not run.idempotency_key:
        return None
    found = (
        Run.objects.select_related("action")
        .filter(action=run.action, created_by=run.created_by, idempotency_key=run.idempotency_key)
        .first()
    )
    if found is None:
        return None
    same = documents.is_same(found.properties, run.properties) and (
        (found.entity or {}).get("identifier") == (run.entity or {}).get("identifier")
    )
    if not same:
        raise Conflict(
            f'The idempotency key "{shorten(run.idempotency_key)}" was used with other inputs',
            details={"resource": "Run", "with": "id", "value": found.identifier},
        )
    return found


def _person(email: str) -> Principal:
    """In whose name a run is started: the user with this address; else one who is nobody's yet."""
    found: Principal | None = (
        get_user_model()
        ._default_manager.filter(email__iexact=email, is_active=True)
        .order_by("pk")
        .first()
        if is_storable(email)
        else None
    )
    return found or Insider(email, Role.VIEWER)


def _subject(event: Mapping[str, Any]) -> Entity | None:
    """The entity that an event tells of, if it is still there."""
    context = event.get("context") or {}
    blueprint, identifier = context.get("blueprintIdentifier"), context.get("entityIdentifier")
    return find_entity(blueprint, identifier) if blueprint and identifier else None


def _about(identifier: str, title: str | None, thing: Any) -> dict[str, Any]:
    icon = thing.get("icon") if isinstance(thing, dict) else thing.icon
    return {"identifier": identifier, "title": title, "icon": icon}

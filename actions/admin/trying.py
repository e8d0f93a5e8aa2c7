"""The builder's bench: the form that an action makes, what would be sent, and a run that is a test.

Nothing here calls anybody, and nothing but a test run is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import QueryDict
from django.utils import timezone

from actions.admin.builder import PERMISSIONS
from actions.automations.events import entity_context, schedule_document, trigger_of
from actions.backends.calling import shown_headers
from actions.backends.webhook import call_of
from actions.dispatching import dispatch
from actions.inputs import MASK, check_user_inputs, definition_of, expanded, form_context
from actions.models import Action, Firing, Run
from actions.portal.forms import ActionForm, names
from actions.registry import Completes, backends
from actions.selectors.entity_documents import document_of
from actions.services import handing_over, templating
from actions.services.action_spec import checked_action, modernised
from actions.services.starting import start_run
from actions.services.triggers import SCHEDULE, condition_of
from catalog.kernel import jq
from catalog.kernel.actors import Actor, Principal
from catalog.kernel.errors import InvalidInput, shorten
from catalog.kernel.http import mask_url
from catalog.kernel.http.masking import HIDDEN
from catalog.kernel.identifiers import is_storable
from catalog.kernel.json_text import read_json, write_json
from catalog.models import Blueprint, Entity
from catalog.services import secrets

SAMPLE, EVENT = "sample", "event"  # names of what a bench sends beside its document
MAX_SHOWN: Final = 64 * 1024  # characters of what is sent


@dataclass(frozen=True, slots=True)
class Answered:
    """One expression of a condition for a sample event. text: what it gives, as JSON."""

    expression: str
    text: str = ""
    holds: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """What would be sent. method: "" where nothing is called from here; body is the filled in
    method then. missing: secrets that are named and not set."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str
    missing: tuple[str, ...] = ()
    conditions: tuple[Answered, ...] = field(default=())


def read_action(text: str, stored: Action | None) -> Action:
    """The action in the builder, unsaved. stored: the one it is to replace; one that a template
    makes is taken as it is.

    Raises what saving it would raise.
    """
    if stored is not None and stored.template_id is not None:
        return stored
    document = _document(text)
    checked, blueprint = checked_action(document)
    return _unsaved(document, checked, blueprint, stored)


def read_form(text: str, stored: Action | None) -> Action:
    """The same, for its form alone: what does the work may still be missing."""
    if stored is not None and stored.template_id is not None:
        return stored
    document = _document(text)
    modern = modernised(document)
    trigger = modern.get("trigger")
    if not isinstance(trigger, dict):
        raise InvalidInput.of("trigger", trigger, "an object with a type")
    check_user_inputs(trigger)
    event = trigger.get("event")
    about = trigger.get("blueprintIdentifier") or (
        event.get("blueprintIdentifier") if isinstance(event, dict) else None
    )
    is_name = isinstance(about, str) and is_storable(about)
    blueprint = Blueprint.objects.filter(identifier=about).first() if is_name else None
    return _unsaved(document, modern, blueprint, stored)


def _document(text: str) -> dict[str, Any]:
    document = read_json(text)
    if not isinstance(document, dict):
        raise InvalidInput("An action is a JSON object: {…}")
    return {name: value for name, value in document.items() if name != PERMISSIONS}


def _unsaved(
    given: Mapping[str, Any],
    document: dict[str, Any],
    blueprint: Blueprint | None,
    stored: Action | None,
) -> Action:
    identifier = str(given.get("identifier") or "action")
    version = stored.version if stored else 1
    return Action(identifier=identifier, document=document, blueprint=blueprint, version=version)


def sample_blueprint(action: Action) -> Blueprint | None:
    """Of the entities that the action may be tried on."""
    is_creating = action.is_self_service and action.operation == "CREATE"
    return None if is_creating else action.blueprint


def sample_of(
    action: Action, post: QueryDict, principal: Principal, *, is_strict: bool = False
) -> Entity | None:
    """The entity that was chosen, or the first where there is none such: the action may be about
    others by now. is_strict: raises InvalidInput for one that is not there.
    """
    blueprint = sample_blueprint(action)
    if blueprint is None:
        return None
    entities = Entity.objects.visible_to(principal).select_related("blueprint")
    entities = entities.filter(blueprint=blueprint)
    identifier = post.get(SAMPLE, "")
    if identifier:
        found = entities.filter(identifier=identifier).first() if is_storable(identifier) else None
        if found is not None:
            return found
        if is_strict:
            raise InvalidInput(f'{blueprint} has no entity "{shorten(identifier)}"')
    return entities.order_by("identifier").first()


def form_of(
    action: Action, post: QueryDict, principal: Principal, entity: Entity | None
) -> ActionForm:
    """As people would see it, with what was typed into it."""
    return ActionForm(
        definition_of(action),
        form_context(principal, entity),
        post if names.MARKS in post else None,
        principal=principal,
        is_live=True,
    )


def sample_event(action: Action, entity: Entity | None) -> dict[str, Any]:
    """The last event that the automation answered to, or one as it will look."""
    fired = Firing.objects.filter(action__identifier=action.identifier).first()
    if fired is not None:
        return dict(fired.event)
    given = action.trigger.get("event")
    event = given if isinstance(given, dict) else {"type": given}
    now = timezone.now()
    if event.get("type") == SCHEDULE:
        return schedule_document(event.get("cron"), now)
    keys = {name: value for name, value in event.items() if name != "type"}
    place = entity_context(
        str(event.get("blueprintIdentifier", "")), entity.identifier if entity else None
    )
    document = document_of(entity) if entity else None
    return {
        "action": "UPDATE",
        "status": "SUCCESS",
        "trigger": trigger_of("user", "ada@example.com", now),
        "resourceType": "entity" if action.blueprint else "run",
        "context": {**place, **keys},
        "diff": {"before": document, "after": document},
    }


def planned(
    action: Action,
    *,
    entity: Entity | None,
    form: ActionForm | None,
    event: dict[str, Any] | None,
    principal: Principal,
) -> Planned:
    """The method filled in with samples; secrets are neither opened nor shown.

    form: with the sample inputs, of a self-service action; event: of an automation.
    Raises InvalidExpression and InvalidInput, as handing over a run would.
    """
    method = action.invocation
    run = _run(action, entity, principal)
    inputs = _inputs(action, form, principal) if form else {}
    document = document_of(entity) if entity else None
    context = templating.context_of(run, inputs=inputs, entity=document, event=event, action=action)
    named = templating.secret_names(method)
    hidden = dict.fromkeys(named, HIDDEN)
    payload = templating.fill_in(method, {**context, "secrets": hidden}, field="invocationMethod")
    backend = backends[method["type"]]
    if isinstance(backend, Completes):
        payload = backend.completed(run, payload, context)
    payload = handing_over.masked(payload, templating.credentials_in(payload) - {HIDDEN})
    missing = tuple(sorted(named - secrets.values_of(named).keys()))
    conditions = _conditions(action, event)
    if payload["type"] != "WEBHOOK":
        rest = {name: value for name, value in payload.items() if name != "type"}
        return Planned("", "", {}, _cut(write_json(rest)), missing, conditions)
    call = call_of(payload, key=run.identifier)
    return Planned(
        call.method,
        mask_url(call.url),
        shown_headers(call.headers),
        _cut(readable(call.content.decode(errors="replace"))),
        missing,
        conditions,
    )


def test_run(
    action: Action,
    *,
    entity: Entity | None,
    form: ActionForm,
    principal: Principal,
    actor: Actor,
) -> Run:
    """Start one that calls nobody, and do its work at once, unless a worker is at it already.

    Raises what starting a run raises.
    """
    run = start_run(
        action,
        {"properties": form.values, "entity": entity.identifier if entity else None},
        principal=principal,
        actor=actor,
        secrets=form.secrets,
        is_test=True,
    )
    if run.due_at is not None:
        dispatch(run.pk)
        run.refresh_from_db()
    return run


def readable(body: str) -> str:
    """JSON with line breaks; anything else as it is."""
    try:
        return write_json(read_json(body))
    except InvalidInput:
        return body


def _run(action: Action, entity: Entity | None, principal: Principal) -> Run:
    """A run as it would be."""
    about = entity.blueprint if entity else action.blueprint
    return Run(
        action=action,
        about={"identifier": action.identifier, "title": action.document.get("title")},
        blueprint={"identifier": about.identifier, "title": about.title} if about else None,
        entity={"identifier": entity.identifier, "title": entity.title} if entity else None,
        trigger={
            "by": {"user": dict(form_context(principal).user)},
            "origin": "UI",
            "operation": action.operation,
        },
        created_at=timezone.now(),
        created_by=str(getattr(principal, "email", "")),
    )


def _inputs(action: Action, form: ActionForm, principal: Principal) -> dict[str, Any]:
    """What was typed, and the defaults; secret ones masked."""
    definition = definition_of(action)
    values = {
        name: MASK if name in definition.secret_names else one.value
        for name, one in form.resolved.fields.items()
        if one.is_visible and one.value is not None
    }
    return expanded(definition, values, principal)


def _conditions(action: Action, event: dict[str, Any] | None) -> tuple[Answered, ...]:
    expressions = condition_of(action.trigger).expressions if event is not None else ()
    if not expressions:
        return ()
    program = jq.Program(fields={str(n): one for n, one in enumerate(expressions)})
    [outcome] = jq.run(program, [event])
    told = []
    for number, expression in enumerate(expressions):
        error = outcome.failure or outcome.errors.get(str(number))
        value = outcome.values.get(str(number))
        holds = not error and value is not None and value is not False
        text = "" if error else shorten(write_json(value), 200)
        told.append(Answered(expression, text, holds, error or ""))
    return tuple(told)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]} …"

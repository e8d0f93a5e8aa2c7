"""What an action may say: older forms are brought into today's, and all of it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actions.inputs import check_user_inputs
from actions.registry import backends
from actions.services.triggers import check_trigger
from catalog.kernel.actors import Insider
from catalog.kernel.errors import InvalidInput, InvalidQuery, NotFound, shorten
from catalog.kernel.identifiers import is_storable
from catalog.kernel.schema import Problem, compile_schema
from catalog.models import Blueprint
from catalog.selectors.search import search
from catalog.services.documents import checked_document

OPERATIONS: Final = ("CREATE", "DAY-2", "DELETE")
MAX_BUTTON: Final = 15  # characters
MAX_MINUTES: Final = 43_200  # of a run: 30 days
MAX_HOURS: Final = 8_760  # of waiting for approval: a year

_TEXT: Final = {"type": ["string", "null"]}
_FLAG: Final = {"type": ["boolean", "null"]}
_OBJECT: Final = {"type": ["object", "null"]}
_BUTTON: Final = {**_TEXT, "minLength": 1, "maxLength": MAX_BUTTON}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "title": _TEXT,
        "icon": _TEXT,
        "description": _TEXT,
        "category": {**_TEXT, "maxLength": 100},
        "timeoutMinutes": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_MINUTES},
        "approvalExpiryHours": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_HOURS},
        "trigger": {
            "type": "object",
            "properties": {
                "type": {"enum": ["self-service", "automation"]},
                "operation": {"enum": [*OPERATIONS, None]},
                "blueprintIdentifier": _TEXT,
                "userInputs": _OBJECT,
                "event": {"type": ["object", "string", "null"]},
                "condition": _OBJECT,
                "actionCardButtonText": _BUTTON,
                "executeActionButtonText": _BUTTON,
            },
            "required": ["type"],
        },
        "invocationMethod": {
            "type": "object",
            "properties": {"type": {"type": "string", "minLength": 1}},
            "required": ["type"],
        },
        "requiredApproval": {
            "type": ["boolean", "object", "null"],
            "properties": {"type": {"enum": ["ANY", "ALL"]}},
            "required": ["type"],
        },
        "approvalNotification": {
            **_OBJECT,
            "properties": {
                "type": {"enum": ["email", "webhook"]},
                "format": {"enum": ["json", "slack", None]},
                "url": _TEXT,
            },
            "required": ["type"],
        },
        "publish": _FLAG,
        "allowAnyoneToViewRuns": _FLAG,
    },
    "required": ["trigger", "invocationMethod"],
}


def checked_action(
    body: Mapping[str, Any], *, blueprint: str | None = None
) -> tuple[dict[str, Any], Blueprint | None]:
    """The document to keep, and the blueprint that its trigger, or its event, names.

    blueprint: the one it is about where its trigger names none.
    Raises InvalidInput naming field, value and what was expected; NotFound for a blueprint there
    is not.
    """
    document = checked_document(modernised(body, blueprint), _SCHEMA, without=("identifier",))
    trigger = document["trigger"]
    found = _blueprint(trigger)
    check_trigger(trigger)
    if trigger["type"] == "self-service":
        _check_self_service(trigger, found)
    _check_method(document["invocationMethod"])
    notification = document.get("approvalNotification") or {}
    if notification.get("type") == "webhook" and not notification.get("url"):
        raise InvalidInput.of(
            "approvalNotification.url", notification.get("url"), "the address to call"
        )
    return document, found


def modernised(body: Mapping[str, Any], blueprint: str | None = None) -> dict[str, Any]:
    """An action in one of the older forms as one of today's; keys that mean nothing are kept.

    "trigger": "CREATE", with `userInputs` beside it; "name" for "title"; a blueprint beside the
    trigger; a trigger of the type "webhook" with the call under or beside it.
    """
    given = dict(body)
    if given.get("title") is None and isinstance(given.get("name"), str):
        given = {("title" if key == "name" else key): value for key, value in given.items()}
    trigger = given.get("trigger")
    if isinstance(trigger, str):
        trigger = {"type": "self-service", "operation": trigger}
    if not isinstance(trigger, Mapping):
        return given
    trigger = dict(trigger)
    if trigger.get("type") == "webhook":
        given, trigger = _with_call(given, trigger)
    if trigger.get("type") == "self-service":
        if "userInputs" not in trigger:
            inputs = given.pop("userInputs", None)
            trigger["userInputs"] = {} if inputs is None else inputs
        if isinstance(given.get("blueprint"), str) and not trigger.get("blueprintIdentifier"):
            trigger["blueprintIdentifier"] = given.pop("blueprint")
    if blueprint is not None:
        trigger["blueprintIdentifier"] = blueprint
    given["trigger"] = trigger
    return given


def _with_call(
    given: dict[str, Any], trigger: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """{"trigger": {"type": "webhook", "webhook": {"url", "method"}}} as a call of that address."""
    call = trigger.pop("webhook", None) or given.pop("webhook", None)
    if call is not None and "invocationMethod" not in given:
        if not isinstance(call, Mapping):
            raise InvalidInput.of("webhook", call, "an object with url and method")
        given = {**given, "invocationMethod": {"type": "WEBHOOK", **call}}
    operation = trigger.get("operation") or "CREATE"
    return given, {**trigger, "type": "self-service", "operation": operation}


def _check_self_service(trigger: Mapping[str, Any], blueprint: Blueprint | None) -> None:
    check_user_inputs(trigger)
    condition = trigger.get("condition")
    if condition is None:
        return
    field = "trigger.condition"
    if (trigger.get("operation") or "CREATE") == "CREATE" or blueprint is None:
        raise InvalidInput.of(
            field, condition, "none: it says on which entities of a blueprint one is offered"
        )
    if condition.get("type") not in (None, "SEARCH"):
        raise InvalidInput.of(f"{field}.type", condition["type"], "SEARCH")
    try:
        search(condition, principal=Insider(), blueprint=blueprint)  # asked for somebody later
    except InvalidQuery as error:
        raise _at(error, "query", field) from None


def _check_method(method: Mapping[str, Any]) -> None:
    kind = method["type"]
    backend = backends.get(kind)
    if backend is None:
        known = ", ".join(sorted(backends))
        raise InvalidInput.of("invocationMethod.type", kind, f"one of {known}")
    if problems := compile_schema(backend.schema).problems(method):
        first = problems[0]
        field = _field(first)
        raise InvalidInput(
            f"{field}: {first.message}",
            details={
                "field": field,
                "value": first.value,
                "expected": first.expected,
                "problems": [{**one.as_dict(), "path": _field(one)} for one in problems],
            },
        )
    backend.check(method)


def _field(problem: Problem) -> str:
    return f"invocationMethod.{problem.path}" if problem.path else "invocationMethod"


def _at(error: InvalidQuery, old: str, new: str) -> InvalidQuery:
    """The error with the name of the query as the action calls it."""
    field = str(error.details.get("field", old))
    renamed = new + field.removeprefix(old) if field.startswith(old) else field
    return InvalidQuery(
        error.message.replace(field, renamed, 1),
        hint=error.hint,
        details={**error.details, "field": renamed},
    )


def _blueprint(trigger: Mapping[str, Any]) -> Blueprint | None:
    """The one that the trigger, or its event, names. Raises NotFound."""
    event = trigger.get("event")
    name = trigger.get("blueprintIdentifier") or (
        event.get("blueprintIdentifier") if isinstance(event, Mapping) else None
    )
    if not isinstance(name, str) or not name:
        return None
    found = Blueprint.objects.filter(identifier=name).first() if is_storable(name) else None
    if found is None:
        error = NotFound.of("Blueprint", name)
        error.hint = f'Create the blueprint "{shorten(name)}" first.'
        raise error
    return found

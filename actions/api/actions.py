"""/v1/actions, and the older form of the same under /v1/blueprints/{blueprint}/actions."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from actions.models import Action
from actions.services import definitions
from catalog.api import params
from catalog.api.base import ApiView, get_blueprint, ok, signed
from catalog.api.openapi import OBJECT, documented, envelope, flag, list_of, query
from catalog.api.permissions import GRANT
from catalog.services import permissions

TAG = "Actions"
_ACTION = envelope(action=OBJECT)
_LIST = {200: envelope(actions=list_of(OBJECT))}
_WRITING = [403, 404, 409, 422]
_PERMISSIONS = {"type": "object", "properties": {"execute": GRANT, "approve": GRANT}}


class ActionList(ApiView):
    @documented(
        "list_actions",
        "List actions",
        tag=TAG,
        params=[
            query("action_identifier", "Only the one with this identifier."),
            query("blueprint_identifier", "Only those about this blueprint."),
            query("operation", "`CREATE`, `DAY-2` or `DELETE`."),
            flag("published", "Only those that are published, or (false) that are not."),
            query("trigger_type", "`self-service` or `automation`."),
            query("trigger_event", "Only automations on this event."),
        ],
        answers=_LIST,
    )
    def get(self, request: Request) -> Response:
        identifier = params.text(request, "action_identifier", limit=1000)
        blueprint = params.text(request, "blueprint_identifier")
        found = Action.objects.select_related("blueprint")
        if identifier:
            found = found.filter(identifier=identifier)
        if blueprint:
            found = found.filter(blueprint__identifier=blueprint)
        operation, kind, event = (
            params.text(request, name) for name in ("operation", "trigger_type", "trigger_event")
        )
        published = params.text(request, "published").lower()
        return ok(
            actions=[
                _document(action)
                for action in found
                if (not operation or action.trigger.get("operation") == operation)
                and (not kind or action.trigger.get("type") == kind)
                and (not event or _event(action) == event)
                and (not published or action.is_published is (published != "false"))
            ]
        )

    @documented(
        "create_action",
        "Create an action",
        tag=TAG,
        body=OBJECT,
        answers={201: _ACTION},
        errors=_WRITING,
    )
    def post(self, request: Request) -> Response:
        permissions.require_admin(self.principal, "create actions")
        made = definitions.create_action(params.body_object(request), actor=self.actor)
        return ok(201, action=_document(made))


class ActionDetail(ApiView):
    @documented(
        "get_action",
        "Get an action",
        tag=TAG,
        path=["action"],
        answers={200: _ACTION},
        errors=[404],
    )
    def get(self, request: Request, action: str) -> Response:
        return ok(action=_document(definitions.get_action(action)))

    @documented(
        "replace_action",
        "Replace an action",
        tag=TAG,
        path=["action"],
        body=OBJECT,
        answers={200: _ACTION},
        errors=_WRITING,
    )
    def put(self, request: Request, action: str) -> Response:
        permissions.require_admin(self.principal, "change actions")
        body = params.body_object(request)
        return ok(action=_document(definitions.replace_action(action, body, actor=self.actor)))

    @documented(
        "delete_action",
        "Delete an action",
        tag=TAG,
        path=["action"],
        answers={200: envelope()},
        errors=[403, 404],
        description="Its runs stay.",
    )
    def delete(self, request: Request, action: str) -> Response:
        permissions.require_admin(self.principal, "delete actions")
        definitions.delete_action(action, actor=self.actor)
        return ok()


class ActionPermissions(ApiView):
    @documented(
        "get_action_permissions",
        "Get who may run and approve an action",
        tag=TAG,
        path=["action"],
        answers={200: envelope(permissions=_PERMISSIONS)},
        errors=[404],
    )
    def get(self, request: Request, action: str) -> Response:
        found = definitions.get_action(action)
        return ok(permissions=definitions.permissions_document(found))

    @documented(
        "patch_action_permissions",
        "Change who may run and approve an action",
        tag=TAG,
        path=["action"],
        body=_PERMISSIONS,
        body_is_optional=True,
        answers={200: envelope(permissions=_PERMISSIONS)},
        errors=[403, 404, 422],
        description="Only the keys given change. A `policy` is refused: none is evaluated.",
    )
    def patch(self, request: Request, action: str) -> Response:
        permissions.require_admin(self.principal, "change permissions")
        body = params.body_object(request, may_be_empty=True)
        return ok(permissions=definitions.update_permissions(action, body, actor=self.actor))


class BlueprintActionList(ApiView):
    @documented(
        "list_blueprint_actions",
        "List the actions about a blueprint",
        tag=TAG,
        path=["blueprint"],
        answers=_LIST,
        errors=[404],
    )
    def get(self, request: Request, blueprint: str) -> Response:
        found = get_blueprint(blueprint)
        actions = Action.objects.select_related("blueprint").filter(blueprint=found)
        return ok(actions=[_document(action) for action in actions])

    @documented(
        "create_blueprint_action",
        "Create an action about a blueprint",
        tag=TAG,
        path=["blueprint"],
        body=OBJECT,
        answers={201: _ACTION},
        errors=_WRITING,
    )
    def post(self, request: Request, blueprint: str) -> Response:
        permissions.require_admin(self.principal, "create actions")
        made = definitions.create_action(
            params.body_object(request), actor=self.actor, blueprint=blueprint
        )
        return ok(201, action=_document(made))


class BlueprintActionDetail(ApiView):
    @documented(
        "get_blueprint_action",
        "Get an action about a blueprint",
        tag=TAG,
        path=["blueprint", "action"],
        answers={200: _ACTION},
        errors=[404],
    )
    def get(self, request: Request, blueprint: str, action: str) -> Response:
        return ok(action=_document(definitions.get_action(action, blueprint=blueprint)))

    @documented(
        "replace_blueprint_action",
        "Replace an action about a blueprint",
        tag=TAG,
        path=["blueprint", "action"],
        body=OBJECT,
        answers={200: _ACTION},
        errors=_WRITING,
    )
    def put(self, request: Request, blueprint: str, action: str) -> Response:
        permissions.require_admin(self.principal, "change actions")
        changed = definitions.replace_action(
            action, params.body_object(request), actor=self.actor, blueprint=blueprint
        )
        return ok(action=_document(changed))

    @documented(
        "delete_blueprint_action",
        "Delete an action about a blueprint",
        tag=TAG,
        path=["blueprint", "action"],
        answers={200: envelope()},
        errors=[403, 404],
    )
    def delete(self, request: Request, blueprint: str, action: str) -> Response:
        permissions.require_admin(self.principal, "delete actions")
        definitions.delete_action(action, actor=self.actor, blueprint=blueprint)
        return ok()


def _document(action: Action) -> dict[str, Any]:
    """As it was sent; the blueprint of the trigger, or of its event, by the name it has now."""
    trigger = dict(action.trigger)
    if action.blueprint:
        name = {"blueprintIdentifier": action.blueprint.identifier}
        is_own = trigger.get("blueprintIdentifier")
        trigger |= name if is_own else {"event": {**trigger["event"], **name}}
    return {
        "id": f"action_{action.pk}",
        "identifier": action.identifier,
        **action.document,
        "trigger": trigger,
        **signed(action),
    }


def _event(action: Action) -> str:
    event = action.trigger.get("event")
    return str(event.get("type")) if isinstance(event, dict) else str(event or "")

"""/v1/actions, and the older form of the same under /v1/blueprints/{blueprint}/actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.http import HttpResponse
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from actions.models import Action, ActionVersion
from actions.scaffolder import template_actions
from actions.selectors.actions import ActionQuery, matching
from actions.services import definitions, importing
from actions.services.access import Access, permissions_document
from actions.services.handing_over import masked
from actions.services.templating import credentials_in
from catalog.api import params
from catalog.api.base import ApiView, get_blueprint, ok, signed
from catalog.api.openapi import OBJECT, documented, envelope, flag, list_of, query
from catalog.api.parsers import JSONParser, read_up_to
from catalog.api.permissions import GRANT
from catalog.kernel.errors import InvalidRequest
from catalog.kernel.yaml_writer import write_yaml_documents
from catalog.selectors.documents import timestamp
from catalog.services import documents, permissions

TAG = "Actions"
_TEXT = {"type": "string"}
_COUNT = {"type": "integer"}
_ACTION = envelope(action=OBJECT)
_LIST = {200: envelope(actions=list_of(OBJECT))}
_WRITING = [403, 404, 409, 422]
_POLICY = {
    "type": ["object", "null"],
    "properties": {
        "queries": {"type": "object", "additionalProperties": OBJECT},
        "conditions": list_of(_TEXT),
    },
}
_GRANT = {**GRANT, "properties": {**GRANT["properties"], "policy": _POLICY}}
_PERMISSIONS = {"type": "object", "properties": {"execute": _GRANT, "approve": _GRANT}}
_VERSION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "version": _COUNT,
        "createdAt": {"type": "string", "format": "date-time"},
        "createdBy": _TEXT,
    },
    "required": ["version", "createdAt", "createdBy"],
}
_REPORT = envelope(
    actions=list_of(
        {
            "type": "object",
            "properties": {
                "place": _TEXT,
                "identifier": _TEXT,
                "status": {"type": "string", "enum": list(importing.Status)},
                "reason": _TEXT,
            },
            "required": ["place", "identifier", "status"],
        }
    ),
    counts={"type": "object", "additionalProperties": _COUNT},
)


class ActionView(ApiView):
    """What is not visible to the caller is not found, whatever is asked of it."""

    @property
    def access(self) -> Access:
        return Access(self.principal)

    def action(self, identifier: str, *, blueprint: str | None = None) -> Action:
        found = definitions.get_action(identifier, blueprint=blueprint)
        self.access.require_see(found)
        return found

    def shown(self, document: dict[str, Any]) -> dict[str, Any]:
        """A document as the caller may see it: only admins see credentials that were typed into
        the method instead of being named as secrets."""
        method = document["invocationMethod"]
        if self.access.standing.is_admin or not (hidden := credentials_in(method)):
            return document
        return {**document, "invocationMethod": masked(method, hidden)}


class ActionList(ActionView):
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
            query(
                "trigger_event_action_identifier", "Only automations on the runs of this action."
            ),
        ],
        answers=_LIST,
        description="Admins get all; others what is published and what they may run or approve.",
    )
    def get(self, request: Request) -> Response:
        published = params.text(request, "published").lower()
        wanted = ActionQuery(
            identifier=params.text(request, "action_identifier", limit=1000),
            blueprint=params.text(request, "blueprint_identifier"),
            operation=params.text(request, "operation"),
            trigger_type=params.text(request, "trigger_type"),
            event=params.text(request, "trigger_event"),
            event_action=params.text(request, "trigger_event_action_identifier", limit=1000),
            is_published=published != "false" if published else None,
        )
        found = matching(self.access.visible_actions(), wanted)
        return ok(actions=[self.shown(_document(action)) for action in found])

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


class ActionDetail(ActionView):
    @documented(
        "get_action",
        "Get an action",
        tag=TAG,
        path=["action"],
        params=[query("version", "As it was then: the number of a version.")],
        answers={200: _ACTION},
        errors=[404],
    )
    def get(self, request: Request, action: str) -> Response:
        found = self.action(action)
        version = params.text(request, "version")
        if not version.isdecimal():  # clients send "v2" here, which means the form of the answer
            return ok(action=self.shown(_document(found)))
        then = definitions.get_version(found, _number(version))
        return ok(action=self.shown(_as_of(found, then)))

    @documented(
        "replace_action",
        "Replace an action",
        tag=TAG,
        path=["action"],
        body=OBJECT,
        answers={200: _ACTION},
        errors=_WRITING,
        description="Of one that is made from a software template, only what is not the "
        f"template's to say: `{'`, `'.join(template_actions.SETTINGS)}`.",
    )
    def put(self, request: Request, action: str) -> Response:
        permissions.require_admin(self.principal, "change actions")
        body = params.body_object(request)
        found = definitions.get_action(action)
        if found.template_id is not None and _is_about_settings(found, body):
            settings = {key: body.get(key) for key in template_actions.SETTINGS}
            changed = template_actions.change_settings(action, settings, actor=self.actor)
        else:
            changed = definitions.replace_action(action, body, actor=self.actor)
        return ok(action=_document(changed))

    @documented(
        "delete_action",
        "Delete an action",
        tag=TAG,
        path=["action"],
        answers={200: envelope()},
        errors=[403, 404, 409],
        description="Its runs stay.",
    )
    def delete(self, request: Request, action: str) -> Response:
        permissions.require_admin(self.principal, "delete actions")
        definitions.delete_action(action, actor=self.actor)
        return ok()


class ActionVersions(ActionView):
    @documented(
        "list_action_versions",
        "List what an action has said",
        tag=TAG,
        path=["action"],
        answers={200: envelope(versions=list_of(_VERSION))},
        errors=[404],
        description="Newest first. `GET /v1/actions/{action}?version=` shows one.",
    )
    def get(self, request: Request, action: str) -> Response:
        found = definitions.versions_of(self.action(action)).defer("document")
        return ok(versions=[_about(version) for version in found])


class ActionRestore(ActionView):
    @documented(
        "restore_action_version",
        "Let an action say again what it said",
        tag=TAG,
        path=["action", "version"],
        answers={200: _ACTION},
        errors=_WRITING,
        description="As a new version, which is checked like any other change.",
    )
    def post(self, request: Request, action: str, version: str) -> Response:
        permissions.require_admin(self.principal, "change actions")
        restored = definitions.restore_version(action, _number(version), actor=self.actor)
        return ok(action=_document(restored))


class ActionPermissions(ActionView):
    @documented(
        "get_action_permissions",
        "Get who may run and approve an action",
        tag=TAG,
        path=["action"],
        answers={200: envelope(permissions=_PERMISSIONS)},
        errors=[404],
    )
    def get(self, request: Request, action: str) -> Response:
        return ok(permissions=permissions_document(self.action(action)))

    @documented(
        "patch_action_permissions",
        "Change who may run and approve an action",
        tag=TAG,
        path=["action"],
        body=_PERMISSIONS,
        body_is_optional=True,
        answers={200: envelope(permissions=_PERMISSIONS)},
        errors=[403, 404, 422],
        description="Only the keys given change. A `policy` narrows down who may run it, and names "
        "further approvers; null takes it away.",
    )
    def patch(self, request: Request, action: str) -> Response:
        permissions.require_admin(self.principal, "change permissions")
        body = params.body_object(request, may_be_empty=True)
        return ok(permissions=definitions.update_permissions(action, body, actor=self.actor))


class YamlText(BaseParser):
    """A body of YAML, as text."""

    media_type = "application/yaml"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return read_up_to(importing.MAX_BYTES, stream)


class ActionImport(ApiView):
    parser_classes = [JSONParser, YamlText]

    @documented(
        "import_actions",
        "Import actions",
        tag=TAG,
        params=[flag("dry_run", "Only say what would become of them.")],
        body={"anyOf": [OBJECT, list_of(OBJECT)]},
        answers={200: _REPORT},
        errors=[403, 422],
        description="One action, a list, or an object with `actions`, as JSON; or YAML, with the "
        "content type `application/yaml`. Each is stored or refused for itself.",
    )
    def post(self, request: Request) -> Response:
        permissions.require_admin(self.principal, "import actions")
        body = request.data
        if isinstance(body, bytes):
            found = importing.read_text(body, name="yaml")
        elif isinstance(body, list):
            found = importing.read_json(body)
        else:
            found = importing.read_json(params.body_object(request))
        report = importing.import_actions(
            found, actor=self.actor, is_dry_run=params.flag(request, "dry_run")
        )
        return ok(actions=[one.as_dict() for one in report.items], counts=report.counts)


class ActionExport(ApiView):
    @documented(
        "export_actions",
        "Export all actions",
        tag=TAG,
        params=[query("format", "`json`, or `yaml` for a text of many documents.")],
        answers=_LIST,
        errors=[400, 403],
        description="With their permissions, as `POST /v1/actions/import` reads them. Those made "
        "from software templates are left out.",
    )
    def get(self, request: Request) -> HttpResponse:
        permissions.require_admin(self.principal, "export actions")
        wanted = params.text(request, "format") or "json"
        if wanted not in ("json", "yaml"):
            raise InvalidRequest(
                f'format is "{wanted}"; expected json or yaml',
                details={"field": "format", "value": wanted, "expected": "json or yaml"},
            )
        found = importing.exported(
            Action.objects.select_related("blueprint").order_by("identifier")
        )
        if wanted == "yaml":
            return HttpResponse(write_yaml_documents(found), content_type="application/yaml")
        return ok(actions=list(found))


class BlueprintActionList(ActionView):
    @documented(
        "list_blueprint_actions",
        "List the actions about a blueprint",
        tag=TAG,
        path=["blueprint"],
        answers=_LIST,
        errors=[404],
    )
    def get(self, request: Request, blueprint: str) -> Response:
        found = ActionQuery(blueprint=get_blueprint(blueprint).identifier)
        actions = matching(self.access.visible_actions(), found)
        return ok(actions=[self.shown(_document(action)) for action in actions])

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


class BlueprintActionDetail(ActionView):
    @documented(
        "get_blueprint_action",
        "Get an action about a blueprint",
        tag=TAG,
        path=["blueprint", "action"],
        answers={200: _ACTION},
        errors=[404],
    )
    def get(self, request: Request, blueprint: str, action: str) -> Response:
        found = self.action(action, blueprint=blueprint)
        return ok(action=self.shown(_document(found)))

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
        errors=[403, 404, 409],
    )
    def delete(self, request: Request, blueprint: str, action: str) -> Response:
        permissions.require_admin(self.principal, "delete actions")
        definitions.delete_action(action, actor=self.actor, blueprint=blueprint)
        return ok()


def _is_about_settings(action: Action, body: Mapping[str, Any]) -> bool:
    """Whether all that comes from the template is as it is."""
    shown = _document(action)
    return all(
        documents.is_same(value, shown.get(key))
        for key, value in body.items()
        if key not in template_actions.SETTINGS and key not in documents.ADDED
    )


def _document(action: Action) -> dict[str, Any]:
    return {
        "id": f"action_{action.pk}",
        "identifier": action.identifier,
        **importing.shown_document(action),
        **signed(action),
    }


def _as_of(action: Action, version: ActionVersion) -> dict[str, Any]:
    """What the action said then, word for word."""
    return {
        "id": f"action_{action.pk}",
        "identifier": action.identifier,
        **version.document,
        **signed(action),
        "updatedAt": timestamp(version.created_at),
        "updatedBy": version.created_by,
    }


def _about(version: ActionVersion) -> dict[str, Any]:
    return {
        "version": version.number,
        "createdAt": timestamp(version.created_at),
        "createdBy": version.created_by,
    }


def _number(value: str) -> int:
    """The number of a version; 0, which is none, for what cannot be one."""
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else 0

"""The OpenAPI document of all APIs, at /schema/, and Swagger UI on it, at /schema/ui/."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework.permissions import AllowAny
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request

from catalog.api.backstage.base import BackstageView
from catalog.api.backstage.errors import JSON
from catalog.api.base import ApiView
from catalog.api.openapi import COMPONENTS, OPTIONAL_BODY
from scorecards.api.cortex.errors import COMPONENTS as CORTEX_COMPONENTS

_CATALOG = "/api/catalog"

Endpoint = tuple[str, str, str, Callable[..., Any]]

_ORGANIZATION_BODY = {
    "name": {"type": "string", "minLength": 1, "maxLength": 100},
    "settings": {
        "type": "object",
        "properties": {
            "hiddenBlueprints": {"type": "array", "items": {"type": "string"}},
            "portalTitle": {"type": ["string", "null"], "maxLength": 30},
            "portalIcon": {"type": ["string", "null"]},
            "federatedLogout": {"type": "boolean"},
        },
    },
    "announcement": {
        "type": ["object", "null"],
        "properties": {
            "enabled": {"type": "boolean"},
            "content": {"type": ["string", "null"], "maxLength": 300},
            "link": {"type": ["string", "null"]},
            "color": {"enum": ["blue", "red", None]},
        },
    },
}
_COMPONENTS: dict[str, Any] = {
    **COMPONENTS,
    **CORTEX_COMPONENTS,
    "OrganizationBody": {"type": "object", "properties": _ORGANIZATION_BODY},
    "Organization": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "isBlocked": {"type": "boolean"},
            "featureFlags": {"type": "array", "items": {"type": "string"}},
            **_ORGANIZATION_BODY,
            "createdAt": {"type": "string", "format": "date-time"},
            "updatedAt": {"type": "string", "format": "date-time"},
        },
        "required": ["id", "name", "isBlocked", "featureFlags", "settings"],
    },
}


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "idp.auth.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def only_documented(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Hook: leave out methods that a view has for other reasons than being called by them."""

    def is_shown(endpoint: Endpoint) -> bool:
        methods = getattr(endpoint[3].cls, "documented_methods", None)  # type: ignore[attr-defined]
        return methods is None or endpoint[2] in methods

    return [endpoint for endpoint in endpoints if is_shown(endpoint)]


def with_components(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Hook: add the schemas that routes refer to, and say which bodies must be there."""
    for methods in result.get("paths", {}).values():
        for operation in methods.values():
            is_optional = operation.pop(OPTIONAL_BODY, False)
            if "requestBody" in operation:
                operation["requestBody"]["required"] = not is_optional
    components = result.setdefault("components", {})
    components["schemas"] = dict(sorted({**components.get("schemas", {}), **_COMPONENTS}.items()))
    return result


class Schema(ApiView):
    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """YAML with `?format=yaml`, else JSON."""
        if request.query_params.get("format") == "yaml":
            return HttpResponse(document_yaml(), content_type="application/yaml")
        return HttpResponse(_json(), content_type="application/json")


class CatalogSchema(BackstageView):
    """What is below /api/catalog, described where Backstage's plugins describe themselves."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(_catalog_json(), content_type=JSON)


class Docs(SpectacularSwaggerView):
    """For people: those who are not logged in are sent to the log-in page."""

    url_name = "schema"
    template_name = "portal/api.html"
    renderer_classes = [TemplateHTMLRenderer]
    permission_classes = [AllowAny]


docs = login_required(Docs.as_view())


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document. It never changes while a process lives."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


@cache
def _json() -> bytes:
    return orjson.dumps(document())


@cache
def _catalog_json() -> bytes:
    whole = document()
    paths = {
        path.removeprefix(_CATALOG): methods
        for path, methods in whole["paths"].items()
        if path.startswith(f"{_CATALOG}/")
    }
    return orjson.dumps({**whole, "servers": [{"url": _CATALOG}], "paths": paths})


@cache
def document_yaml() -> bytes:
    """As it is kept in docs/openapi.yaml."""
    rendered: bytes = OpenApiYamlRenderer().render(document(), renderer_context={})
    return rendered

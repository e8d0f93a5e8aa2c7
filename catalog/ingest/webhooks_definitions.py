"""Definitions of generic webhooks as Port's API takes and shows them.

{"identifier", "title", "description", "icon", "enabled", "integrationType", "mappings",
"security": {"secret", "signatureHeaderName", "signatureAlgorithm", "signaturePrefix",
"requestIdentifierPath"}}. The secret goes in and does not come out; the name of one (`${NAME}`)
is none, and does.
"""

from __future__ import annotations

import re
import secrets as random
from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet

from catalog.ingest import webhooks
from catalog.kernel.actors import Actor
from catalog.kernel.crypto import SealingFailed
from catalog.kernel.errors import InvalidInput, NotFound, shorten
from catalog.kernel.identifiers import is_storable
from catalog.models import Integration
from catalog.registry import source_kinds
from catalog.services import secrets
from catalog.services.integrations import (
    WEBHOOK_SETTINGS,
    create_integration,
    rename_integration,
    update_integration,
)

MAX_IDENTIFIER: Final = 30
MAX_TITLE: Final = 30
MAX_DESCRIPTION: Final = 200
DEFAULT_TYPE: Final = "custom"

_SECURITY: Final = tuple(WEBHOOK_SETTINGS["properties"])
_REFERENCE: Final = re.compile(r"\$\{[A-Za-z0-9_-]+\}")


def all_webhooks() -> QuerySet[Integration]:
    return Integration.objects.filter(kind=Integration.WEBHOOK).order_by("identifier")


def get_webhook(identifier: str) -> Integration:
    """Raises NotFound."""
    found = None
    if is_storable(identifier):
        found = all_webhooks().filter(identifier=identifier).first()
    if found is None:
        raise NotFound.of("Webhook", identifier)
    return found


def create_webhook(body: Mapping[str, Any], *, actor: Actor) -> Integration:
    """Add a webhook; an identifier is made up where there is none.

    Raises AlreadyExists, InvalidInput (naming the field), InvalidMapping.
    """
    given = _checked(body, needs_all=True)
    identifier = given.pop("identifier", None) or f"webhook-{random.token_hex(6)}"
    security = _security(body.get("security"), None)
    with transaction.atomic():
        made = create_integration(
            identifier=identifier,
            kind=Integration.WEBHOOK,
            actor=actor,
            **{"mapping": {"mappings": []}, **given, **security},
        )
        return _typed(made, body.get("integrationType"))


def replace_webhook(
    integration: Integration, body: Mapping[str, Any], *, actor: Actor
) -> Integration:
    """Make a webhook what the body says; what it does not say is reset. Its key stays.

    Raises AlreadyExists, InvalidInput, InvalidMapping.
    """
    nothing = {"description": "", "icon": "", "mapping": {"mappings": []}}
    given = {**nothing, **_checked(body, needs_all=True)}
    changed = _change(integration, given, _security(body.get("security"), None), actor)
    return _typed(changed, body.get("integrationType"))


def patch_webhook(
    integration: Integration, body: Mapping[str, Any], *, actor: Actor
) -> Integration:
    """Change what the body says. Raises AlreadyExists, InvalidInput, InvalidMapping."""
    security = _security(body["security"], integration) if "security" in body else {}
    changed = _change(integration, _checked(body, needs_all=False), security, actor)
    is_typed = "integrationType" in body
    return _typed(changed, body["integrationType"]) if is_typed else changed


def webhook_document(integration: Integration) -> dict[str, Any]:
    """The definition as it was sent; null for what was not."""
    kind = source_kinds.get(Integration.WEBHOOK)
    is_own_icon = integration.icon and (kind is None or integration.icon != kind.icon)
    return {
        "identifier": integration.identifier,
        "title": integration.title,
        "description": integration.description or None,
        "icon": integration.icon if is_own_icon else None,
        "enabled": integration.is_enabled,
        "integrationType": integration.attributes.get("integrationType", DEFAULT_TYPE),
        "mappings": integration.mapping.get("mappings", []),
        "security": _shown_security(integration),
    }


def _change(
    integration: Integration, given: dict[str, Any], security: dict[str, Any], actor: Actor
) -> Integration:
    identifier = given.pop("identifier", None)
    with transaction.atomic():
        if identifier and identifier != integration.identifier:
            integration = rename_integration(integration, identifier, actor=actor)
        return update_integration(integration, actor=actor, **given, **security)


def _typed(integration: Integration, value: str | None) -> Integration:
    """Keep Port's `integrationType`, which means nothing here and is answered as it was sent."""
    attributes = {} if value is None else {"integrationType": value}
    if integration.attributes != attributes:
        integration.attributes = attributes
        integration.save(update_fields=["attributes"])
    return integration


def _checked(body: Mapping[str, Any], *, needs_all: bool) -> dict[str, Any]:
    """The parts of a body, by what integrations call them. Raises InvalidInput."""
    given: dict[str, Any] = {}
    if body.get("identifier") is not None:
        given["identifier"] = _text(body, "identifier", MAX_IDENTIFIER, low=1)
    if needs_all or "title" in body:
        given["title"] = _text(body, "title", MAX_TITLE, low=1)
    for name, limit in (("description", MAX_DESCRIPTION), ("icon", 100)):
        if name in body:
            given[name] = "" if body[name] is None else _text(body, name, limit)
    if needs_all or "enabled" in body:
        if not isinstance(body.get("enabled"), bool):
            raise _wrong(body, "enabled", "true or false")
        given["is_enabled"] = body["enabled"]
    if body.get("integrationType") is not None:
        _text(body, "integrationType", 100)
    if "mappings" in body:
        mappings = body["mappings"]
        if mappings is not None and not isinstance(mappings, list):
            raise _wrong(body, "mappings", "a list of mappings")
        given["mapping"] = {"mappings": mappings or []}
        webhooks.parse(given["mapping"])
    return given


def _security(given: Any, integration: Integration | None) -> dict[str, Any]:
    """`settings` that make a webhook's security what a body says, upon those of `integration`
    where only some of it is to change. Raises InvalidInput, InvalidMapping, InvalidExpression."""
    if given is not None and not isinstance(given, Mapping):
        raise _wrong({"security": given}, "security", "an object, or null")
    wanted = {name: value for name, value in (given or {}).items() if name in _SECURITY}
    for name, value in wanted.items():
        if value is not None and not isinstance(value, str):
            shown = {} if name == "secret" else {"value": shorten(value)}
            raise InvalidInput(
                f"security.{name} must be text, or null",
                details={"field": f"security.{name}", "expected": "text, or null", **shown},
            )
    algorithm = wanted.get("signatureAlgorithm")
    allowed = WEBHOOK_SETTINGS["properties"]["signatureAlgorithm"]["enum"]
    if algorithm not in allowed:
        names = ", ".join(one for one in allowed if one)
        raise InvalidInput(
            f'security.signatureAlgorithm is "{shorten(algorithm)}"; expected one of: {names}',
            details={
                "field": "security.signatureAlgorithm",
                "value": shorten(algorithm),
                "expected": f"one of: {names}",
            },
        )
    before, has_secret = {}, False
    if integration is not None and given is not None:
        before = dict(integration.settings)
        has_secret = "secret" in secrets.names_of_sealed(integration.sealed)
    if integration is None or given is None:
        wanted.setdefault("secret", None)  # left out, it would stay
    if wanted.get("secret") != secrets.MASK:
        has_secret = bool(wanted["secret"]) if "secret" in wanted else has_secret
    settings = {**before, **wanted}
    webhooks.check_security(settings, has_secret=has_secret)
    return {"settings": settings}


def _shown_security(integration: Integration) -> dict[str, Any] | None:
    shown = secrets.masked_settings(integration.settings, integration.sealed)
    if not shown:
        return None
    if "secret" in shown:
        try:
            secret = str(secrets.open_settings(integration.sealed)["secret"])
        except SealingFailed:
            secret = ""
        if _REFERENCE.fullmatch(secret):
            shown["secret"] = secret
    return {name: shown.get(name) for name in _SECURITY}


def _text(body: Mapping[str, Any], name: str, high: int, *, low: int = 0) -> str:
    value = body.get(name)
    expected = f"text of {low} to {high} characters"
    if not isinstance(value, str) or not low <= len(value) <= high or not is_storable(value):
        raise _wrong(body, name, expected)
    return value


def _wrong(body: Mapping[str, Any], name: str, expected: str) -> InvalidInput:
    fault = f"is {shorten(body[name])}" if name in body else "is missing"
    return InvalidInput(
        f"{name} {fault}; expected {expected}",
        details={"field": name, "value": shorten(body.get(name)), "expected": expected},
    )

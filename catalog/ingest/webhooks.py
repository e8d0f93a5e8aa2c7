"""Generic webhooks: any program that sends JSON, understood by mappings of its own (Port's).

A mapping sees {"body", "headers" (lower-case names), "queryParams"}, and with `itemsToParse` each
element as `item`. Mappings are carried out in their order, all in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from django.db import transaction

from catalog.ingest.live_writing import Deed, Step, Writer
from catalog.ingest.mapping import WEBHOOK, ResourceMapping, map_items, parse_mapping, preview
from catalog.ingest.mapping import Mapping as SourceMapping
from catalog.ingest.messages import Log
from catalog.kernel import jq
from catalog.kernel.errors import (
    InvalidExpression,
    InvalidMapping,
    InvalidRequest,
    NotAuthenticated,
)
from catalog.kernel.json_text import parse_json
from catalog.kernel.signatures import check_proof
from catalog.kernel.source import Event
from catalog.models import Integration

MAX_BODY_BYTES: Final = 512 * 1024  # Port's limit

_FORM: Final = "application/x-www-form-urlencoded"


def read_body(event: Event) -> Any:
    """The body as JSON: also inside a form's `payload`, as GitHub and Slack can send it. A form
    without that is an object of its fields, an empty body an empty object.

    Raises InvalidRequest.
    """
    if event.headers.get("content-type", "").lower().startswith(_FORM):
        try:
            fields = dict(parse_qsl(event.body.decode(), keep_blank_values=True))
        except ValueError as error:  # no UTF-8, or too many fields
            raise InvalidRequest(f"The body is not a readable form: {error}") from None
        return parse_json(fields["payload"].encode()) if "payload" in fields else fields
    return parse_json(event.body) if event.body.strip() else {}


def as_input(event: Event) -> dict[str, Any]:
    """What the JQ of mappings works on. Raises InvalidRequest."""
    return {
        "body": read_body(event),
        "headers": dict(event.headers),
        "queryParams": dict(event.query),
    }


def verify(event: Event, security: Mapping[str, Any]) -> None:
    """Check the sender's proof, as `security` asks for it; nothing asked for lets everybody in.

    security: Port's ({"secret", "signatureHeaderName", "signatureAlgorithm", "signaturePrefix"}),
    in clear. Raises NotAuthenticated.
    """
    algorithm = security.get("signatureAlgorithm") or ""
    secret = security.get("secret") or ""
    name = security.get("signatureHeaderName") or ""
    if not (algorithm or secret or name):
        return
    if not (algorithm and secret and name):  # an empty secret would let anybody sign
        raise NotAuthenticated("This webhook has no whole security settings, so nothing is trusted")
    prefix = security.get("signaturePrefix") or ""
    check_proof(event, secret, header=name, prefix=prefix, algorithm=algorithm)


def delivery(event: Event, security: Mapping[str, Any]) -> str:
    """The sender's name of the delivery, by `requestIdentifierPath`; "" where it gives none."""
    path = security.get("requestIdentifierPath")
    if not path:
        return ""
    try:
        found = jq.evaluate(path, as_input(event))
    except (InvalidExpression, InvalidRequest):
        return ""
    is_name = isinstance(found, str | int) and not isinstance(found, bool)
    return str(found) if is_name else ""


def check_security(security: Mapping[str, Any], *, has_secret: bool) -> None:
    """Raises InvalidMapping (naming the field) for settings with which nothing could be verified.

    has_secret: whether one is set, here or from before.
    """
    parts = {
        "security.secret": has_secret,
        "security.signatureHeaderName": bool(security.get("signatureHeaderName")),
        "security.signatureAlgorithm": bool(security.get("signatureAlgorithm")),
    }
    missing = [name for name, is_given in parts.items() if not is_given]
    if 0 < len(missing) < len(parts):
        given = ", ".join(name for name in parts if name not in missing)
        raise InvalidMapping(
            f"{missing[0]} is missing; it is needed with {given}",
            details={"field": missing[0], "expected": "all three, or none"},
        )
    if path := security.get("requestIdentifierPath"):
        jq.check(path, field="security.requestIdentifierPath")


def parse(document: Any, *, compile_all: bool = True) -> SourceMapping:
    """The mappings of a webhook ({"mappings": […]}; {} has none). Raises InvalidMapping."""
    if document and "mappings" not in document:
        raise InvalidMapping(
            "mappings is missing; expected a list",
            details={"field": "mappings", "expected": "a list of mappings"},
        )
    if not document:
        return SourceMapping(())
    return parse_mapping(document, compile_all=compile_all)


def steps_of(mapping: SourceMapping, given: Mapping[str, Any], writer: Writer) -> list[Step]:
    """The steps that the mappings want for one event, in their order."""
    steps = []
    for resource in mapping.resources:
        mapped = map_items(resource, [given])
        writer.note_problems(resource, mapped, [given])
        steps.append(_step(resource, mapped.entities, given))
    return steps


def sample_event(body: Any, headers: Mapping[str, str], query: Mapping[str, str]) -> Event:
    """An event that brings `body` (JSON), for `try_out`. headers: names in any case."""
    named = {name.lower(): value for name, value in headers.items()}
    return Event({**named, "content-type": "application/json"}, query, orjson.dumps(body))


def try_out(
    integration: Integration, document: Mapping[str, Any], event: Event
) -> list[dict[str, Any]]:
    """What mappings would do with a sample; nothing is written.

    integration: may be one that is not stored yet. Returns for each mapping

        {"blueprint", "operation", "selected", "elements",
         "fields": [{"element", "field", "expression", "value", "error"}],
         "entities": [{"blueprint", "body"}], "results": as events have them,
         "problems": [{"field", "message", "expression"}]}

    Raises InvalidMapping, InvalidRequest.
    """
    mapping = parse(document)
    given = as_input(event)
    told = []
    with transaction.atomic():
        for resource in mapping.resources:
            seen = preview(resource, given)
            writer = Writer(
                integration,
                Log(integration),
                run_name="",
                owns_only_what_it_makes=True,
                dry_run=integration.pk is None,
            )
            # All mappings in one transaction that is undone: each sees what those before it did.
            outcome = writer.carry_out([_step(resource, seen.entities, given)])
            told.append(
                {
                    "blueprint": resource.blueprint,
                    "operation": resource.operation,
                    "selected": seen.selected,
                    "elements": seen.elements,
                    "fields": [
                        {
                            "element": row.element,
                            "field": one.field,
                            "expression": one.expression,
                            "value": one.value,
                            "error": one.error,
                        }
                        for row in seen.rows
                        for one in row.fields
                    ],
                    "entities": [
                        {"blueprint": one.blueprint, "body": one.body} for one in seen.entities
                    ],
                    "problems": [
                        {
                            "field": one.field,
                            "message": one.message,
                            "expression": one.expression,
                        }
                        for one in seen.problems
                    ],
                    "results": outcome.results,
                }
            )
        transaction.set_rollback(True)
    return told


def _step(resource: ResourceMapping, entities: Sequence[Any], given: Mapping[str, Any]) -> Step:
    deed = Deed.DELETE if resource.operation == "delete" else Deed.WRITE
    return Step(deed, WEBHOOK, entities, [given], resource.delete_dependents)

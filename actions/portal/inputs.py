"""The inputs of a run, as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from actions.inputs import MASK, Field, definition_of
from actions.inputs.definition import masked
from actions.models import Run
from actions.portal.forms import ActionForm
from catalog.dialects.backstage.mapping import key_of_ref
from catalog.dialects.backstage.refs import RefError, parse_ref
from catalog.kernel.errors import IdpError
from catalog.models import TEAM
from catalog.portal import values
from catalog.portal.links import entity_url, person_url

_HIDDEN = mark_safe('<span class="ui-muted" title="Secret">••••••</span>')


@dataclass(frozen=True, slots=True)
class Input:
    name: str
    title: str
    html: SafeString


def inputs_of(run: Run) -> list[Input]:
    """All of them, with the titles that the action gives them now; secret ones masked."""
    fields = _fields(run)
    return [_input(name, value, fields.get(name)) for name, value in (run.properties or {}).items()]


def shown(drawn: ActionForm) -> list[Input]:
    """What a form was filled in with."""
    fields = drawn.resolved.definition.fields
    return [
        _input(name, masked(fields[name], value) if name in fields else value, fields.get(name))
        for name, value in drawn.values.items()
        if not values.is_empty(value)
    ]


def _fields(run: Run) -> Mapping[str, Field]:
    if run.action is None:
        return {}
    try:
        return definition_of(run.action).now(run.properties).fields
    except IdpError:  # what it asks does not make sense any more; what was given stays readable
        return {}


def _input(name: str, value: Any, field: Field | None) -> Input:
    title = field.title if field else name
    if value == MASK:
        return Input(name, title, _HIDDEN)
    return Input(name, title, _html(value, field))


def _html(value: Any, field: Field | None) -> SafeString:
    if field is None or values.is_empty(value):
        return values.full(value)
    if field.one.pick and (linked := _picked(value, field)):
        return linked
    if isinstance(value, str | int | float) and not isinstance(value, bool) and field.enum_names:
        return values.full(field.name_of(value))
    return values.full(value, _spec(field))


def _spec(field: Field) -> dict[str, Any]:
    """What the property of an entity would be that is shown alike."""
    spec = {**field.schema, "enumColors": field.enum_colors}
    if field.format:
        spec["format"] = field.format
    return {**spec, "items": _spec(field.item)} if field.item else spec


def _picked(value: Any, field: Field) -> SafeString | None:
    """What was picked from the catalogue, linked to its page."""
    found = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
    if not found:
        return None
    links = ((_url(one, field), one) for one in found)
    return format_html(
        '<span class="ui-chips">{}</span>',
        format_html_join(" ", '<a class="ui-link" href="{}">{}</a>', links),
    )


def _url(value: str, field: Field) -> str:
    pick = field.one.pick
    if pick is None or pick.kind == "user":
        return person_url(value)
    if pick.kind == "team":
        return entity_url(TEAM, value)
    if pick.kind == "entity":
        return entity_url(pick.blueprint, value)
    try:
        ref = parse_ref(
            value,
            default_kind=pick.default_kind or None,
            default_namespace=pick.default_namespace or "default",
        )
    except RefError:
        return ""
    return entity_url(*key_of_ref(ref))

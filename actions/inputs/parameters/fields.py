"""How a property of a template's parameters is asked for: from its schema and its `ui:` hints."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from actions.inputs.definition import Field, Pick
from actions.inputs.parameters.schemas import MAX_DEPTH, cleaned, names_in

NAME_PATTERN: Final = "^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
TAG_PATTERN: Final = "^[a-z0-9:+#]+(-[a-z0-9:+#]+)*$"
REPOSITORY_PATTERN: Final = r"^[^?\s]+\?([^&=\s]+=[^&\s]*)(&[^&=\s]+=[^&\s]*)*$"
_LIMITS: Final = (
    "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems",
)  # fmt: skip
_WIDGETS: Final = {
    "textarea": "textarea",
    "password": "password",
    "radio": "radio",
    "select": "select",
    "checkboxes": "checkboxes",
    "checkbox": "checkbox",
    "hidden": "hidden",
    "updown": "number",
    "range": "range",
    "date": "date",
    "alt-date": "date",
    "date-time": "moment",
    "alt-datetime": "moment",
}
_TYPES: Final = {"number": "number", "integer": "number", "boolean": "checkbox"}
_FORMATS: Final = {"date-time": "moment", "date": "date"}
_ALLOWED: Final = (
    "allowedHosts", "allowedOwners", "allowedOrganizations", "allowedProjects", "allowedRepos",
)  # fmt: skip
_OWNERS: Final = ("Group", "User")


def children_of(
    schema: Mapping[str, Any], page: Mapping[str, Any], depth: int = 0
) -> dict[str, Field]:
    """The questions of an object, in the order they are asked in."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    fields = {
        name: field_of(name, one, depth + 1)
        for name, one in properties.items()
        if isinstance(one, Mapping)
    }
    return {name: fields[name] for name in _ordered(list(fields), option(page, "order"))}


def field_of(name: str, schema: Mapping[str, Any], depth: int = 0) -> Field:
    kind = _type(schema)
    item, children = None, {}
    if depth < MAX_DEPTH:
        items = schema.get("items")
        if kind == "array":
            item = field_of(name, items if isinstance(items, Mapping) else {}, depth + 1)
        if kind == "object":
            children = children_of(schema, schema, depth)
    made = _plain(name, schema, kind, item, children)
    special = _SPECIAL.get(str(option(schema, "field") or ""))
    return special(made, schema) if special else made


def option(schema: Mapping[str, Any], key: str) -> Any:
    """A hint for the form: `ui:key`, or the same among `ui:options`, or the schema's own key."""
    options = schema.get("ui:options")
    options = options if isinstance(options, Mapping) else {}
    for place, name in ((schema, f"ui:{key}"), (options, key), (schema, key)):
        if place.get(name) is not None:
            return place[name]
    return None


def _plain(
    name: str,
    schema: Mapping[str, Any],
    kind: str,
    item: Field | None,
    children: Mapping[str, Field],
) -> Field:
    values, names = _choices(schema)
    format_ = schema.get("format") if isinstance(schema.get("format"), str) else ""
    options = schema.get("ui:options")
    backstage = schema.get("ui:backstage")
    review = backstage.get("review") if isinstance(backstage, Mapping) else None
    widget = _widget(schema, kind, format_ or "", values, item, children)
    return Field(
        name=name,
        title=str(option(schema, "title") or name),
        type=kind,
        schema=_schema(schema, item, children),
        format=format_ or "",
        widget=widget,
        description=str(option(schema, "description") or ""),
        help=str(option(schema, "help") or ""),
        placeholder=str(option(schema, "placeholder") or ""),
        default=_default(schema, children),
        enum=values,
        enum_names=names,
        limits={key: schema[key] for key in _LIMITS if schema.get(key) is not None},
        disabled=any(option(schema, key) is True for key in ("disabled", "readonly")),
        item=item,
        children=children,
        required=tuple(names_in(schema.get("required"))),
        options=options if isinstance(options, Mapping) else {},
        review=review if isinstance(review, Mapping) else {},
        is_secret=widget == "password",
        is_autofocus=option(schema, "autofocus") is True,
    )


def _schema(
    schema: Mapping[str, Any], item: Field | None, children: Mapping[str, Field]
) -> dict[str, Any]:
    """What holds for the value, together with what special fields in it add."""
    clean = cleaned(schema)
    if children:
        own = {name: one.schema for name, one in children.items()}
        clean["properties"] = {**clean.get("properties", {}), **own}
    if item is not None and isinstance(clean.get("items"), Mapping):
        clean["items"] = item.schema
    return clean


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), None)
    if isinstance(kind, str):
        return kind
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema else "string"


def _default(schema: Mapping[str, Any], children: Mapping[str, Field]) -> Any:
    """Its own, or those of its parts, where they have some."""
    default = schema.get("default")
    if default is None and "const" in schema:
        default = schema["const"]
    parts = {name: one.default for name, one in children.items() if one.default is not None}
    if parts and (default is None or isinstance(default, Mapping)):
        return {**parts, **(default or {})}
    return default


def _choices(schema: Mapping[str, Any]) -> tuple[list[Any] | None, dict[str, str]]:
    """The values to choose from, and what they are called. Values called by alternatives that are
    nothing but a value and a title are choices, too."""
    values = schema.get("enum")
    if isinstance(values, list):
        names = option(schema, "enumNames")
        if isinstance(names, Mapping):
            return values, {
                json.dumps(value): str(names.get(str(value), value)) for value in values
            }
        pairs = zip(values, _list(names), strict=False)
        return values, {json.dumps(value): str(name) for value, name in pairs}
    for key in ("oneOf", "anyOf"):
        options = schema.get(key)
        if isinstance(options, list) and options and all(_is_choice(one) for one in options):
            return (
                [one["const"] for one in options],
                {
                    json.dumps(one["const"]): str(one.get("title") or one["const"])
                    for one in options
                },
            )
    return None, {}


def _is_choice(one: Any) -> bool:
    return isinstance(one, Mapping) and "const" in one


def _widget(
    schema: Mapping[str, Any],
    kind: str,
    format_: str,
    values: Sequence[Any] | None,
    item: Field | None,
    children: Mapping[str, Field],
) -> str:
    given = _WIDGETS.get(str(option(schema, "widget") or ""))
    if given == "hidden":
        return "hidden"
    if kind == "array":
        return _list_widget(item)
    if kind == "object":
        return "group" if children else "json"
    if kind not in ("string", "number", "integer", "boolean"):
        return "json"
    if kind == "boolean":
        if given in ("radio", "select"):
            return "yes-no"
        return "select" if values else "checkbox"
    if values is not None:
        return "radio" if given == "radio" else "select"
    if given is not None and given not in ("radio", "select", "checkboxes", "checkbox"):
        return given
    if kind == "string" and option(schema, "multiline") is True:
        return "textarea"
    return _TYPES.get(kind) or _FORMATS.get(format_, "text")


def _list_widget(item: Field | None) -> str:
    if item is None or item.type in ("array", "null"):
        return "json"
    if item.enum is not None:
        return "checkboxes"
    if item.pick is not None:
        return "pick"
    if item.type == "object":
        return "rows" if item.children else "json"
    return (
        "lines" if item.type in ("string", "number", "integer") and not item.is_secret else "json"
    )


def _ordered(names: Sequence[str], order: Any) -> list[str]:
    """By `ui:order`, where `*` stands for all that it does not name."""
    wanted = [one for one in _list(order) if one == "*" or one in names]
    rest = [name for name in names if name not in wanted]
    if "*" not in wanted:
        return [*wanted, *rest]
    at = wanted.index("*")
    return [*wanted[:at], *rest, *(one for one in wanted[at + 1 :] if one != "*")]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


# Fields of their own


def _picker(
    kinds: Sequence[str] = (), *, many: bool = False, owned: bool = False, mine: bool = False
) -> Callable[[Field, Mapping[str, Any]], Field]:
    def made(field: Field, schema: Mapping[str, Any]) -> Field:
        filters = _filters(option(schema, "catalogFilter"))
        allowed = [str(one) for one in _list(option(schema, "allowedKinds"))] or list(kinds)
        if not filters and allowed:
            filters = [{"kind": allowed}]
        namespace = option(schema, "defaultNamespace")
        free = option(schema, "allowArbitraryValues")
        pick = Pick(
            "ref",
            is_free=free is not False and not (mine or owned),
            filters=tuple(filters),
            default_kind=str(option(schema, "defaultKind") or _only_kind(filters)),
            default_namespace=None if namespace is False else str(namespace or "default"),
            is_owned=owned,
            is_mine=mine,
        )
        if not many:
            return replace(field, widget="pick", pick=pick)
        item = replace(field.item or field_of(field.name, {"type": "string"}), pick=pick)
        return replace(field, widget="pick", type="array", item=item)

    return made


def _filters(given: Any) -> list[dict[str, list[str]]]:
    found = []
    for one in given if isinstance(given, list) else [given]:
        if isinstance(one, Mapping):
            found.append({str(key): _wanted(value) for key, value in one.items()})
    return found


def _wanted(value: Any) -> list[str]:
    if isinstance(value, Mapping):  # {"exists": true}
        return []
    return [str(one) for one in (value if isinstance(value, list) else [value])]


def _only_kind(filters: Sequence[Mapping[str, Sequence[str]]]) -> str:
    """The kind, where there is no other: a bare name then means that."""
    kinds = {kind for one in filters for kind in one.get("kind", ())}
    return kinds.pop() if len(kinds) == 1 else ""


def _entity_name(field: Field, schema: Mapping[str, Any]) -> Field:
    return _matching(field, NAME_PATTERN)


def _tags(field: Field, schema: Mapping[str, Any]) -> Field:
    item = field_of(field.name, {"type": "string", "pattern": TAG_PATTERN})
    helper = str(option(schema, "helperText") or "")
    own = {"type": "array", "items": item.schema}
    return replace(
        field, type="array", widget="lines", item=item, help=field.help or helper,
        schema={**own, **{k: v for k, v in field.schema.items() if k != "items"}, "type": "array"},
    )  # fmt: skip


def _repository(field: Field, schema: Mapping[str, Any]) -> Field:
    options = {key: [str(one) for one in _list(option(schema, key))] for key in _ALLOWED}
    return replace(_matching(field, REPOSITORY_PATTERN), widget="repository", options=options)


def _secret(field: Field, schema: Mapping[str, Any]) -> Field:
    return replace(field, widget="password", is_secret=True, in_secrets=True)


def _matching(field: Field, pattern: str) -> Field:
    """Its own pattern goes first; without one, it is this."""
    if "pattern" in field.limits:
        return field
    limits = {**field.limits, "pattern": pattern}
    return replace(field, limits=limits, schema={**field.schema, "pattern": pattern})


_SPECIAL: Final[Mapping[str, Callable[[Field, Mapping[str, Any]], Field]]] = {
    "EntityPicker": _picker(),
    "MultiEntityPicker": _picker(many=True),
    "OwnerPicker": _picker(_OWNERS),
    "OwnedEntityPicker": _picker(owned=True),
    "MyGroupsPicker": _picker(["Group"], mine=True),
    "EntityNamePicker": _entity_name,
    "EntityTagsPicker": _tags,
    "RepoUrlPicker": _repository,
    "Secret": _secret,
}

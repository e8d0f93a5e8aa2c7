"""Port's `userInputs`, read. The same reader takes them as written, where what JQ works out stays
`Jq`, and filled in, where only that is left for which JQ had no answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import orjson

from actions.inputs.definition import Definition, Field, Heading, Jq, Pick, Step
from actions.inputs.patterns import is_linear

JQ_KEY: Final = "jqQuery"
LIMITS: Final = (
    "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems",
    "minProperties", "maxProperties",
)  # fmt: skip
CHECKED_FORMATS: Final = ("date-time", "url", "email", "ipv4", "ipv6")
_SHAPES: Final = ("properties", "patternProperties", "additionalProperties", "required")
_LABELED_URL: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "format": "url"},
        "displayText": {"type": "string"},
    },
    "required": ["url"],
}
_PICKS: Final = ("entity", "user", "team")
_TEXTS: Final = {
    "date-time": "moment",
    "yaml": "code",
    "proto": "code",
    "markdown": "markdown",
    "multi-line": "textarea",
}
_TYPES: Final = {"number": "number", "integer": "number", "boolean": "yes-no", "object": "json"}


def definition_of_user_inputs(user_inputs: Mapping[str, Any] | None) -> Definition:
    """Compiled; cached by content. `check_user_inputs` says what is wrong with it, not this."""
    return _compiled(orjson.dumps(user_inputs or {}))


@lru_cache(maxsize=512)
def _compiled(document: bytes) -> Definition:
    return read(orjson.loads(document))


def read(document: Mapping[str, Any]) -> Definition:
    """The definition that a `userInputs` object says."""
    properties = document.get("properties") or {}
    fields = {
        name: _field(name, one) for name, one in properties.items() if isinstance(one, Mapping)
    }
    titles = {
        name: Heading(name, _text(one, "title"), _text(one, "description"), _flag(one))
        for name, one in (document.get("titles") or {}).items()
        if isinstance(one, Mapping)
    }
    steps = _steps(document, [*titles, *fields])
    return Definition(
        fields=fields,
        steps=steps,
        titles=titles,
        required=_required(document.get("required")),
        document=document,
        queries=dict(queries_in(document)),
        is_wizard=bool(document.get("steps")),
    )


def queries_in(part: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Every `{"jqQuery": …}`, as (path, query). Values of a default that is no JQ are values."""
    if (query := query_of(part)) is not None:
        yield ".".join(path), query
    elif isinstance(part, Mapping):
        for key, value in part.items():
            yield from queries_in(value, (*path, str(key)))
    elif isinstance(part, list):
        for index, value in enumerate(part):
            yield from queries_in(value, (*path, str(index)))


def filled(part: Any, answers: Mapping[str, Any], path: tuple[str, ...] = ()) -> Any:
    """`part` with the answers in the places of their queries; what has none stays."""
    if query_of(part) is not None:
        return answers.get(".".join(path), part)
    if isinstance(part, Mapping):
        return {key: filled(value, answers, (*path, str(key))) for key, value in part.items()}
    if isinstance(part, list):
        return [filled(value, answers, (*path, str(at))) for at, value in enumerate(part)]
    return part


def query_of(value: Any) -> str | None:
    """The JQ of `{"jqQuery": "…"}`; None for anything else."""
    query = value.get(JQ_KEY) if isinstance(value, Mapping) else None
    return query if isinstance(query, str) else None


def _field(name: str, given: Mapping[str, Any]) -> Field:
    kind = str(given.get("type") or "string")
    form = _text(given, "format")
    item = _field(name, given.get("items") or {}) if kind == "array" else None
    enum = _enum(given.get("enum"))
    pick = None
    if kind == "string" and form in _PICKS:
        pick = Pick(form, blueprint=_text(given, "blueprint"))
    limits = {key: _value(given[key]) for key in LIMITS if given.get(key) is not None}
    is_secret = bool(given.get("encryption"))
    depends_on = given.get("dependsOn")
    dataset = given.get("dataset")
    sort = given.get("sort")
    return Field(
        name=name,
        title=_text(given, "title") or name,
        type=kind,
        schema=_schema(given, kind, form, limits, enum, item),
        format=form,
        widget=_widget(given, form, enum, item, pick),
        description=_text(given, "description"),
        icon=_text(given, "icon"),
        default=_value(given.get("default")),
        enum=enum,
        enum_colors=_colors(given.get("enumColors")),
        limits=limits,
        visible=_flag(given),
        disabled=_disabled(given),
        depends_on=tuple(depends_on) if isinstance(depends_on, list) else (),
        pick=pick,
        dataset=dataset if isinstance(dataset, Mapping) and dataset.get("rules") else None,
        sort=sort if isinstance(sort, Mapping) else None,
        item=item,
        children=_link_parts() if kind == "object" and form == "labeled-url" else {},
        required=("url",) if kind == "object" and form == "labeled-url" else (),
        is_secret=is_secret,
    )


def _colors(given: Any) -> dict[str, str]:
    found = given if isinstance(given, Mapping) else {}
    return {value: color for value, color in found.items() if isinstance(color, str)}


def _link_parts() -> dict[str, Field]:
    """A labeled URL is asked for in its two parts."""
    url, text = _LABELED_URL["properties"].values()
    return {
        "url": Field(name="url", title="URL", type="string", format="url", schema=url),
        "displayText": Field(name="displayText", title="Text", type="string", schema=text),
    }


def _schema(
    given: Mapping[str, Any],
    kind: str,
    form: str,
    limits: Mapping[str, Any],
    enum: Sequence[Any] | Jq | None,
    item: Field | None,
) -> dict[str, Any]:
    if kind == "object" and form == "labeled-url":
        return dict(_LABELED_URL)
    schema: dict[str, Any] = {"type": kind}
    for key, value in limits.items():
        if not isinstance(value, Jq) and (key != "pattern" or is_linear(value)):
            schema[key] = value
    if form in CHECKED_FORMATS:
        schema["format"] = form
    if kind == "object":
        schema |= {key: given[key] for key in _SHAPES if given.get(key) is not None}
    if isinstance(enum, list):
        schema["enum"] = enum
    if item is not None:
        schema["items"] = item.schema if item.type else {}
    return schema


def _widget(
    given: Mapping[str, Any],
    form: str,
    enum: Sequence[Any] | Jq | None,
    item: Field | None,
    pick: Pick | None,
) -> str:
    kind = given.get("type") or "string"
    if given.get("encryption") and kind == "string" and form not in _TEXTS:
        return "password"
    if enum is not None:
        return "select"
    if pick is not None:
        return "pick"
    if item is not None:
        if item.enum is not None:
            return "checkboxes"
        if item.pick is not None:
            return "pick"
        return "json" if item.type in ("object", "array") else "lines"
    if kind == "object" and form == "labeled-url":
        return "group"
    if kind == "boolean" and isinstance(given.get("default"), bool):
        return "checkbox"  # there is no third state, of nobody having said
    return _TYPES.get(kind) or _TEXTS.get(form, "text")


def _steps(document: Mapping[str, Any], known: Sequence[str]) -> tuple[Step, ...]:
    """Pages as they are given; one page where there are none. What no page names comes last."""
    given = document.get("steps")
    if not given:
        named = [name for name in document.get("order") or [] if name in known]
        # headings that no order places would stand above questions they do not belong to
        rest = [name for name in document.get("properties") or {} if name not in named]
        return (Step(names=(*named, *rest)),)
    steps = [
        Step(
            title=_text(one, "title"),
            description=_text(one, "description"),
            names=tuple(name for name in one.get("order") or [] if name in known),
            visible=_flag(one),
        )
        for one in given
    ]
    placed = {name for one in steps for name in one.names}
    unplaced = tuple(name for name in document.get("properties") or {} if name not in placed)
    steps[-1] = replace(steps[-1], names=steps[-1].names + unplaced)
    return tuple(steps)


def _required(given: Any) -> tuple[str, ...] | Jq:
    if (query := query_of(given)) is not None:
        return Jq(query)
    return tuple(name for name in given if isinstance(name, str)) if isinstance(given, list) else ()


def _text(given: Mapping[str, Any], key: str) -> str:
    return str(given.get(key) or "")


def _value(given: Any) -> Any:
    query = query_of(given)
    return given if query is None else Jq(query)


def _enum(given: Any) -> list[Any] | Jq | None:
    value = _value(given)
    return value if isinstance(value, Jq | list) else None


def _flag(given: Mapping[str, Any]) -> bool | Jq:
    value = _value(given.get("visible", True))
    return value if isinstance(value, Jq) else is_true(True if value is None else value)


def _disabled(given: Mapping[str, Any]) -> bool | Jq:
    for key in ("disabled", "readOnly"):
        value = _value(given.get(key))
        if isinstance(value, Jq) or is_true(value):
            return value if isinstance(value, Jq) else True
    return False


def is_true(value: Any) -> bool:
    """As JQ sees it: everything but null and false."""
    return value is not None and value is not False

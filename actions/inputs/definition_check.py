"""What is refused when an action is defined: questions that nobody could ever answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from actions.inputs.definition import Definition, Field, Jq
from actions.inputs.patterns import is_pattern
from actions.inputs.user_inputs import LIMITS, definition_of_user_inputs, query_of
from actions.inputs.wording import in_words
from catalog.kernel import jq
from catalog.kernel.errors import InvalidExpression, InvalidInput, shorten
from catalog.kernel.identifiers import check_property_identifier
from catalog.kernel.schema import check_json, compile_schema
from catalog.models import Blueprint
from catalog.selectors.search.rules import parse

ROOT: Final = "trigger.userInputs"
TYPES: Final = ("string", "number", "boolean", "object", "array")
FORMATS: Final = {
    "string": (
        "date-time", "url", "email", "ipv4", "ipv6", "yaml", "entity", "user", "team", "proto",
        "markdown", "multi-line",
    ),
    "object": ("labeled-url", "yaml"),
}  # fmt: skip
MAX_INPUTS: Final = 300
MAX_TITLE: Final = 140
MAX_DESCRIPTION: Final = 1000

_TEXT: Final = {"type": ["string", "null"]}
_QUERY: Final = {
    "type": "object",
    "properties": {"jqQuery": {"type": "string", "minLength": 1}},
    "required": ["jqQuery"],
}
_FLAG: Final = {"anyOf": [{"type": ["boolean", "null"]}, _QUERY]}
_NAMES: Final = {"type": ["array", "null"], "items": {"type": "string"}}
_ENUM: Final = {"anyOf": [{"type": ["array", "null"], "minItems": 1}, _QUERY]}
_DATASET: Final = {
    "type": ["object", "null"],
    "properties": {"combinator": {"enum": ["and", "or"]}, "rules": {"type": "array"}},
}
_SORT: Final = {
    "type": ["object", "null"],
    "properties": {"property": {"type": "string"}, "order": {"enum": ["ASC", "DESC", None]}},
    "required": ["property"],
}
_KEYS: Final[Mapping[str, Any]] = {
    "title": _TEXT,
    "description": _TEXT,
    "icon": _TEXT,
    "format": _TEXT,
    "blueprint": _TEXT,
    "enum": _ENUM,
    "enumColors": {"type": ["object", "null"]},
    "dataset": _DATASET,
    "sort": _SORT,
    "visible": _FLAG,
    "disabled": _FLAG,
    "readOnly": _FLAG,
    "dependsOn": _NAMES,
    "encryption": {"enum": ["aes256-gcm", "fernet", None]},
    "items": {"type": ["object", "null"], "properties": {"type": {"enum": TYPES}, "enum": _ENUM}},
}
_INPUT: Final = {
    "type": "object",
    "properties": {"type": {"enum": TYPES}, **_KEYS},
    "required": ["type"],
}
_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "properties": {"type": ["object", "null"], "additionalProperties": _INPUT},
        "required": {"anyOf": [_NAMES, _QUERY]},
        "order": _NAMES,
        "steps": {
            "type": ["array", "null"],
            "items": {
                "type": "object",
                "properties": {"title": _TEXT, "order": _NAMES, "visible": _FLAG},
            },
        },
        "titles": {
            "type": ["object", "null"],
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "title": {"type": "string", "minLength": 1, "maxLength": MAX_TITLE},
                    "description": {"type": ["string", "null"], "maxLength": MAX_DESCRIPTION},
                    "visible": _FLAG,
                },
                "required": ["title"],
            },
        },
    },
}


def check_user_inputs(trigger: Mapping[str, Any]) -> None:
    """Raises InvalidInput, naming the path, for inputs that could never be filled in.

    `trigger` holds them under `userInputs`. An expression that does not compile is an
    InvalidExpression. A blueprint that is not there is none of this: it may come (`warnings_of`).
    """
    given = trigger.get("userInputs") or {}
    check_json(given)
    _check_shape(given)
    names = [*(given.get("properties") or {})]
    for name in names:
        check_property_identifier(name, field=f"{ROOT}.properties")
    if len(names) > MAX_INPUTS:
        raise _wrong("properties", len(names), f"at most {MAX_INPUTS} inputs")
    _check_places(given, names)
    definition = definition_of_user_inputs(given)
    _check_queries(definition)
    for name, one in definition.fields.items():
        _check_field(one, given["properties"][name], f"properties.{name}")
        if unknown := [other for other in one.depends_on if other not in definition.fields]:
            raise _wrong(f"properties.{name}.dependsOn", unknown[0], _one_of(names))
    _check_circles(definition)


def warnings_of(trigger: Mapping[str, Any]) -> list[str]:
    """What does not keep an action from being defined, but from working, yet; one statement."""
    definition = definition_of_user_inputs(trigger.get("userInputs"))
    wanted = {one.blueprint: name for name, one in definition.fields.items() if one.blueprint}
    known = set(
        Blueprint.objects.filter(identifier__in=wanted).values_list("identifier", flat=True)
    )
    return [
        f'{ROOT}.properties.{name}.blueprint: there is no blueprint "{blueprint}" yet'
        for blueprint, name in wanted.items()
        if blueprint not in known
    ]


def _check_shape(given: Any) -> None:
    problems = compile_schema(_SCHEMA).problems(given)
    for found in problems:
        path = found.path
        if found.expected.startswith("required: "):
            key = found.expected.removeprefix("required: ").strip('"')
            path = f"{path}.{key}" if path else key
            raise _wrong(path, "", "a value") from None
        value = found.value
        if found.expected.startswith("enum: "):
            raise _wrong(path, value, f"one of {found.expected.removeprefix('enum: ')}")
        if found.expected == "anyOf":
            raise _wrong(path, value, _either(path))
        raise InvalidInput(
            f"{ROOT}.{path} {in_words(found)}",
            details={"field": f"{ROOT}.{path}", "value": value, "expected": found.expected},
        )


def _either(path: str) -> str:
    what = {
        "enum": "a list of at least one value",
        "required": "a list of inputs",
    }.get(path.rpartition(".")[2], "true or false")
    return f'{what}, or {{"jqQuery": "…"}}'


def _check_places(given: Mapping[str, Any], names: Sequence[str]) -> None:
    if given.get("order") and given.get("steps"):
        raise _wrong("order", "beside steps", "either order or steps")
    titles = [*(given.get("titles") or {})]
    if both := [name for name in titles if name in names]:
        raise _wrong(f"titles.{both[0]}", both[0], "a name that no input has")
    _check_order(given.get("order"), "order", [*names, *titles])
    seen: dict[str, str] = {}
    for index, step in enumerate(given.get("steps") or []):
        path = f"steps.{index}.order"
        _check_order(step.get("order"), path, [*names, *titles])
        for at, name in enumerate(step.get("order") or []):
            if name in seen:
                raise _wrong(f"{path}.{at}", name, f"it once; it stands in {seen[name]} already")
            seen[name] = path
    required = given.get("required")
    if isinstance(required, list):
        for index, name in enumerate(required):
            if name not in names:
                raise _wrong(f"required.{index}", name, _one_of(names))


def _check_order(order: Sequence[str] | None, path: str, known: Sequence[str]) -> None:
    for index, name in enumerate(order or []):
        if name not in known:
            raise _wrong(f"{path}.{index}", name, _one_of(known))


def _check_queries(definition: Definition) -> None:
    """Every JQ, in one call."""
    wrong = jq.check_all({f"{ROOT}.{path}": one for path, one in definition.queries.items()})
    for error in wrong.values():
        raise error


def _check_below(given: Mapping[str, Any], path: str) -> None:
    """Parts of an object cannot be secret: it would look as if they were."""
    items = given.get("items")
    parts = {f"items.{name}": one for name, one in _parts_of(items)}
    parts |= dict(_parts_of(given))
    for name, part in parts.items():
        if part.get("encryption"):
            where = f"{path}.{name}.encryption"
            raise _wrong(where, part["encryption"], f"nothing: {path} can be secret as a whole")
        _check_below(part, f"{path}.{name}")


def _parts_of(schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    parts = schema.get("properties") if isinstance(schema, Mapping) else None
    for name, part in parts.items() if isinstance(parts, Mapping) else ():
        if isinstance(part, Mapping):
            yield f"properties.{name}", part


def _check_field(one: Field, given: Mapping[str, Any], path: str) -> None:
    _check_format(one, path)
    if one.is_secret and one.type not in ("string", "object"):
        raise _wrong(f"{path}.encryption", one.type, "an input of type string or object")
    _check_below(given, path)
    for key in LIMITS:
        _check_limit(given.get(key), key, f"{path}.{key}")
    if given.get("dataset") is not None:
        _check_dataset(given["dataset"], f"{path}.dataset")
    if one.item is not None and isinstance(given.get("items"), Mapping):
        _check_field(one.item, given["items"], f"{path}.items")
    default = one.default
    if default is None or isinstance(default, Jq) or query_of(default) is not None:
        return
    for found in compile_schema(one.schema).problems(default):
        where = f"{path}.default.{found.path}" if found.path else f"{path}.default"
        raise InvalidInput(
            f"{ROOT}.{where} {in_words(found)}",
            details={
                "field": f"{ROOT}.{where}",
                "value": "" if one.is_secret else found.value,
                "expected": found.expected,
            },
        )


def _check_format(one: Field, path: str) -> None:
    # What Port may add one day is kept and asked for as plain text; what names things is not.
    if one.format in ("entity", "user", "team") and one.type != "string":
        raise _wrong(f"{path}.format", one.format, "an input of type string, or a list of these")
    if one.pick is not None and one.pick.kind == "entity" and not one.pick.blueprint:
        raise _wrong(f"{path}.blueprint", "", "the blueprint to pick entities of")


def _check_limit(value: Any, key: str, path: str) -> None:
    if value is None or query_of(value) is not None:
        return
    if key == "pattern":
        if not is_pattern(value):
            raise InvalidExpression(
                f"{ROOT}.{path} is {shorten(value)}; expected a regular expression",
                details={
                    "field": f"{ROOT}.{path}",
                    "value": shorten(value),
                    "expected": "a regular expression",
                },
            )
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if key == "uniqueItems":
        if not isinstance(value, bool):
            raise _wrong(path, value, "true or false")
    elif not is_number or (key.startswith(("min", "max")) and key[3:] != "imum" and value < 0):
        raise _wrong(path, value, "a number, not below 0 for lengths")


def _check_dataset(dataset: Mapping[str, Any], path: str) -> None:
    """Its rules must be ones the search knows; what JQ gives is put in later."""
    parse(_with_samples(dataset), path=f"{ROOT}.{path}")


def _with_samples(part: Any) -> Any:
    """`part` with a value that fits where JQ will give one."""
    if isinstance(part, Mapping):
        if "operator" in part and query_of(part.get("value")) is not None:
            return {**part, "value": _SAMPLES.get(str(part["operator"]), "x")}
        return {key: _with_samples(value) for key, value in part.items()}
    if isinstance(part, list):
        return ["x" if query_of(one) is not None else _with_samples(one) for one in part]
    return part


_SAMPLES: Final[Mapping[str, Any]] = {
    **dict.fromkeys((">", ">=", "<", "<="), 1),
    **{operator: ["x"] for operator in ("containsAny", "in", "notIn")},
    **{operator: {"preset": "today"} for operator in ("between", "notBetween")},
}


def _check_circles(definition: Definition) -> None:
    """Raises InvalidInput where inputs wait for each other."""
    done: set[str] = set()

    def walk(name: str, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if name in above:
            yield (*above[above.index(name) :], name)
        elif name not in done:
            for other in definition.fields[name].depends_on:
                yield from walk(other, (*above, name))
            done.add(name)

    for name in definition.fields:
        for circle in walk(name, ()):
            raise _wrong(
                f"properties.{circle[0]}.dependsOn", " → ".join(circle), "inputs not in a circle"
            )


def _one_of(names: Sequence[str]) -> str:
    return f"one of {', '.join(names)}" if names else "nothing, since there are no inputs"


def _wrong(path: str, value: object, expected: str) -> InvalidInput:
    return InvalidInput.of(f"{ROOT}.{path}" if path else ROOT, value, expected)

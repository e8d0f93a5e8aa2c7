"""Which questions a schema asks, given the answers so far: `dependencies`, `if`, `oneOf`, `$ref`.

What comes out has no conditions left at the level of objects, so that it can be drawn as it is and
be validated as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from actions.inputs.parameters.schemas import MAX_DEPTH, fits, merged, target_of

_DONE: Final = (
    "$ref", "dependencies", "dependentRequired", "dependentSchemas", "if", "then", "else", "allOf",
)  # fmt: skip
_CHOICES: Final = ("oneOf", "anyOf")


def effective(
    schema: Mapping[str, Any],
    value: Any,
    *,
    root: Mapping[str, Any] | None = None,
    refs: frozenset[str] = frozenset(),
    depth: int = 0,
) -> dict[str, Any]:
    """`schema` as it holds for `value`, with what its conditions add put into it.

    Of alternatives, the one that `value` fits is taken, or else the first. Conditions of nested
    objects are decided by their part of the value. refs: those followed on the way here; a schema
    that leads back to itself is followed only as far as there are values.
    """
    root = schema if root is None else root
    if depth > MAX_DEPTH:
        return {}
    if "$ref" in schema:
        reference = str(schema["$ref"])
        schema = _without(schema, "$ref")
        if reference not in refs:
            schema, refs = merged(target_of(reference, root), schema), refs | {reference}
    whole = {key: one for key, one in schema.items() if key not in _DONE}
    for part in _added(schema, value, root):
        whole = merged(whole, effective(part, value, root=root, refs=refs, depth=depth + 1))
    for key in _CHOICES:
        if _is_of_objects(whole, key):
            options = [one for one in whole.pop(key) if isinstance(one, Mapping)]
            ready = [
                effective(one, value, root=root, refs=refs, depth=depth + 1) for one in options
            ]
            whole = _chosen(whole, ready, value)
    properties = whole.get("properties")
    if isinstance(properties, Mapping):
        values = value if isinstance(value, Mapping) else {}
        whole["properties"] = {
            name: effective(
                one,
                values.get(name),
                root=root,
                refs=refs if values.get(name) is None else frozenset(),
                depth=depth + 1,
            )
            for name, one in properties.items()
            if isinstance(one, Mapping)
        }
    items = whole.get("items")
    if isinstance(items, Mapping):
        whole["items"] = effective(items, None, root=root, refs=refs, depth=depth + 1)
    return whole


def _added(
    schema: Mapping[str, Any], value: Any, root: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """The schemas that hold beside it for this value."""
    yield from (one for one in schema.get("allOf") or () if isinstance(one, Mapping))
    condition = schema.get("if")
    if isinstance(condition, Mapping | bool):
        # as in the standard: what is not filled in contradicts nothing
        part = schema.get("then" if fits(condition, _of(value, schema)) else "else")
        if isinstance(part, Mapping):
            yield part
    if not isinstance(value, Mapping):
        return
    for key in ("dependencies", "dependentRequired", "dependentSchemas"):
        dependencies = schema.get(key)
        if not isinstance(dependencies, Mapping):
            continue
        for name, needed in dependencies.items():
            if value.get(name) is None:
                continue
            if isinstance(needed, list):
                yield {"required": needed}
            elif isinstance(needed, Mapping):
                yield from _of_dependency(name, needed, value, root)


def _of(value: Any, schema: Mapping[str, Any]) -> Any:
    """What is not filled in at all is an empty object, where one is asked for."""
    return {} if value is None and "properties" in schema else value


def _of_dependency(
    name: str, needed: Mapping[str, Any], value: Mapping[str, Any], root: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Of a `oneOf`, the first part whose word on `name` holds, without that word."""
    if "$ref" in needed:
        needed = target_of(needed["$ref"], root)
    yield _without(needed, "oneOf")
    for option in needed.get("oneOf") or ():
        if not isinstance(option, Mapping):
            continue
        properties = option.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        if name not in properties or fits({"properties": {name: properties[name]}}, value):
            yield {**option, "properties": _without(properties, name)}
            return


def _is_of_objects(schema: Mapping[str, Any], key: str) -> bool:
    """Whether the alternatives are sets of questions, not of values of one."""
    options = schema.get(key)
    return isinstance(options, list) and any(
        isinstance(one, Mapping) and ("properties" in one or "required" in one) for one in options
    )


def _chosen(whole: dict[str, Any], ready: list[dict[str, Any]], value: Any) -> dict[str, Any]:
    """`whole` with the alternative that holds. A name for which each alternative has its own fixed
    values becomes the question that decides between them."""
    asked = {
        name: {"title": name, "type": "string", "enum": values}
        for name, values in _deciding(ready).items()
    }
    chosen = next((one for one in ready if fits(one, _of(value, one))), ready[0] if ready else {})
    whole = merged({"properties": asked}, whole) if asked else whole
    with_others = {
        name: _without(one, "const", "enum") if name in asked else one
        for name, one in (chosen.get("properties") or {}).items()
    }
    return merged(whole, {**chosen, "properties": with_others})


def _deciding(options: list[dict[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    if len(options) < 2:
        return found
    for name in options[0].get("properties") or {}:
        values: list[Any] = []
        for one in options:
            schema = (one.get("properties") or {}).get(name) or {}
            if "const" in schema:
                values.append(schema["const"])
            elif isinstance(schema.get("enum"), list):
                values += schema["enum"]
            else:
                break
        else:
            found[name] = list(dict.fromkeys(one for one in values if isinstance(one, str)))
    return found


def _without(schema: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: one for key, one in schema.items() if key not in keys}

"""What is wrong with a document in the form in which Backstage tells it: {"name", "message",
"cause"?} with the names of its errors. Its clients show the text and go by the names.

Of several problems it tells the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from catalog.dialects.backstage.problems import Path, Problem
from catalog.dialects.backstage.refs import DEFAULT_NAMESPACE
from catalog.dialects.backstage.validate import Stage, check_envelope, first_failure
from catalog.kernel.errors import shorten

INPUT_ERROR, TYPE_ERROR, NOT_FOUND_ERROR = "InputError", "TypeError", "NotFoundError"

_PROCESSING = "backstage.io/catalog-processing"
_ENVELOPE_KEYS = ("apiVersion", "kind", "metadata", "spec")
_ABSENT = object()

Error = dict[str, Any]


def refusal_of(
    document: Any, *, is_custom_kind: Callable[[str], bool] = lambda kind: False
) -> Error | None:
    """Why Backstage's checks refuse a document whose placeholders are resolved; None when they
    do not."""
    if problems := check_envelope(document):
        return error(TYPE_ERROR, _fault(document, problems[0], where="<root>", detailed=True))
    stage, problems = first_failure(document, is_custom_kind=is_custom_kind)
    if not problems:
        return None
    ref = _ref(document)
    if stage is Stage.SHAPE:
        first = next((one for one in problems if one.path[0] in _ENVELOPE_KEYS), problems[0])
        if first.path[0] not in _ENVELOPE_KEYS:
            return _policy(ref, f"Unknown field {shorten(first.path[0])}")
        return _policy(ref, f"Malformed envelope, {_fault(document, first)}")
    if stage is Stage.FORMATS:
        return _policy(ref, _format_fault(document, problems[0]))
    if stage is Stage.KIND:
        if problems[0].path in (("kind",), ("apiVersion",)):
            return error(
                INPUT_ERROR,
                f"No processor recognized the entity {ref} as valid, possibly caused by a foreign "
                "kind or apiVersion",
            )
        fault = _fault(document, problems[0], detailed=True)
        return _processor(f"validating the entity {ref}", TYPE_ERROR, fault)
    if stage is Stage.REFS:
        return _processor(f"postprocessing {ref}", TYPE_ERROR, problems[0].message)
    return error(INPUT_ERROR, problems[0].message)


def told_as(
    document: Any,
    *,
    field: str,
    message: str,
    is_custom_kind: Callable[[str], bool] = lambda kind: False,
) -> Error:
    """A finding about a document as it was written: in Backstage's words where its checks find the
    same, else in ours. field: dotted, as `Problem.field`."""
    found = _first_field(document, is_custom_kind)
    if found is not None and found == field:
        return refusal_of(document, is_custom_kind=is_custom_kind) or error(INPUT_ERROR, message)
    return error(INPUT_ERROR, message)


def status_item(refusal: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of an entity's `status.items`."""
    return {
        "type": _PROCESSING,
        "level": "error",
        "message": f"{refusal['name']}: {refusal['message']}",
        "error": dict(refusal),
    }


def error(name: str, message: str, cause: Mapping[str, Any] | None = None) -> Error:
    if cause is None:
        return {"name": name, "message": message}
    return {
        "name": name,
        "message": f"{message}; caused by {cause['name']}: {cause['message']}",
        "cause": dict(cause),
    }


def _policy(ref: str, fault: str) -> Error:
    return error(INPUT_ERROR, f"Policy check failed for {ref}", error("Error", fault))


def _processor(doing: str, name: str, fault: str) -> Error:
    return error(
        INPUT_ERROR,
        f"Processor BuiltinKindsEntityProcessor threw an error while {doing}",
        error(name, fault),
    )


def _first_field(document: Any, is_custom_kind: Callable[[str], bool]) -> str | None:
    problems: Sequence[Problem] = check_envelope(document)
    problems = problems or first_failure(document, is_custom_kind=is_custom_kind)[1]
    return problems[0].field if problems else None


def _ref(document: Mapping[str, Any]) -> str:
    """As the document spells it, but for case."""
    metadata = document["metadata"]
    namespace = metadata.get("namespace") or DEFAULT_NAMESPACE
    return shorten(f"{document['kind']}:{namespace}/{metadata['name']}".lower(), 300)


def _fault(document: Any, problem: Problem, *, where: str = "", detailed: bool = False) -> str:
    """One thing that is wrong with the shape of a value. where: what the document is called.
    detailed: with what the rule says."""
    value = _at(document, problem.path)
    place = problem.path[:-1] if value is _ABSENT else problem.path
    address = "".join(f"/{shorten(part)}" for part in place) or where
    if value is _ABSENT:
        key = shorten(problem.path[-1])
        fault, rule = f"must have required property '{key}'", f"missingProperty: {key}"
    elif value == "" and problem.expected != "text":
        fault, rule = "must NOT have fewer than 1 characters", "limit: 1"
    elif type_ := _TYPES.get(problem.expected.partition(",")[0]):
        fault, rule = f"must be {type_}", f"type: {type_}"
    else:
        return problem.message
    return f"{address} {fault}" + (f" - {rule}" if detailed else "")


_TYPES = {
    "text": "string",
    "non-empty text": "string",
    "a list": "array",
    "a map": "object",
    "a map with apiVersion": "object",
}


def _format_fault(document: Any, problem: Problem) -> str:
    path = problem.path
    inner = path[1:] if path[0] == "metadata" and len(path) > 2 else path
    field = ".".join(shorten(part) for part in inner)
    value = _at(document, path)
    if not isinstance(value, str):
        return problem.message
    return f'"{field}" is not valid; expected {problem.expected} but found "{shorten(value)}"'


def _at(document: Any, path: Path) -> Any:
    for part in path:
        if isinstance(document, Mapping):
            document = document.get(part, _ABSENT)
        elif isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
        else:
            return _ABSENT
    return document

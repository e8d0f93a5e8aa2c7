"""Is a document a valid entity? Backstage's checks in Backstage's order.

The first check that fails decides, as there; all that this one check finds is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from catalog.dialects.backstage import formats
from catalog.dialects.backstage.kinds import (
    BY_LOWER_NAME,
    KINDS,
    NON_EMPTY_TEXT,
    any_text,
    list_of,
    map_of,
    text,
    texts,
)
from catalog.dialects.backstage.problems import Path, Problem, describe, dotted, missing, wrong
from catalog.dialects.backstage.refs import DEFAULT_NAMESPACE, RefError, parse_ref
from catalog.kernel.errors import shorten

_ENVELOPE_KEYS = ("apiVersion", "kind", "metadata", "spec")


class Stage(StrEnum):
    """The checks behind `check_envelope`, in their order."""

    SHAPE = "shape"
    FORMATS = "formats"
    KIND = "kind"
    REFS = "refs"
    CASE = "case"


def check_envelope(document: Any) -> list[Problem]:
    """What keeps the document from having a kind and a name at all."""
    if not isinstance(document, dict):
        return [wrong((), document, "a map with apiVersion, kind and metadata")]
    problems: list[Problem] = []
    for key in ("apiVersion", "kind"):
        if key not in document:
            problems.append(missing((key,), NON_EMPTY_TEXT))
        else:
            problems.extend(text(document[key], (key,)))
    if "metadata" not in document:
        problems.append(missing(("metadata",), "a map with at least a name"))
    else:
        problems.extend(_NAMED(document["metadata"], ("metadata",)))
    return problems


def check_entity(
    entity: Mapping[str, Any], *, is_custom_kind: Callable[[str], bool] = lambda kind: False
) -> list[Problem]:
    """Everything else, for a document with a sound envelope and resolved placeholders.

    A kind that Backstage does not know is refused, unless `is_custom_kind` takes it; then its
    `spec` is free.
    """
    return first_failure(entity, is_custom_kind=is_custom_kind)[1]


def first_failure(
    entity: Mapping[str, Any], *, is_custom_kind: Callable[[str], bool] = lambda kind: False
) -> tuple[Stage, list[Problem]]:
    """Like `check_entity`, with the check that failed; the last one and no problem for a valid
    entity."""
    checks: tuple[tuple[Stage, Callable[[], Iterator[Problem]]], ...] = (
        (Stage.SHAPE, lambda: _check_shape(entity)),
        (Stage.FORMATS, lambda: _check_formats(entity)),
        (Stage.KIND, lambda: _check_kind(entity, is_custom_kind)),
        (Stage.REFS, lambda: _check_refs(entity)),
    )
    for stage, check in checks:
        if problems := list(check()):
            return stage, problems
    return Stage.CASE, list(_check_case(entity))


def ref_values(value: Any) -> list[Any]:
    """The single references in a field: nothing, one, or a list of them."""
    if isinstance(value, list):
        return value
    return [value] if value or isinstance(value, dict) else []


# --- the checks in their order ----------------------------------------------------------------

_NAMED = map_of({"name": text}, {"namespace": text})

_SHAPE = map_of(
    optional={
        "spec": map_of(),
        "metadata": map_of(
            {"name": text},
            {
                "uid": text,
                "etag": text,
                "namespace": text,
                "title": text,
                "description": any_text,
                "labels": map_of(others=any_text),
                "annotations": map_of(others=any_text),
                "tags": texts,
                "links": list_of(
                    map_of({"url": text}, {"title": text, "icon": text, "type": text})
                ),
            },
        ),
    }
)


def _check_shape(entity: Mapping[str, Any]) -> Iterator[Problem]:
    for key in entity:
        if key not in _ENVELOPE_KEYS:
            yield Problem(
                (key,),
                f'"{shorten(key)}" is not a known key at the top of an entity; expected only '
                f"{', '.join(_ENVELOPE_KEYS)}",
                ", ".join(_ENVELOPE_KEYS),
                describe(entity[key]),
                _home_of(key),
            )
    yield from _SHAPE(entity, ())


def _home_of(key: str) -> str:
    if key in ("name", "namespace", "title", "description", "labels", "annotations", "tags"):
        return f"Move it below metadata, as metadata.{key}."
    if key in ("relations", "status"):
        return "The catalogue fills it in; remove it from the file."
    return "Move it below metadata or spec, or remove it."


def _check_formats(entity: Mapping[str, Any]) -> Iterator[Problem]:
    metadata = entity["metadata"]
    yield from _format(("apiVersion",), entity, formats.is_api_version, formats.API_VERSION)
    yield from _format(("kind",), entity, formats.is_kind, formats.KIND)
    yield from _format(("metadata", "name"), entity, formats.is_name, formats.NAME)
    if "namespace" in metadata:
        yield from _format(
            ("metadata", "namespace"), entity, formats.is_dns_label, formats.NAMESPACE
        )
    for field, is_value in (("labels", formats.is_label_value), ("annotations", None)):
        for key, value in metadata.get(field, {}).items():
            path: Path = ("metadata", field, key)
            if not formats.is_key(key):
                yield Problem(
                    path,
                    f'the key "{shorten(key)}" of metadata.{field} must be {formats.KEY}',
                    formats.KEY,
                    describe(key),
                )
            if is_value and not is_value(value):
                yield wrong(path, value, formats.LABEL_VALUE)
    for index, tag in enumerate(metadata.get("tags", ())):
        if not formats.is_tag(tag):
            yield wrong(("metadata", "tags", index), tag, formats.TAG)
    for index, link in enumerate(metadata.get("links", ())):
        path = ("metadata", "links", index)
        if not formats.is_absolute_url(link["url"]):
            yield wrong((*path, "url"), link["url"], formats.URL)
        for key in ("title", "icon"):
            if key in link and not link[key].strip():
                yield wrong((*path, key), link[key], NON_EMPTY_TEXT)


def _format(
    path: Path, entity: Mapping[str, Any], is_valid: Callable[[str], bool], expected: str
) -> Iterator[Problem]:
    value: Any = entity
    for key in path:
        value = value[key]
    if not is_valid(value):
        yield wrong(path, value, expected)


def _check_kind(
    entity: Mapping[str, Any], is_custom_kind: Callable[[str], bool]
) -> Iterator[Problem]:
    name, version = entity["kind"], entity["apiVersion"]
    kind = KINDS.get(name)
    if kind is None or version not in kind.api_versions:
        if name.lower() in BY_LOWER_NAME or not is_custom_kind(name):
            yield _foreign(name, version)
        return
    if "spec" not in entity:
        yield missing(("spec",), "a map")
        return
    spec = entity["spec"]
    problems = list(kind.spec(spec, ("spec",)))
    if kind.variants and not problems and (variant := kind.variants.get(spec["type"])):
        problems = list(variant(spec, ("spec",)))
    yield from problems


def _foreign(name: str, version: str) -> Problem:
    if name in KINDS:
        expected = " or ".join(KINDS[name].api_versions)
        message = (
            f'apiVersion "{shorten(version)}" is not known for kind {name}; expected {expected}'
        )
        return Problem(("apiVersion",), message, expected, describe(version))
    if known := BY_LOWER_NAME.get(name.lower()):
        message = f'kind "{name}" is not known; a kind is written exactly as {known}'
        return Problem(("kind",), message, known, describe(name))
    return Problem(
        ("kind",),
        f'kind "{name}" (apiVersion "{shorten(version)}") is not known',
        ", ".join(KINDS),
        describe(name),
        "To take it in, create its blueprint or import with --create-kinds.",
    )


def _check_refs(entity: Mapping[str, Any]) -> Iterator[Problem]:
    spec = entity.get("spec", {})
    namespace = entity["metadata"].get("namespace", DEFAULT_NAMESPACE)
    fields = KINDS[entity["kind"]].refs if entity["kind"] in KINDS else ()
    for field in fields:
        value = spec.get(field.name)
        for index, ref in enumerate(ref_values(value)):
            try:
                parse_ref(ref, default_kind=field.default_kind, default_namespace=namespace)
            except RefError as error:
                path: Path = ("spec", field.name)
                path = (*path, index) if isinstance(value, list) else path
                expected = "[kind:][namespace/]name"
                if field.default_kind is None:
                    expected = "kind:[namespace/]name"
                yield Problem(path, f"{dotted(path)}: {error}", expected, describe(ref))


def _check_case(entity: Mapping[str, Any]) -> Iterator[Problem]:
    """Two keys that differ only in case would be one key in every search and filter.

    Lists do not count as steps: keys of all items of a list are looked at together.
    """
    spellings: dict[str, tuple[str, Path]] = {}
    stack: list[tuple[str, Path, Any]] = [("", (), entity)]
    while stack:
        name, path, value = stack.pop()
        if isinstance(value, dict):
            stack.extend(
                (f"{name}.{key}" if name else key, (*path, key), item)
                for key, item in value.items()
            )
        elif isinstance(value, list):
            stack.extend((name, (*path, index), item) for index, item in enumerate(value))
        else:
            known, _ = spellings.setdefault(name.lower(), (name, path))
            if known != name:
                yield Problem(
                    path,
                    f'"{shorten(name)}" and "{shorten(known)}" differ only in upper and lower case',
                    "keys that differ in more than case",
                )

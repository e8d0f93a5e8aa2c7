"""Scorecards as Cortex's YAML: read, checked, kept with all keys as they were sent.

What Cortex makes up on its side is made up here and kept in the document: identifiers of rules.
`owner`, `missing`, `fixUrl` and other keys of our own format are understood in this one, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

from catalog.kernel.errors import InvalidInput, shorten
from catalog.kernel.identifiers import check_property_identifier
from catalog.kernel.yaml_errors import YamlError
from catalog.kernel.yaml_reader import YamlDocument, read_documents
from catalog.services import documents
from scorecards.definition import Definition, Filter, Language, Level, RuleSpec
from scorecards.formats import parts

MAX_RULE_TITLE: Final = 200  # of one that is made of the expression
CATEGORIES: Final[Mapping[str, Filter]] = {
    "SERVICE": Filter(types=("service",)),
    "DOMAIN": Filter(types=("domain",)),
    "TEAM": Filter(types=("team",)),
    "RESOURCE": Filter(types_excluded=("service", "domain", "team")),
}

_FILTER: Final = {
    "type": ["object", "null"],
    "properties": {
        **parts.FILTER_KEYS,
        "kind": {"enum": ["GENERIC", None]},
        "category": {"enum": [*CATEGORIES, None]},
    },
}
_LADDER: Final = {
    "type": ["object", "null"],
    "properties": {
        "name": parts.TEXT,
        "levels": {
            "type": "array",
            "maxItems": parts.MAX_LEVELS - 1,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": parts.MAX_TITLE},
                    "rank": {"type": "integer"},
                    "description": parts.TEXT,
                    "color": {**parts.TEXT, "pattern": f"^#?{parts.COLOR_PATTERN}$"},
                },
                "required": ["name", "rank"],
            },
        },
    },
    "required": ["levels"],
}
_RULE: Final = {
    "identifier": parts.TEXT,
    "title": parts.TEXT,
    "expression": {"type": "string", "minLength": 1},
    "level": parts.TEXT,
    "filter": _FILTER,
}
_SCHEMA: Final = parts.scorecard_schema(
    {
        "tag": {"type": "string"},
        "name": {"type": "string", "minLength": 1},
        "draft": parts.FLAG,
        "ladder": _LADDER,
        "filter": _FILTER,
        "rules": parts.rules_schema(_RULE, ["expression"]),
    },
    ["tag", "name", "rules"],
)


def check(
    given: str | bytes | Mapping[str, Any], *, name: str = "scorecard", reverse_ranks: bool = False
) -> dict[str, Any]:
    """The document, as it was sent; `identified` gives its rules their identifiers.

    name: of the text, for messages. reverse_ranks: the smallest rank is the best level; ranks are
    turned round, so that what is kept has the largest as the best. Raises InvalidInput naming
    field, value and what was expected, and line and column of a text (YamlError where it is not
    YAML); PayloadTooLarge.
    """
    if isinstance(given, Mapping):
        return _checked(given, reverse_ranks)
    source = load(given, name)
    with placing(source, name):
        return _checked(source.value, reverse_ranks)


def load(text: str | bytes, name: str) -> YamlDocument:
    """The one document of a text, an object. Raises YamlError, InvalidInput."""
    found = [one for one in read_documents(text, name=name, strict=True) if one.value is not None]
    if len(found) != 1:
        line = found[1].line if found else 1
        raise YamlError(f"expected exactly one scorecard, found {len(found)}", name=name, line=line)
    if not isinstance(found[0].value, Mapping):
        raise InvalidInput.of(name, found[0].value, "a scorecard: tag, name and rules")
    return found[0]


@contextmanager
def placing(source: YamlDocument | None, name: str) -> Iterator[None]:
    """Errors about a document say on which line of its text they are; None for what is no text."""
    try:
        yield
    except InvalidInput as error:
        if source is None:
            raise
        raise placed(error, source, name) from None


def placed(error: InvalidInput, source: YamlDocument, name: str) -> InvalidInput:
    """An error about a document with its line in the text. A place within an expression that it has
    already becomes `position`.
    """
    field = str(error.details.get("field", ""))
    path = [int(step) if step.isdecimal() else step for step in field.split(".")]
    line = source.line_of(path)
    details = {**error.details, "file": name, "line": line}
    position = {key: error.details[key] for key in ("line", "column") if key in error.details}
    if position:
        details.pop("column", None)
        details["position"] = position
    return type(error)(f"{name}:{line}: {error.message}", hint=error.hint, details=details)


def identified(document: dict[str, Any], known: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The document with an identifier for each rule: its own, that of the rule of `known` it is
    (by expression and title, else by either), or a new one.

    known: rules of the document before, so that a file without identifiers may be read again.
    """
    stated = {rule.get("identifier") for rule in document["rules"]}
    free = [rule for rule in known if rule.get("identifier") not in stated]
    names: dict[int, str] = {}
    for keys in (("title", "expression"), ("title",), ("expression",)):
        for index, rule in enumerate(document["rules"]):
            if rule.get("identifier") or index in names:
                continue
            same = next((one for one in free if _is_same(one, rule, keys)), None)
            if same is not None:
                free.remove(same)
                names[index] = same["identifier"]
    rules = [
        rule if rule.get("identifier") else {**rule, "identifier": names.get(index) or str(uuid4())}
        for index, rule in enumerate(document["rules"])
    ]
    return {**document, "rules": rules}


def read(identifier: str, document: Mapping[str, Any]) -> Definition:
    """What a stored document says."""
    ladder = sorted(parts.mapping(document, "ladder").get("levels") or (), key=_rank)
    levels = [
        Level(one["name"], _color(parts.text(one, "color")), parts.text(one, "description"))
        for one in ladder
    ]
    return Definition(
        identifier=identifier,
        title=parts.text(document, "name") or identifier,
        state="draft" if document.get("draft") is True else "active",
        levels=(Level(""), *levels),
        rules=tuple(_rule(one) for one in document["rules"]),
        filter=_filter(document.get("filter")) or Filter(),
        is_lenient=False,
        **parts.scorecard_parts(document),
    )


def _checked(body: Mapping[str, Any], reverse_ranks: bool) -> dict[str, Any]:
    for field, stated in _filters(body):
        if "entityType" in stated:
            raise InvalidInput.of(
                f"{field}.entityType",
                stated["entityType"],
                "another key: types, groups or query",
                hint="Say which entities are meant by types: {include: [service]}.",
            )
    document = documents.checked_document(body, _SCHEMA)
    levels = _checked_levels(document)
    for index, rule in enumerate(document["rules"]):
        _check_rule(rule, f"rules.{index}", levels)
    _check_identifiers(document["rules"])
    return _with_reversed_ranks(document) if reverse_ranks and levels else document


def _filters(body: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    rules = body.get("rules")
    found = [("filter", body)]
    if isinstance(rules, list):
        found += [
            (f"rules.{index}.filter", rule)
            for index, rule in enumerate(rules)
            if isinstance(rule, Mapping)
        ]
    return [(field, parts.mapping(one, "filter")) for field, one in found]


def _checked_levels(document: Mapping[str, Any]) -> list[str]:
    levels = parts.mapping(document, "ladder").get("levels") or []
    for key in ("name", "rank"):
        counts = Counter(one[key] for one in levels)
        for index, one in enumerate(levels):
            if counts[one[key]] > 1:
                raise InvalidInput.of(
                    f"ladder.levels.{index}.{key}", one[key], f"another {key} for each level"
                )
    return [one["name"] for one in levels]


def _check_rule(rule: Mapping[str, Any], field: str, levels: list[str]) -> None:
    level = rule.get("level")
    if level and level not in levels:
        raise InvalidInput.of(
            f"{field}.level",
            level,
            f"one of {', '.join(levels)}" if levels else "no level, as there is no ladder",
        )
    parts.check_rule_parts(rule, field)


def _check_identifiers(rules: Iterable[Mapping[str, Any]]) -> None:
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        if not (identifier := rule.get("identifier")):
            continue
        field = f"rules.{index}.identifier"
        check_property_identifier(identifier, field=field)
        if identifier in seen:
            raise InvalidInput.of(field, identifier, "another one for each rule")
        seen.add(identifier)


def _with_reversed_ranks(document: dict[str, Any]) -> dict[str, Any]:
    levels = document["ladder"]["levels"]
    ends = min(map(_rank, levels)) + max(map(_rank, levels))
    turned = [{**one, "rank": ends - one["rank"]} for one in levels]
    return {**document, "ladder": {**document["ladder"], "levels": turned}}


def _rank(level: Mapping[str, Any]) -> int:
    return int(level["rank"])


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any], keys: tuple[str, ...]) -> bool:
    return all(one.get(key) and one.get(key) == other.get(key) for key in keys)


def _rule(rule: Mapping[str, Any]) -> RuleSpec:
    expression = rule["expression"]
    return RuleSpec(
        identifier=rule["identifier"],
        title=parts.text(rule, "title") or shorten(expression, MAX_RULE_TITLE),
        language=Language.CQL,
        expression=expression,
        level=parts.text(rule, "level"),
        filter=_filter(rule.get("filter")),
        **parts.rule_parts(rule),
    )


def _filter(stated: object) -> Filter | None:
    if not isinstance(stated, Mapping):
        return None
    legacy = CATEGORIES.get(stated.get("category") or "")
    if legacy is None:
        return parts.filter_of(stated)
    found = parts.filter_of(stated)
    return parts.filter_of(
        stated,
        types=found.types or legacy.types,
        types_excluded=(*found.types_excluded, *legacy.types_excluded),
    )


def _color(color: str) -> str:
    return f"#{color.removeprefix('#').lower()}" if color else ""

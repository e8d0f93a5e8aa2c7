"""The built-in kinds as data: where a kind may stand, what its `spec` holds, what it refers to.

A rule is a function `(value, path) -> problems`. Keys that no rule names are free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.dialects.backstage.problems import UNFILLED, Path, Problem, missing, wrong

Rule = Callable[[Any, Path], Iterator[Problem]]

NON_EMPTY_TEXT = "non-empty text"


# --- rules ------------------------------------------------------------------------------------


def text(value: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(value, str) or not value:
        yield wrong(path, value, NON_EMPTY_TEXT, _quote_hint(value))


def any_text(value: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield wrong(path, value, "text", _quote_hint(value))


def text_or_flag(value: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(value, str | bool):
        yield wrong(path, value, "text or a boolean")


def short_text(limit: int) -> Rule:
    def check(value: Any, path: Path) -> Iterator[Problem]:
        if not isinstance(value, str) or not 1 <= len(value) <= limit:
            yield wrong(path, value, f"text of 1 to {limit} characters")

    return check


def one_of(*allowed: str) -> Rule:
    def check(value: Any, path: Path) -> Iterator[Problem]:
        if value not in allowed:
            yield wrong(path, value, " or ".join(allowed))

    return check


def list_of(rule: Rule) -> Rule:
    def check(value: Any, path: Path) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield wrong(
                path, value, "a list", "Write each item on a line of its own, after a dash."
            )
            return
        for index, item in enumerate(value):
            yield from rule(item, (*path, index))

    return check


def map_of(
    required: Mapping[str, Rule] | None = None,
    optional: Mapping[str, Rule] | None = None,
    *,
    others: Rule | None = None,
) -> Rule:
    """A map with these keys. Other keys are free, or follow the rule `others`."""
    required = required or {}
    rules = {**required, **(optional or {})}

    def check(value: Any, path: Path) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield wrong(path, value, "a map")
            return
        for key in required:
            if key not in value:
                yield missing((*path, key), _EXPECTED.get(rules[key], "a value"))
        for key, item in value.items():
            rule = rules.get(key, others)
            if rule is not None:
                yield from rule(item, (*path, key))

    return check


def map_or_list_of_maps(rule: Rule) -> Rule:
    many = list_of(rule)

    def check(value: Any, path: Path) -> Iterator[Problem]:
        if isinstance(value, dict):
            yield from rule(value, path)
        elif isinstance(value, list):
            yield from many(value, path)
        else:
            yield wrong(path, value, "a map or a list of maps")

    return check


def _quote_hint(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return "Put quotes around the value."
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("{"):
        return UNFILLED
    return ""


texts = list_of(text)
a_map = map_of()


def definition(value: Any, path: Path) -> Iterator[Problem]:
    """Text; or, beyond Backstage, `{type: url, url: …}` for a definition that lies elsewhere."""
    if isinstance(value, dict) and set(value) == {"type", "url"} and value["type"] == "url":
        yield from text(value["url"], (*path, "url"))
    elif not isinstance(value, str) or not value:
        yield wrong(
            path,
            value,
            NON_EMPTY_TEXT,
            "Write the definition as text, for example with $text: ./openapi.yaml."
            if isinstance(value, dict)
            else "",
        )


_EXPECTED: dict[Rule, str] = {
    text: NON_EMPTY_TEXT,
    texts: "a list, which may be empty",
    definition: NON_EMPTY_TEXT,
}


# --- kinds ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RefField:
    """A field of `spec` that names other entities.

    default_kind: used where a reference names none; None: each one must. relation: its name on
    our blueprint, where that is not the field's.
    """

    name: str
    default_kind: str | None
    many: bool = False
    relation: str = ""

    @property
    def relation_name(self) -> str:
        return self.relation or self.name


@dataclass(frozen=True, slots=True)
class Kind:
    """api_versions: those that Backstage knows. variants: further rules by `spec.type`."""

    api_versions: tuple[str, ...]
    spec: Rule
    refs: tuple[RefField, ...] = ()
    variants: Mapping[str, Rule] = field(default_factory=dict)


CORE = ("backstage.io/v1alpha1", "backstage.io/v1beta1")

_OWNER = RefField("owner", "Group")
_SYSTEM = RefField("system", "System")
_DEPENDS_ON = RefField("dependsOn", None, many=True)
_DEPENDENCY_OF = RefField("dependencyOf", None, many=True)

_PROFILE = map_of(optional={"displayName": text, "email": text, "picture": text})
_PERMISSIONS = map_of(optional={"tags": list_of(any_text)})
_PARAMETERS = map_of(optional={"when": text_or_flag, "backstage:permissions": _PERMISSIONS})
_DECORATORS = list_of(map_of(optional={"id": any_text, "input": a_map}))

KINDS: dict[str, Kind] = {
    "Component": Kind(
        CORE,
        map_of(
            {"type": text, "lifecycle": text, "owner": text},
            {
                "system": text,
                "subcomponentOf": text,
                "providesApis": texts,
                "consumesApis": texts,
                "dependsOn": texts,
            },
        ),
        (
            _OWNER,
            _SYSTEM,
            RefField("subcomponentOf", "Component"),
            RefField("providesApis", "API", many=True),
            RefField("consumesApis", "API", many=True),
            _DEPENDS_ON,
            _DEPENDENCY_OF,
        ),
    ),
    "API": Kind(
        CORE,
        map_of(
            {"type": text, "lifecycle": text, "owner": text, "definition": definition},
            {"system": text},
        ),
        (_OWNER, _SYSTEM),
    ),
    "Resource": Kind(
        CORE,
        map_of(
            {"type": text, "owner": text},
            {"system": text, "dependsOn": texts},
        ),
        (_OWNER, _SYSTEM, _DEPENDS_ON, _DEPENDENCY_OF),
    ),
    "System": Kind(
        CORE,
        map_of({"owner": text}, {"domain": text, "type": text}),
        (_OWNER, RefField("domain", "Domain")),
    ),
    "Domain": Kind(
        CORE,
        map_of({"owner": text}, {"subdomainOf": text, "type": text}),
        (_OWNER, RefField("subdomainOf", "Domain")),
    ),
    "Group": Kind(
        CORE,
        map_of(
            {"type": text, "children": texts},
            {"profile": _PROFILE, "parent": text, "members": texts},
        ),
        (
            RefField("parent", "Group"),
            RefField("children", "Group", many=True),
            RefField("members", "User", many=True),
        ),
    ),
    "User": Kind(
        CORE,
        map_of({"memberOf": texts}, {"profile": _PROFILE}),
        (RefField("memberOf", "Group", many=True, relation="team"),),
    ),
    "Location": Kind(
        CORE,
        map_of(
            optional={
                "type": text,
                "target": text,
                "targets": texts,
                "presence": one_of("required", "optional"),
            }
        ),
    ),
    "Template": Kind(
        ("scaffolder.backstage.io/v1beta3",),
        map_of(
            {
                "type": text,
                "steps": list_of(
                    map_of(
                        {"action": any_text},
                        {
                            "id": any_text,
                            "name": any_text,
                            "input": a_map,
                            "if": text_or_flag,
                            "backstage:permissions": _PERMISSIONS,
                        },
                    )
                ),
            },
            {
                "owner": text,
                "lifecycle": text,
                "parameters": map_or_list_of_maps(_PARAMETERS),
                "secrets": map_of(optional={"schema": a_map}),
                "presentation": map_of(
                    optional={
                        "buttonLabels": map_of(
                            optional={
                                "backButtonText": any_text,
                                "createButtonText": any_text,
                                "reviewButtonText": any_text,
                            }
                        )
                    }
                ),
                "EXPERIMENTAL_recovery": map_of(optional={"EXPERIMENTAL_strategy": any_text}),
                "formDecorators": _DECORATORS,
                "EXPERIMENTAL_formDecorators": _DECORATORS,
                "output": map_of(
                    optional={
                        "links": list_of(
                            map_of(
                                optional={
                                    "if": text_or_flag,
                                    "url": text,
                                    "entityRef": text,
                                    "title": text,
                                    "icon": text,
                                }
                            )
                        ),
                        "text": list_of(
                            map_of(
                                optional={
                                    "if": text_or_flag,
                                    "title": text,
                                    "icon": text,
                                    "content": any_text,
                                }
                            )
                        ),
                    },
                    others=any_text,
                ),
            },
        ),
        (_OWNER,),
    ),
    "AiResource": Kind(
        ("backstage.io/v1alpha1",),
        map_of({"type": text, "lifecycle": text, "owner": text}, {"system": text}),
        (
            _OWNER,
            _SYSTEM,
            RefField("dependsOn", "AiResource", many=True),
            RefField("skills", "AiResource", many=True),
            RefField("plugins", "AiResource", many=True),
        ),
        {
            "skill": map_of(
                optional={
                    "disciplines": texts,
                    "categories": texts,
                    "agents": texts,
                    "dependsOn": texts,
                    "allowedTools": text,
                    "license": text,
                    "compatibility": short_text(500),
                }
            ),
            "rule": map_of({"category": text, "rationale": text}, {"disciplines": texts}),
            "plugin": map_of({"skills": texts}, {"version": text}),
            "marketplace": map_of({"plugins": texts}, {"version": text}),
        },
    ),
}

BY_LOWER_NAME = {name.lower(): name for name in KINDS}

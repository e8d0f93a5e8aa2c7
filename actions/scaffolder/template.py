"""A software template as its descriptor writes it, read once into what the runner works with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from catalog.kernel.errors import InvalidInput
from catalog.kernel.schema import compile_schema

API_VERSION: Final = "scaffolder.backstage.io/v1beta3"
MAX_STEPS: Final = 200

# A step asks for these where it wants to run although an earlier one failed.
_ASKS_STATUS: Final = re.compile(r"\b(?:always|failure)\s*\(")


@dataclass(frozen=True, slots=True)
class Step:
    """condition: `if` as it was written, None where there is none. each: what it is repeated
    for."""

    id: str
    name: str
    action: str
    input: Mapping[str, Any] = field(default_factory=dict)
    condition: str | bool | None = None
    each: Any = None

    @property
    def runs_after_failure(self) -> bool:
        return isinstance(self.condition, str) and bool(_ASKS_STATUS.search(self.condition))


@dataclass(frozen=True, slots=True)
class Template:
    """pages: the JSON Schemas of its form. secrets: the schema of what a caller must send beside
    it, None where nothing is asked."""

    ref: str
    title: str
    description: str
    pages: Sequence[Mapping[str, Any]]
    steps: Sequence[Step]
    output: Mapping[str, Any]
    secrets: Mapping[str, Any] | None = None
    presentation: Mapping[str, Any] = field(default_factory=dict)

    def check_secrets(self, given: Mapping[str, str]) -> None:
        """Raises InvalidInput naming the secret, never its value."""
        if self.secrets is None:
            return
        problems = compile_schema({"type": "object", **self.secrets}).problems(dict(given))
        if problems:
            missing = set(self.secrets.get("required") or ()) - set(given)
            what = ", ".join(sorted(missing)) or problems[0].path or "secrets"
            raise InvalidInput(
                f"The template needs secrets that were not sent, or are no text: {what}",
                details={"field": "secrets", "expected": what},
            )


def read_template(document: Any) -> Template:
    """Read the descriptor of a Template. Raises InvalidInput naming the path."""
    given = _map(document, "template")
    version = given.get("apiVersion")
    if version != API_VERSION:
        raise InvalidInput.of(
            "apiVersion",
            version,
            API_VERSION,
            hint="The older form of templates writes expressions in another way."
            if version in ("backstage.io/v1beta2", "backstage.io/v1alpha1")
            else "",
        )
    metadata = _map(given.get("metadata") or {}, "metadata")
    spec = _map(given.get("spec"), "spec")
    name = _text(metadata.get("name"), "metadata.name")
    namespace = _optional_text(metadata, "namespace", "metadata") or "default"
    secrets = _map(spec.get("secrets") or {}, "spec.secrets").get("schema")
    return Template(
        ref=f"template:{namespace}/{name}".lower(),
        title=_optional_text(metadata, "title", "metadata") or name,
        description=_optional_text(metadata, "description", "metadata"),
        pages=_pages(spec.get("parameters")),
        steps=_steps(spec.get("steps")),
        output=_map(spec.get("output") or {}, "spec.output"),
        secrets=None if secrets is None else _map(secrets, "spec.secrets.schema"),
        presentation=_map(spec.get("presentation") or {}, "spec.presentation"),
    )


def _pages(given: Any) -> Sequence[Mapping[str, Any]]:
    if not given:
        return ()
    if isinstance(given, Mapping):
        return (given,)
    if not isinstance(given, list):
        raise InvalidInput.of("spec.parameters", given, "a map, or a list of maps")
    return tuple(_map(one, f"spec.parameters[{number}]") for number, one in enumerate(given))


def _steps(given: Any) -> Sequence[Step]:
    if not isinstance(given, list):
        raise InvalidInput.of("spec.steps", given, "a list of steps")
    if len(given) > MAX_STEPS:
        raise InvalidInput.of("spec.steps", f"{len(given)} steps", f"at most {MAX_STEPS}")
    found: dict[str, Step] = {}
    for number, one in enumerate(given):
        step = _step(_map(one, f"spec.steps[{number}]"), number)
        if step.id in found:
            raise InvalidInput.of(f"spec.steps[{number}].id", step.id, "an id of its own")
        found[step.id] = step
    return tuple(found.values())


def _step(given: Mapping[str, Any], number: int) -> Step:
    path = f"spec.steps[{number}]"
    action = _text(given.get("action"), f"{path}.action")
    condition = given.get("if")
    if condition is not None and not isinstance(condition, str | bool):
        raise InvalidInput.of(f"{path}.if", condition, "an expression, true or false")
    each = given.get("each")
    if each is not None and not isinstance(each, str | list | Mapping):
        raise InvalidInput.of(f"{path}.each", each, "an expression, a list or a map")
    return Step(
        id=_optional_text(given, "id", path) or f"step-{number + 1}",
        name=_optional_text(given, "name", path) or action,
        action=action,
        input=_map(given.get("input") or {}, f"{path}.input"),
        condition=condition,
        each=each,
    )


def _map(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput.of(path, value, "a map")
    return value


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput.of(path, value, "text")
    return value


def _optional_text(holder: Mapping[str, Any], key: str, path: str) -> str:
    value = holder.get(key)
    if value is not None and not isinstance(value, str):
        raise InvalidInput.of(f"{path}.{key}", value, "text")
    return value or ""

"""`spec.parameters` of a software template, read: JSON Schema with hints on how to ask for it.

    definition_of_parameters(entity["spec"])

The pages become steps. Which of their questions there are depends on the answers (`conditions`),
so a definition is made anew for each set of them; `fields` says how each is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from actions.inputs.definition import Definition, Field, Step
from actions.inputs.parameters.conditions import effective
from actions.inputs.parameters.fields import children_of, option
from actions.inputs.parameters.schemas import cleaned, names_in

__all__ = ["definition_of_parameters"]

_ASKED = ("parameters", "secrets", "presentation")


def definition_of_parameters(spec: Mapping[str, Any] | None) -> Definition:
    """The form of a template with this `spec`; cached by what it says of parameters.

    What is no JSON Schema there is left out of the form; checking values against it says so.
    """
    return _compiled(orjson.dumps({key: (spec or {}).get(key) for key in _ASKED}))


@lru_cache(maxsize=256)
def _compiled(spec: bytes) -> Definition:
    return _Template(orjson.loads(spec)).now({})


class _Template:
    def __init__(self, spec: Mapping[str, Any]) -> None:
        given = spec.get("parameters")
        pages = given if isinstance(given, list) else [given]
        self.pages = [page for page in pages if isinstance(page, Mapping)]
        secrets = spec.get("secrets")
        schema = secrets.get("schema") if isinstance(secrets, Mapping) else None
        self.secrets_schema = cleaned(schema) if isinstance(schema, Mapping) else None
        presentation = spec.get("presentation")
        labels = presentation.get("buttonLabels") if isinstance(presentation, Mapping) else None
        self.labels = labels if isinstance(labels, Mapping) else {}

    def now(self, values: Mapping[str, Any]) -> Definition:
        """The questions there are for these answers."""
        fields: dict[str, Field] = {}
        steps: list[Step] = []
        required: list[str] = []
        schemas: list[Mapping[str, Any]] = []
        for page in self.pages:
            schema = effective(page, values)
            asked = children_of(schema, page)
            # a later page that asks the same again adds nothing: the values are one object
            names = tuple(name for name in asked if name not in fields)
            fields |= {name: asked[name] for name in names}
            required += [name for name in names_in(schema.get("required")) if name in asked]
            own = {name: one.schema for name, one in asked.items()}
            clean = cleaned(schema)
            schemas.append({**clean, "properties": {**clean.get("properties", {}), **own}})
            title, description = option(page, "title"), option(page, "description")
            steps.append(Step(str(title or ""), str(description or ""), names))
        return Definition(
            fields=fields,
            steps=tuple(steps),
            required=tuple(dict.fromkeys(required)),
            is_wizard=len(steps) > 1,
            has_review=bool(steps),
            is_open=True,
            button=str(self.labels.get("createButtonText") or ""),
            expand=self.now,
            schemas=tuple(schemas),
            secrets_schema=self.secrets_schema,
        )

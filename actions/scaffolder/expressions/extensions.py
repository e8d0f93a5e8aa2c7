"""Filters and globals that others bring, each with what `GET /v2/templating-extensions` tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Function:
    """A filter (it gets its input first) or a function of templates.

    call: takes JSON values, UNDEFINED for what is not there, and returns one; raises ValueError,
    TypeError, LookupError or an IdpError with a message for whoever wrote the template.
    schema: {"arguments": [JSON Schema], "output": JSON Schema}; a filter's first argument is its
    input. examples: [{"description"?, "example", "notes"?}].
    """

    call: Callable[..., Any]
    description: str = ""
    schema: Mapping[str, Any] = field(default_factory=dict)
    examples: Sequence[Mapping[str, str]] = ()

    def described(self, *, is_filter: bool) -> dict[str, Any]:
        """{description?, schema?, examples?}; a filter's schema names its `input` apart."""
        schema = dict(self.schema)
        if is_filter and schema.get("arguments"):
            schema["input"], *rest = schema.pop("arguments")
            if rest:
                schema["arguments"] = rest
        result: dict[str, Any] = {"description": self.description, "schema": schema}
        result["examples"] = [dict(example) for example in self.examples]
        return {key: value for key, value in result.items() if value}


@dataclass(frozen=True, slots=True)
class Value:
    """A value that templates see under a name."""

    value: Any
    description: str = ""

    def described(self) -> dict[str, Any]:
        result = {"value": self.value, "description": self.description}
        return {key: value for key, value in result.items() if value != ""}

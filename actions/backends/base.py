"""What the backends share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actions.services import templating
from catalog.kernel.errors import InvalidInput

FIELD: Final = "invocationMethod"  # how errors call the method

# Texts of a method may be templates, so these are what a filled in method must fit.
TEXT: Final[Mapping[str, Any]] = {"type": "string", "minLength": 1}
FLAG: Final[Mapping[str, Any]] = {"type": ["boolean", "string"]}


class MethodBackend:
    """A backend whose work is done by a worker here.

    schema: JSON Schema of the method, as `actions.registry.Backend` says.
    """

    type: str
    title: str
    description: str
    icon: str
    schema: Mapping[str, Any]

    def check(self, method: Mapping[str, Any]) -> None:
        """Raises InvalidInput for a method that could never work."""
        templating.check(method, field=FIELD)

    def agent_of(self, payload: Mapping[str, Any]) -> str:
        return ""


def is_true(value: Any) -> bool:
    """A switch of a filled in method, which may have been a text."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def is_false(value: Any) -> bool:
    return value is False or (isinstance(value, str) and value.strip().lower() == "false")


def text_of(payload: Mapping[str, Any], key: str, *, field: str = FIELD) -> str:
    """A filled in text. Raises InvalidInput when there is none."""
    value = payload.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput.of(f"{field}.{key}", value, "text")
    return value.strip()

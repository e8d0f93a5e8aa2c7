"""`${NAME}` in texts: a value that stands elsewhere, such as a secret.

`${NAME:-text}` gives `text` where NAME is unset or empty; `$${` stands for `${` itself. Keys of
objects are taken as they are, and what comes in for a placeholder is not looked into again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from catalog.kernel.errors import InvalidInput
from catalog.kernel.json_text import texts_in

_PLACEHOLDER = re.compile(r"\$\$\{|\$\{([A-Za-z0-9_-]+)(?::-([^}]*))?\}")


def names_in(document: Any) -> set[str]:
    """The names that the placeholders of a JSON document ask for, those with a default too."""
    return {
        match[1] for text in texts_in(document) for match in _PLACEHOLDER.finditer(text) if match[1]
    }


def expand(document: Any, values: Mapping[str, str], *, path: str = "", what: str) -> Any:
    """`document` with every placeholder replaced.

    what: of what kind the names are, for the error ("secret", "environment variable"). Raises
    InvalidInput naming the path of the first that is missing ("sources[0].token").
    """
    if isinstance(document, str):
        return _PLACEHOLDER.sub(lambda match: _value(match, values, path, what), document)
    if isinstance(document, Mapping):
        return {
            key: expand(value, values, path=f"{path}.{key}" if path else str(key), what=what)
            for key, value in document.items()
        }
    if isinstance(document, list | tuple):
        return [
            expand(value, values, path=f"{path}[{index}]", what=what)
            for index, value in enumerate(document)
        ]
    return document


def _value(match: re.Match[str], values: Mapping[str, str], path: str, what: str) -> str:
    name, default = match[1], match[2]
    if name is None:
        return "${"
    value = values.get(name)
    if default is not None:
        return value or default
    if value is not None:
        return value
    raise InvalidInput(
        f"{path or 'The text'}: there is no {what} {name}",
        details={"field": path, "value": f"${{{name}}}", "expected": f"the name of a known {what}"},
    )

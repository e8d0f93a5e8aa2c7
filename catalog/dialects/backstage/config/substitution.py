"""`${VARIABLE}` as Backstage reads it in configuration.

`${X:-text}` gives `text` where X is unset or empty, `$${X}` stands for `${X}` itself, and one
variable that is not set makes the whole text undefined.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PLACEHOLDER = re.compile(r"\$?\$\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Substituted:
    """text: None where it is undefined. template: see `Leaf`."""

    text: str | None = field(repr=False)
    template: str = field(repr=False)
    variables: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def substitute(text: str, environ: Mapping[str, str]) -> Substituted:
    variables: list[str] = []
    missing: list[str] = []
    template: list[str] = []
    clear: list[str] = []
    at = 0
    for match in _PLACEHOLDER.finditer(text):
        between = text[at : match.start()]
        clear.append(between)
        template.append(between)
        at = match.end()
        found = match[0]
        if found.startswith("$$"):
            clear.append(found[1:])
            template.append(found)
            continue
        name, has_default, default = (part.strip() for part in found[2:-1].partition(":-"))
        value = environ.get(name)
        if has_default:
            value = value or default or None
        if has_default and not environ.get(name) and value is not None:
            clear.append(value)
            template.append(escaped(value))
            continue
        variables.append(name)
        template.append(reference(name))
        if value is None:
            missing.append(name)
        else:
            clear.append(value)
    clear.append(text[at:])
    template.append(text[at:])
    return Substituted(
        None if missing else "".join(clear),
        "".join(template) if variables else "",
        tuple(dict.fromkeys(variables)),
        tuple(dict.fromkeys(missing)),
    )


def secret_name(variable: str) -> str:
    """The name of the secret that keeps a variable's value: letters, digits, - and _."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", variable)[:100] or "_"


def reference(variable: str) -> str:
    return "${" + secret_name(variable) + "}"


def escaped(text: str) -> str:
    """`text` so that nothing in it is taken for a reference when it is stored."""
    return text.replace("${", "$${")

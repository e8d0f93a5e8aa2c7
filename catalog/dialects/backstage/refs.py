"""Entity references: `[kind:][namespace/]name`, compared without regard to case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.kernel.errors import shorten

DEFAULT_NAMESPACE = "default"


class RefError(ValueError):
    """A text or map that is not an entity reference."""


@dataclass(frozen=True, slots=True)
class EntityRef:
    """A full reference in the spelling of whoever wrote it; `str()` is the canonical form."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.namespace}/{self.name}".lower()


def parse_ref(
    ref: Any, *, default_kind: str | None = None, default_namespace: str = DEFAULT_NAMESPACE
) -> EntityRef:
    """Read a reference in its text form, or as a map of `kind`, `namespace` and `name`.

    The kind ends at the first colon, the namespace at the first slash; a slash before the colon
    makes the colon part of the name. What the parts may consist of is not checked: references to
    things that cannot exist are legal, they just lead nowhere.

    Raises RefError when a part is empty, or the kind is neither written nor given.
    """
    if not ref:
        raise RefError("an entity reference must not be empty")
    if isinstance(ref, str):
        kind, namespace, name = _split(ref)
    elif isinstance(ref, Mapping):
        kind, namespace, name = (_part(ref, key) for key in ("kind", "namespace", "name"))
    else:
        raise RefError(
            f"{shorten(ref)} is not an entity reference; expected [kind:][namespace/]name"
        )
    kind = default_kind if kind is None else kind
    namespace = (default_namespace or DEFAULT_NAMESPACE) if namespace is None else namespace
    if not kind:
        example = f"component:{shorten(name or 'name')}"
        raise RefError(f'reference "{shorten(ref)}" needs a kind in front, as in {example}')
    if not namespace or not name:
        raise RefError(f'reference "{shorten(ref)}" has no {"namespace" if name else "name"}')
    return EntityRef(kind, namespace, name)


def _split(ref: str) -> tuple[str | None, str | None, str]:
    kind: str | None = None
    namespace: str | None = None
    rest = ref
    colon, slash = ref.find(":"), ref.find("/")
    if colon >= 0 and not 0 <= slash < colon:
        kind, rest = rest[:colon], rest[colon + 1 :]
    if "/" in rest:
        namespace, _, rest = rest.partition("/")
    if "" in (kind, namespace, rest):
        raise RefError(f'reference "{shorten(ref)}" is not of the form [kind:][namespace/]name')
    return kind, namespace, rest


def _part(ref: Mapping[str, Any], key: str) -> Any:
    value = ref.get(key)
    if value is not None and not isinstance(value, str):
        raise RefError(f"{key} of an entity reference must be text, not {shorten(value)}")
    return value

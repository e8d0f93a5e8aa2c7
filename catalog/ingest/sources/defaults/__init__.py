"""What a kind brings along: a folder each, `<kind>/{blueprints.yaml,mapping.yaml,samples.json}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from catalog.kernel.yaml_reader import load_document

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Defaults:
    """Read anew at every call: they are asked for rarely, and the caller may change them."""

    kind: str

    @property
    def blueprints(self) -> Sequence[Any]:
        """Blueprints in Port's format, those that others relate to first."""
        loaded: list[Any] = self._yaml("blueprints.yaml")
        return loaded

    @property
    def mapping(self) -> Any:
        """The mapping document in Port's format ({"resources": […]})."""
        return self._yaml("mapping.yaml")

    @property
    def samples(self) -> Mapping[str, Sequence[Any]]:
        """Raw objects by the name of their resource kind."""
        loaded: dict[str, list[Any]] = orjson.loads((self._folder / "samples.json").read_bytes())
        return loaded

    @property
    def _folder(self) -> Path:
        return _FOLDER / self.kind

    def _yaml(self, name: str) -> Any:
        return load_document((self._folder / name).read_bytes(), name=f"{self.kind}/{name}")


def defaults_of(kind: str) -> Defaults:
    """What the kind of that name brings along."""
    return Defaults(kind)

"""What a kind brings along: a folder each, `<kind>/{blueprints.yaml,mapping.yaml,samples.json}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from catalog.kernel.source import SourceKind
from catalog.kernel.yaml_reader import load_document

_FOLDER = Path(__file__).parent


class BundledKind(SourceKind):
    """A source kind whose defaults are the files in the folder of its name.

    They are read anew at every call: they are asked for rarely, and the caller may change them.
    """

    def blueprints(self) -> Sequence[Any]:
        """Blueprints in Port's format, those that others relate to first."""
        loaded: list[Any] = self._yaml("blueprints.yaml")
        return loaded

    def mapping(self) -> Any:
        """The mapping document in Port's format ({"resources": […]})."""
        return self._yaml("mapping.yaml")

    def samples(self) -> Mapping[str, Sequence[Any]]:
        """Raw objects by the name of their resource kind."""
        path = _FOLDER / self.name / "samples.json"
        loaded: dict[str, list[Any]] = orjson.loads(path.read_bytes())
        return loaded

    def _yaml(self, name: str) -> Any:
        path = _FOLDER / self.name / name
        return load_document(path.read_bytes(), name=f"{self.name}/{name}")

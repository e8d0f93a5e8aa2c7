"""From the formats in which scorecards are written to what they say, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from catalog.kernel.yaml_writer import write_yaml
from scorecards.definition import Definition
from scorecards.formats import cortex, native
from scorecards.formats.cortex_writing import as_cortex
from scorecards.models import Scorecard

__all__ = ["cortex", "definition_of", "descriptor_of", "document_of", "native", "read"]

CACHED: Final = 500
_cache: dict[tuple[Any, ...], Definition] = {}


def read(
    dialect: str, identifier: str, blueprint: str | None, document: Mapping[str, Any]
) -> Definition:
    """What a document that was checked says. blueprint: the identifier of its own."""
    if dialect == Scorecard.Dialect.CORTEX:
        return cortex.read(identifier, document)
    return native.read(identifier, blueprint, document)


def definition_of(scorecard: Scorecard) -> Definition:
    """What a scorecard says; `blueprint` must be loaded. Kept until it changes."""
    blueprint = scorecard.blueprint.identifier if scorecard.blueprint else None
    # a version of a transaction that was rolled back is not the next one of that number
    moment = scorecard.updated_at
    key = (scorecard.pk, scorecard.version, moment, scorecard.identifier, blueprint)
    found = _cache.get(key) if scorecard.pk else None
    if found is None:
        found = read(scorecard.dialect, scorecard.identifier, blueprint, scorecard.document)
        if scorecard.pk:
            if len(_cache) >= CACHED:
                _cache.clear()
            _cache[key] = found
    return found if found.state == scorecard.state else replace(found, state=scorecard.state)


def document_of(scorecard: Scorecard) -> dict[str, Any]:
    """A scorecard as JSON of the API, without identifier and blueprint."""
    is_native = scorecard.dialect == Scorecard.Dialect.NATIVE
    return native.write(definition_of(scorecard), scorecard.document if is_native else None)


def descriptor_of(scorecard: Scorecard) -> str:
    """A scorecard as Cortex's YAML: as it was sent, or translated.

    Raises Conflict where its filter cannot be said in CQL.
    """
    if scorecard.dialect == Scorecard.Dialect.CORTEX:
        return write_yaml(scorecard.document)
    properties = scorecard.blueprint.properties if scorecard.blueprint else {}
    return write_yaml(as_cortex(definition_of(scorecard), properties))

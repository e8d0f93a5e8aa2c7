"""Asking what would be said of a scorecard if it were saved, without saving it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.kernel.errors import IdpError, InvalidInput
from catalog.kernel.yaml_reader import YamlDocument
from scorecards import formats
from scorecards.definition import Definition
from scorecards.formats import cortex, native
from scorecards.services.checking import Remark, findings_of
from scorecards.services.definitions import is_cortex


@dataclass(frozen=True, slots=True)
class Validation:
    """errors: why it could not be saved. definition: None where not even its shape is right."""

    errors: tuple[IdpError, ...]
    remarks: tuple[Remark, ...] = ()
    definition: Definition | None = None

    def problems(self) -> list[dict[str, Any]]:
        """{"field", "message", "expected", "hint", "rule", "line", "column"}; what is not known is
        left out. Of YAML, `line` is that of the text; else it is a line of the expression.
        """
        return [one for error in self.errors for one in self._told(error)]

    def _told(self, error: IdpError) -> list[dict[str, Any]]:
        details = error.details
        if nested := details.get("problems"):
            return [
                {"field": one["path"] or "body", **_given(one, "message", "expected")}
                for one in nested
            ]
        field = str(details.get("field") or "body")
        told = {"field": field, "message": error.message, **_given(details, "expected")}
        told |= {"hint": error.hint} if error.hint else {}
        told |= _given({**details, **details.get("position", {})}, "line", "column")
        if "file" in details:
            told["line"] = details["line"]
        steps = field.split(".")
        if self.definition and steps[0] == "rules" and len(steps) > 1 and steps[1].isdecimal():
            told["rule"] = self.definition.rules[int(steps[1])].identifier
        return [told]


def validate(given: bytes | str | Mapping[str, Any], *, blueprint: str | None = None) -> Validation:
    """A scorecard as JSON, or as YAML of Cortex. blueprint: the one that JSON is about, if any."""
    source: YamlDocument | None = None
    try:
        if isinstance(given, Mapping):
            body = given
        else:
            source = cortex.load(given, "scorecard")
            body = source.value
        definition = _definition(body, source is not None or is_cortex(body), blueprint)
    except IdpError as error:
        return Validation((_placed(error, source),))
    found = findings_of(definition)
    errors = tuple(_placed(one, source) for one in found.errors)
    return Validation(errors, tuple(found.remarks), definition)


def _definition(body: Mapping[str, Any], is_of_cortex: bool, blueprint: str | None) -> Definition:
    if is_of_cortex:
        document = cortex.identified(cortex.check(body), ())
        return formats.read("cortex", document["tag"], None, document)
    document = native.check(body)
    name = body.get("identifier")
    return formats.read("native", name if isinstance(name, str) else "", blueprint, document)


def _placed(error: IdpError, source: YamlDocument | None) -> IdpError:
    if source is None or not isinstance(error, InvalidInput):
        return error
    return cortex.placed(error, source, "scorecard")


def _given(values: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: values[key] for key in keys if values.get(key)}

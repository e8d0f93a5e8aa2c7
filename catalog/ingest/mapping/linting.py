"""What is odd about a mapping that can be carried out all the same."""

from __future__ import annotations

from typing import Any

from catalog.ingest.mapping.model import Finding, Mapping, static_blueprint
from catalog.ingest.mapping.shapes import ShapeOf, shape_of
from catalog.kernel.errors import shorten


def lint(mapping: Mapping, *, shapes: ShapeOf = shape_of) -> list[Finding]:
    """Remarks on a mapping that was understood: those of its reading, and names that its
    blueprints do not have."""
    findings = list(mapping.findings)
    needed = {need.identifier for need in mapping.needs}
    known: dict[str, Any] = {}
    for resource in mapping.resources:
        for template in resource.templates:
            name = static_blueprint(template)
            if name is None or name in needed:
                continue
            if name not in known:
                shape = shapes(name)
                known[name] = shape if shape and shape.identifier == name else None
            path = resource.origin or resource.kind
            if known[name] is None:
                message = f'There is no blueprint "{shorten(name)}"'
                findings.append(Finding("warning", path, message))
                continue
            for key, part, names in (
                ("properties", "property", known[name].properties),
                ("relations", "relation", known[name].relations),
            ):
                group = template.body.get(key)
                for one in group if isinstance(group, dict) else ():
                    if one not in names:
                        message = f'The blueprint "{name}" has no {part} "{shorten(one)}"'
                        findings.append(Finding("warning", f"{path}: {key}.{one}", message))
    return list(dict.fromkeys(findings))

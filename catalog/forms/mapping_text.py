"""A mapping as people read and write it: YAML, of which JSON is a part."""

from __future__ import annotations

from typing import Any

from catalog.kernel.errors import InvalidInput, shorten
from catalog.kernel.json_text import write_json
from catalog.kernel.schema import check_json
from catalog.kernel.yaml_reader import YamlError, load_document
from catalog.kernel.yaml_writer import write_yaml


def as_text(document: Any) -> str:
    """`document` as text that `read_text` reads back equal."""
    if not document:
        return ""
    text = write_yaml(document, width=100_000)  # jq stays in its line
    try:
        is_same = write_json(load_document(text.encode(), name="")) == write_json(document)
    except YamlError:
        is_same = False
    # YAML has several minds about what is a number; JSON has one.
    return text if is_same else write_json(document)


def read_text(text: str, *, field: str = "mapping") -> dict[str, Any]:
    """The document; {} for empty text. Raises InvalidInput with the line."""
    if not text.strip():
        return {}
    try:
        document = load_document(text.encode(), name=field)
    except YamlError as error:
        raise InvalidInput(
            f"Line {error.line}: {error.problem}",
            hint=error.hint,
            details={"field": field, "line": error.line, "expected": "YAML or JSON"},
        ) from None
    except UnicodeEncodeError:
        raise InvalidInput(
            "The text has characters that are none", details={"field": field}
        ) from None
    if document is None:
        return {}
    if isinstance(document, list):
        document = {"mappings": document}
    if not isinstance(document, dict):
        raise InvalidInput(
            f"A mapping is an object with resources, not {shorten(document)}",
            details={"field": field, "value": shorten(document), "expected": "an object"},
        )
    check_json(document)
    return document

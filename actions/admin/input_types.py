"""The types of inputs, as the builder's picker offers them. Types and formats are Port's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from catalog.admin.property_types import PropertyType

INPUT_TYPES: Final = (
    PropertyType("Text", "string", "Text", "notes", "string"),
    PropertyType("Text", "multi-line", "Long text", "subject", "string", "multi-line"),
    PropertyType("Text", "markdown", "Markdown", "markdown", "string", "markdown"),
    PropertyType("Text", "url", "URL", "link", "string", "url"),
    PropertyType("Text", "email", "E-mail", "mail", "string", "email"),
    PropertyType("Text", "ipv4", "IPv4 address", "lan", "string", "ipv4"),
    PropertyType("Text", "ipv6", "IPv6 address", "lan", "string", "ipv6"),
    PropertyType("Text", "yaml", "YAML", "data_object", "string", "yaml"),
    PropertyType("Text", "proto", "Protobuf", "data_object", "string", "proto"),
    PropertyType("Values", "number", "Number", "pin", "number"),
    PropertyType("Values", "boolean", "Yes or no", "toggle_on", "boolean"),
    PropertyType("Values", "date-time", "Date and time", "calendar_month", "string", "date-time"),
    PropertyType("Catalogue", "entity", "Entity", "deployed_code", "string", "entity"),
    PropertyType("Catalogue", "user", "Person", "person", "string", "user"),
    PropertyType("Catalogue", "team", "Team", "groups", "string", "team"),
    PropertyType("Structures", "array", "List", "list", "array"),
    PropertyType("Structures", "object", "Object", "data_object", "object"),
    PropertyType("Structures", "object-yaml", "Object as YAML", "data_object", "object", "yaml"),
    PropertyType(
        "Structures", "labeled-url", "Link with a label", "add_link", "object", "labeled-url"
    ),
)

# How secret inputs are encrypted on their way to whoever does the work.
ENCRYPTIONS: Final = ("aes256-gcm", "fernet")


def input_types() -> list[dict[str, Any]]:
    return [asdict(one) for one in INPUT_TYPES]

"""The types of properties, as the builder's picker offers them. Types and formats are Port's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PropertyType:
    """key: unique among them. icon: a Material Symbol."""

    group: str
    key: str
    title: str
    icon: str
    type: str
    format: str | None = None
    spec: str | None = None


PROPERTY_TYPES = (
    PropertyType("Text", "string", "Text", "notes", "string"),
    PropertyType("Text", "markdown", "Markdown", "markdown", "string", "markdown"),
    PropertyType("Text", "url", "URL", "link", "string", "url"),
    PropertyType("Text", "email", "E-mail", "mail", "string", "email"),
    PropertyType("Text", "yaml", "YAML", "data_object", "string", "yaml"),
    PropertyType("Text", "proto", "Protobuf", "data_object", "string", "proto"),
    PropertyType("Text", "ipv4", "IPv4 address", "lan", "string", "ipv4"),
    PropertyType("Text", "ipv6", "IPv6 address", "lan", "string", "ipv6"),
    PropertyType("Values", "number", "Number", "pin", "number"),
    PropertyType("Values", "boolean", "Yes or no", "toggle_on", "boolean"),
    PropertyType("Values", "date-time", "Date and time", "calendar_month", "string", "date-time"),
    PropertyType("Values", "timer", "Timer (expiry)", "timer", "string", "timer"),
    PropertyType("People", "user", "Person", "person", "string", "user"),
    PropertyType("People", "team", "Team", "groups", "string", "team"),
    PropertyType("Structures", "array", "List", "list", "array"),
    PropertyType("Structures", "object", "Object", "data_object", "object"),
    PropertyType(
        "Structures", "labeled-url", "Link with a label", "add_link", "object", "labeled-url"
    ),
    PropertyType("Documents", "open-api", "OpenAPI", "api", "object", None, "open-api"),
    PropertyType("Documents", "open-api-url", "OpenAPI by URL", "api", "string", "url", "open-api"),
    PropertyType("Documents", "async-api", "AsyncAPI", "api", "object", None, "async-api"),
    PropertyType(
        "Documents", "async-api-url", "AsyncAPI by URL", "api", "string", "url", "async-api"
    ),
    PropertyType(
        "Documents", "embedded-url", "Embedded page", "web", "string", "url", "embedded-url"
    ),
)

# Values of `enumColors`.
COLOURS = (
    "blue", "turquoise", "orange", "purple", "pink", "yellow", "green", "red", "gold",
    "silver", "paleBlue", "darkGray", "lightGray", "bronze", "lime", "olive", "brown",
)  # fmt: skip

# What limits the values of a type: JSON Schema keyword, label, kind of input.
LIMITS = {
    "string": [
        ("minLength", "Shortest", "number"),
        ("maxLength", "Longest", "number"),
        ("pattern", "Pattern (regular expression)", "text"),
    ],
    "number": [("minimum", "Smallest", "number"), ("maximum", "Largest", "number")],
    "array": [
        ("minItems", "Fewest items", "number"),
        ("maxItems", "Most items", "number"),
        ("uniqueItems", "Each once", "flag"),
    ],
    "object": [
        ("minProperties", "Fewest keys", "number"),
        ("maxProperties", "Most keys", "number"),
    ],
    "boolean": [],
}


def builder_types() -> list[dict[str, Any]]:
    return [asdict(one) for one in PROPERTY_TYPES]

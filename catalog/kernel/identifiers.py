"""What may be an identifier. Patterns and lengths are those of Port's published API."""

from __future__ import annotations

import secrets
import string

import regex

from catalog.kernel.errors import InvalidInput, shorten

ORGANIZATION = "org_1"  # the only one; clients of Port want it named
BLUEPRINT_MAX = 100
ENTITY_MAX = 1000
PROPERTY_MAX = 100
MAX_BYTES = 2000  # a B-tree entry of PostgreSQL holds 2,704 bytes

_BLUEPRINT = regex.compile(r"(?!\.{1,2}$)[\p{L}0-9@_.+:\\/-]+")
_ENTITY = regex.compile(r"(?!\.{1,2}$)[\p{L}0-9@_.+:\\/=-]+")
_PROPERTY = regex.compile(r"[A-Za-z0-9@_=\\-]+")

_UNSTORABLE = regex.compile("[\x00\ud800-\udfff]")

# Syncs, migrations and live events: what the change feed calls the runs that this server makes.
OWN_RUN = regex.compile(r"(sync|mig|evt)_")

_LETTERS = string.ascii_letters + string.digits


def check_blueprint_identifier(value: object) -> str:
    return _check(
        value, _BLUEPRINT, BLUEPRINT_MAX, "identifier", "letters, digits and @ _ . + : \\ / -"
    )


def check_entity_identifier(value: object) -> str:
    return _check(
        value, _ENTITY, ENTITY_MAX, "identifier", "letters, digits and @ _ . + : \\ / = -"
    )


def check_property_identifier(value: object, *, field: str = "property") -> str:
    """For properties, relations, user inputs and rules."""
    return _check(value, _PROPERTY, PROPERTY_MAX, field, "A-Z a-z 0-9 @ _ = \\ -")


def check_run(value: str) -> str:
    """The id of the action run that a change belongs to; "" for none."""
    return check_property_identifier(value, field="run_id") if value else value


def check_stated_run(value: str) -> str:
    """As `check_run`, for what a caller says: what our own runs did is not for others to add to."""
    if OWN_RUN.match(value):
        raise InvalidInput(
            f'run_id "{shorten(value)}" names a run of this server\'s own; expected an action run',
            details={"field": "run_id", "value": shorten(value), "expected": "an action run"},
        )
    return check_run(value)


def is_storable(value: str) -> bool:
    """Whether there could be such text in the database: it has no place for NUL, nor for halves
    of a surrogate pair. What is asked for by such a name does not exist.
    """
    return _UNSTORABLE.search(value) is None


def storable_text(value: str) -> str:
    """`value` with a replacement character for each one that the database has no place for."""
    return str(_UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value))


def check_length(value: str, field: str, limit: int = ENTITY_MAX) -> str:
    """Refuse text of more than `limit` characters, or too large for a page of an index."""
    if len(value) > limit:
        raise InvalidInput(
            f'{field} "{shorten(value)}" has {len(value)} characters; expected at most {limit}',
            details={"field": field, "value": shorten(value), "expected": f"<= {limit} characters"},
        )
    return check_byte_length(value, field)


def check_byte_length(value: str, field: str, limit: int = MAX_BYTES) -> str:
    """Refuse text that no index page could hold; only long text in wide alphabets gets there."""
    size = len(value.encode("utf-8", "surrogatepass"))
    if size > limit:
        raise InvalidInput(
            f'{field} "{shorten(value)}" has {size} bytes; expected at most {limit}',
            details={"field": field, "value": shorten(value), "expected": f"<= {limit} bytes"},
        )
    return value


def new_entity_identifier() -> str:
    """An identifier for an entity that came without one: `e_` and 16 letters or digits."""
    return "e_" + "".join(secrets.choice(_LETTERS) for _ in range(16))


def _check(value: object, pattern: regex.Pattern[str], limit: int, field: str, allowed: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput(
            f"{field} must be text, not {shorten(value)}",
            details={"field": field, "value": shorten(value), "expected": "text"},
        )
    if not 1 <= len(value) <= limit:
        expected = f"1 to {limit} characters"
        raise InvalidInput(
            f'{field} "{shorten(value)}" has {len(value)} characters; expected {expected}',
            details={"field": field, "value": shorten(value), "expected": expected},
        )
    if not pattern.fullmatch(value):
        raise InvalidInput(
            f'{field} "{shorten(value)}" has a character that is not allowed; '
            f"expected only {allowed}, and not . or .. alone",
            details={"field": field, "value": shorten(value), "expected": allowed},
        )
    return check_byte_length(value, field)

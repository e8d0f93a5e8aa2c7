"""What both formats have: keys of the same name and meaning, and how their values are read.

What is read was checked when it was saved, but maybe by rules of an older release: a value of
another shape counts as not given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from catalog.kernel.errors import InvalidInput
from scorecards.definition import DEFAULT_WINDOW_H, Definition, Filter, Missing, RuleSpec

MAX_RULES: Final = 250  # each is several columns of one statement, which has 1,664 at most
MAX_LEVELS: Final = 50
MAX_TITLE: Final = 300
MAX_WEIGHT: Final = 1_000_000

TEXT: Final = {"type": ["string", "null"]}
FLAG: Final = {"type": ["boolean", "null"]}
_AMOUNT: Final = {"type": ["number", "null"], "minimum": 0, "maximum": MAX_WEIGHT}
_NAMES: Final = {"type": ["array", "null"], "items": {"type": "string", "minLength": 1}}
_CHOICE: Final = {
    "type": ["object", "null"],
    "properties": {"include": _NAMES, "exclude": _NAMES},
    "additionalProperties": False,
}
FILTER_KEYS: Final = {"types": _CHOICE, "groups": _CHOICE, "query": TEXT}
COLOR_PATTERN: Final = "[0-9A-Fa-f]{6}"
_RULE_KEYS: Final = {
    "description": TEXT,
    "weight": _AMOUNT,
    "missing": {"enum": [*Missing, None]},
    "failureMessage": TEXT,
    # a link on pages: nothing that a browser would run
    "fixUrl": {**TEXT, "pattern": r"^(https?://[^\s]+|/([^/\\\s][^\s]*)?)?$"},
    "effectiveFrom": TEXT,
    "effectiveUntil": TEXT,
    "owner": TEXT,
    "effort": _AMOUNT,
}
_SCORECARD_KEYS: Final = {
    "description": TEXT,
    "owner": TEXT,
    "exemptions": {
        "type": ["object", "null"],
        "properties": {
            "enabled": FLAG,
            "autoApprove": FLAG,
            "longestDays": {"type": ["integer", "null"], "minimum": 0, "maximum": 3660},
        },
    },
    "notifications": {
        "type": ["object", "null"],
        "properties": {"enabled": FLAG, "scoreDropNotificationsEnabled": FLAG},
    },
    "evaluation": {
        "type": ["object", "null"],
        "properties": {"window": {"type": ["integer", "null"], "minimum": 1, "maximum": 8784}},
    },
}


def rules_schema(keys: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """keys: schemas of those that only one format has."""
    return {
        "type": "array",
        "maxItems": MAX_RULES,
        "items": {
            "type": "object",
            "properties": {**_RULE_KEYS, **keys},
            "required": list(required),
        },
    }


def scorecard_schema(keys: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """As `rules_schema`."""
    return {
        "type": "object",
        "properties": {**_SCORECARD_KEYS, **keys},
        "required": list(required),
    }


def check_rule_parts(rule: Mapping[str, Any], field: str) -> None:
    """What a schema cannot say. Raises InvalidInput naming the field."""
    for key in ("weight", "effort"):
        value = rule.get(key)
        if value is not None and _decimal(value) != round(_decimal(value), 3):
            raise InvalidInput.of(f"{field}.{key}", value, "a number of at most three decimals")
    begins, ends = (_day(rule, key, field) for key in ("effectiveFrom", "effectiveUntil"))
    if begins and ends and ends < begins:
        raise InvalidInput.of(
            f"{field}.effectiveUntil", rule["effectiveUntil"], f"{begins} or later"
        )


def _day(rule: Mapping[str, Any], key: str, field: str) -> date | None:
    value = rule.get(key)
    day = day_of(value)
    if value and day is None:
        raise InvalidInput.of(f"{field}.{key}", value, "a date, YYYY-MM-DD")
    return day


def rule_parts(rule: Mapping[str, Any]) -> dict[str, Any]:
    """What `RuleSpec` has of the keys that both formats have."""
    missing = rule.get("missing")
    return {
        "description": text(rule, "description"),
        "weight": _amount(rule.get("weight"), Decimal(1)),
        "missing": Missing(missing) if missing in list(Missing) else Missing.FAIL,
        "failure_message": text(rule, "failureMessage"),
        "fix_url": text(rule, "fixUrl"),
        "effective_from": day_of(rule.get("effectiveFrom")),
        "effective_until": day_of(rule.get("effectiveUntil")),
        "owner": text(rule, "owner"),
        "effort": _amount(rule.get("effort"), Decimal(0)),
    }


def scorecard_parts(document: Mapping[str, Any]) -> dict[str, Any]:
    """What `Definition` has of the keys that both formats have."""
    exemptions = mapping(document, "exemptions")
    notifications = mapping(document, "notifications")
    return {
        "description": text(document, "description"),
        "owner": text(document, "owner"),
        "window_h": _whole(mapping(document, "evaluation").get("window")) or DEFAULT_WINDOW_H,
        "exemptions_enabled": exemptions.get("enabled") is not False,
        "exemptions_auto_approved": exemptions.get("autoApprove") is True,
        "longest_exemption_days": _whole(exemptions.get("longestDays")),
        "is_notifying": notifications.get("enabled") is not False,
        "is_notifying_drops": notifications.get("scoreDropNotificationsEnabled") is not False,
    }


def filter_of(stated: Mapping[str, Any], **more: Any) -> Filter:
    """more: what only one format has, by the name `Filter` has for it."""
    types, groups = mapping(stated, "types"), mapping(stated, "groups")
    parts = {
        "types": names(types, "include"),
        "types_excluded": names(types, "exclude"),
        "groups": names(groups, "include"),
        "groups_excluded": names(groups, "exclude"),
        "query": text(stated, "query"),
    }
    return Filter(**{**parts, **more})


def written_parts(definition: Definition) -> Iterator[tuple[str, Any]]:
    """Keys of both formats that say what is not said by leaving them out; see `scorecard_parts`."""
    if definition.owner:
        yield "owner", definition.owner
    exemptions: dict[str, Any] = {}
    if not definition.exemptions_enabled:
        exemptions["enabled"] = False
    if definition.exemptions_auto_approved:
        exemptions["autoApprove"] = True
    if definition.longest_exemption_days:
        exemptions["longestDays"] = definition.longest_exemption_days
    if exemptions:
        yield "exemptions", {"enabled": True, **exemptions}
    if not (definition.is_notifying and definition.is_notifying_drops):
        yield (
            "notifications",
            {
                "enabled": definition.is_notifying,
                "scoreDropNotificationsEnabled": definition.is_notifying_drops,
            },
        )
    if definition.window_h != DEFAULT_WINDOW_H:
        yield "evaluation", {"window": definition.window_h}


def written_rule_parts(spec: RuleSpec) -> Iterator[tuple[str, Any]]:
    """As `written_parts`, of a rule."""
    yield "weight", number(spec.weight)
    if spec.missing is not Missing.FAIL:
        yield "missing", spec.missing.value
    for key, value in (
        ("failureMessage", spec.failure_message),
        ("fixUrl", spec.fix_url),
        ("effectiveFrom", spec.effective_from and spec.effective_from.isoformat()),
        ("effectiveUntil", spec.effective_until and spec.effective_until.isoformat()),
        ("owner", spec.owner),
        ("effort", number(spec.effort)),
    ):
        if value:
            yield key, value


def written_filter(filter: Filter) -> dict[str, Any]:
    """Types, groups and query of a filter, as both formats have them."""
    stated: dict[str, Any] = {}
    for key, included, excluded in (
        ("types", filter.types, filter.types_excluded),
        ("groups", filter.groups, filter.groups_excluded),
    ):
        choice = {"include": list(included), "exclude": list(excluded)}
        if choice := {name: one for name, one in choice.items() if one}:
            stated[key] = choice
    if filter.query:
        stated["query"] = filter.query
    return stated


def number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}


def names(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = document.get(key)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def day_of(value: object) -> date | None:
    """The day of a date, or of a date and time (in UTC); None for what is neither."""
    if not isinstance(value, str):
        return None
    try:
        if len(value) == len("2026-01-01"):
            return date.fromisoformat(value)
        moment = datetime.fromisoformat(value)
        return (moment.astimezone(UTC) if moment.tzinfo else moment).date()
    except (ValueError, OverflowError):
        return None


def _amount(value: object, default: Decimal) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    amount = _decimal(value)
    return round(amount, 3) if 0 <= amount <= MAX_WEIGHT else default


def _decimal(value: float) -> Decimal:
    return Decimal(str(value))


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

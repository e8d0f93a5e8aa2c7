"""How a value looks: compact in a table cell, whole on an entity's page.

Both follow the property's JSON Schema: type, format, enum with colours, items. What does not fit
its schema (or has none) is shown by what it is. Everything is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from catalog.kernel.html import markdown
from catalog.models import TEAM
from catalog.portal import code, links
from catalog.selectors.tables import OWNER, Column, Target

CELL_CHARS = 90
CELL_ITEMS = 3
MAX_ROWS = 100
MAX_DEPTH = 4

Spec = Mapping[str, Any]

# Properties whose words read as labels even where no schema lists them.
LABEL_NAMES: Final = ("type", "lifecycle", "tier", "status")

# Words that mean the same everywhere, for values whose schema names no colour.
_TONES = {
    **dict.fromkeys(("production", "active", "healthy", "ok", "passed", "success"), "green"),
    **dict.fromkeys(("experimental", "development", "beta", "warning", "invited"), "yellow"),
    **dict.fromkeys(("deprecated", "failed", "error", "down", "critical"), "red"),
}
_COLOURS = {
    *("blue", "turquoise", "orange", "purple", "pink", "yellow", "green", "red"),
    *("darkGray", "lightGray", "bronze", "gold", "silver", "lime", "paleBlue"),
}
_EMPTY = mark_safe('<span class="ui-empty" title="Empty">–</span>')
_EXTERNAL = mark_safe(
    '<span class="material-symbols-outlined ui-external" aria-hidden="true">open_in_new</span>'
)
_UNITS = (
    (31_557_600, "year"),
    (2_629_800, "month"),
    (604_800, "week"),
    (86_400, "day"),
    (3_600, "hour"),
    (60, "minute"),
)


def is_empty(value: Any) -> bool:
    """Nothing to show: None, or a text, list or object without content."""
    return value is None or value in ("", [], {})


def cell(value: Any, spec: Spec | None = None) -> SafeString:
    """A value in one line."""
    spec = spec or {}
    if is_empty(value):
        return _EMPTY
    if isinstance(value, str):
        return _short_text(value, spec)
    if isinstance(value, list):
        items = [cell(item, _items(spec)) for item in value[:CELL_ITEMS]]
        more = len(value) - CELL_ITEMS
        return format_html(
            '<span class="ui-chips">{}{}</span>',
            _chips(value[:CELL_ITEMS], items),
            format_html('<span class="ui-more">+{}</span>', more) if more > 0 else "",
        )
    if isinstance(value, dict):
        if link := _labelled(value):
            return link
        return format_html("<code>{}</code>", _shortened(code.as_json(value).replace("\n", "")))
    return _atom(value, spec)


def full(value: Any, spec: Spec | None = None, depth: int = 0) -> SafeString:
    """A value with all there is to it."""
    spec = spec or {}
    if is_empty(value):
        return _EMPTY
    if isinstance(value, str):
        return _long_text(value, spec)
    if isinstance(value, list):
        return _list(value, spec, depth)
    if isinstance(value, dict):
        return _object(value, spec, depth)
    return _atom(value, spec)


def targets(found: Sequence[Target], limit: int = CELL_ITEMS) -> SafeString:
    """The other ends of edges as links; those that are not in the catalogue are marked."""
    if not found:
        return _EMPTY
    more = len(found) - limit
    return format_html(
        '<span class="ui-chips">{}{}</span>',
        format_html_join(" ", "{}", ((target(one),) for one in found[:limit])),
        format_html(' <span class="ui-more">+{}</span>', more) if more > 0 else "",
    )


def target(one: Target) -> SafeString:
    if one.is_missing:
        return format_html(
            '<span class="ui-missing" title="{}:{} is not in the catalogue. The relation is kept, '
            'and mended when it appears.">{}</span>',
            one.blueprint,
            one.identifier,
            one.identifier,
        )
    url = links.entity_url(one.blueprint, one.identifier)
    return format_html('<a class="ui-link" href="{}">{}</a>', url, one.label)


def column_cell(column: Column, value: Any) -> SafeString:
    """The cell of a table's column; owners and relations come as targets."""
    if column.link is not None or column.key == OWNER:
        return targets(value)
    if isinstance(value, datetime):
        return moment(value)
    if (
        column.name in LABEL_NAMES
        and isinstance(value, str)
        and value
        and "enum" not in column.spec
    ):
        return badge(_shortened(value))
    return cell(value, column.spec)


def badge(text: str, colour: str = "") -> SafeString:
    """A value as a coloured label; without a colour of ours by what the word means."""
    tone = colour if colour in _COLOURS else _TONES.get(text.lower(), "lightGray")
    return format_html('<span class="ui-badge tone-{}">{}</span>', tone, text)


def moment(at: datetime) -> SafeString:
    """How long ago, with the exact UTC time on hover."""
    at = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        at.isoformat(),
        f"{at:%Y-%m-%d %H:%M:%S}",
        relative(at),
    )


def read_number(text: str) -> int | None:
    """A whole number from 0, as the database can hold it; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def read_moment(text: str) -> datetime | None:
    """An ISO 8601 moment in UTC, which is also taken for what names no zone; None for others."""
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def relative(at: datetime) -> str:
    seconds = (timezone.now() - at).total_seconds()
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            # What lies ahead for a week is not "in 6 days" a moment later.
            count = math.floor(seconds / size) if seconds > 0 else round(-seconds / size)
            text = f"{count} {unit}{'' if count == 1 else 's'}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "just now" if seconds >= 0 else "in a moment"


def link(url: str, text: str = "") -> SafeString:
    """A link to another site; what is no web address stays text."""
    if not url.lower().startswith(("http://", "https://")):
        return escape(text or url)
    shown = text or url.partition("://")[2].removesuffix("/")
    return format_html(
        '<a class="ui-link" href="{}" title="{}" rel="noopener noreferrer" target="_blank">'
        "{}{}</a>",
        url,
        url,
        _shortened(shown),
        _EXTERNAL,
    )


def _short_text(value: str, spec: Spec) -> SafeString:
    if found := _formatted(value, spec):
        return found
    if spec.get("format") == "yaml":
        return format_html("<code>{}</code>", _shortened(value))
    if spec.get("format") == "markdown":
        line = next((x for x in value.splitlines() if x.strip()), "")
        value = line.lstrip("#>*- ").replace("**", "").replace("`", "")
    if len(value) > CELL_CHARS:
        return format_html('<span title="{}">{}</span>', value[:1000], _shortened(value))
    return escape(value)


def _long_text(value: str, spec: Spec) -> SafeString:
    if found := _formatted(value, spec):
        return found
    match spec.get("format"):
        case "markdown":
            return format_html('<div class="ui-prose">{}</div>', markdown(value))
        case "yaml":
            return format_html('<pre class="ui-code">{}</pre>', code.yaml_block(value))
    if spec.get("spec") in ("open-api", "async-api"):
        return format_html('<pre class="ui-code">{}</pre>', code.yaml_block(value))
    if "\n" in value.strip():
        return format_html('<div class="ui-lines">{}</div>', value)
    return escape(value)


def _formatted(value: str, spec: Spec) -> SafeString | None:
    """What looks the same in a cell and on a page; None when the format says nothing."""
    if (colour := _colour_of(value, spec)) is not None:
        return badge(value, colour)
    match spec.get("format"):
        case "url":
            return link(value)
        case "email" | "idn-email":
            return format_html('<a class="ui-link" href="mailto:{}">{}</a>', value, value)
        case "user":
            return format_html(
                '<a class="ui-link" href="{}">{}</a>', links.person_url(value), value
            )
        case "team":
            url = links.entity_url(TEAM, value)
            return format_html('<a class="ui-link" href="{}">{}</a>', url, value)
        case "date-time" | "timer":
            at = read_moment(value)
            return moment(at) if at else escape(value)
        case None if value.startswith(("https://", "http://")) and " " not in value:
            return link(value)
    return None


def _colour_of(text: str, spec: Spec) -> str | None:
    """The colour of a value that is shown as a badge, "" for none of its own; else None.

    Calculations have no enum; they name colours for some of their values.
    """
    if "enum" in spec:
        return (spec.get("enumColors") or {}).get(text, "")
    colours = spec.get("colors") if spec.get("colorized") else None
    colour = colours.get(text) if isinstance(colours, Mapping) else None
    return colour if isinstance(colour, str) else None


def _atom(value: Any, spec: Spec) -> SafeString:
    if isinstance(value, bool):
        return format_html(
            '<span class="ui-bool-{}"><span class="material-symbols-outlined" aria-hidden="true">'
            "{}</span>{}</span>",
            "yes" if value else "no",
            "check_circle" if value else "cancel",
            "Yes" if value else "No",
        )
    if (colour := _colour_of(str(value), spec)) is not None:
        return badge(str(value), colour)
    return format_html('<span class="ui-number">{}</span>', str(value))


def _list(value: list[Any], spec: Spec, depth: int) -> SafeString:
    shown, items = value[:MAX_ROWS], _items(spec)
    rest = _rest(len(value))
    if all(isinstance(item, dict) for item in shown):
        if all(_labelled(item) for item in shown):
            rows: Iterable[Any] = ((_labelled(item),) for item in shown)
            return format_html("<ul class=ui-list>{}</ul>{}", _lines(rows), rest)
        return format_html("{}{}", _table(shown, depth), rest)
    if all(_is_short(item) for item in shown):
        cells = [full(item, items, depth + 1) for item in shown]
        return format_html('<span class="ui-chips">{}</span>{}', _chips(shown, cells), rest)
    rows = ((full(item, items, depth + 1),) for item in shown)
    return format_html("<ul class=ui-list>{}</ul>{}", _lines(rows), rest)


def _object(value: dict[str, Any], spec: Spec, depth: int) -> SafeString:
    if link := _labelled(value):
        return link
    if depth >= MAX_DEPTH:
        return format_html('<pre class="ui-code">{}</pre>', code.json_block(value))
    rows = []
    for key, item in list(value.items())[:MAX_ROWS]:
        part = _part(spec, key)
        title = part.get("title")
        rows.append((title if isinstance(title, str) else key, full(item, part, depth + 1)))
    return format_html(
        '<table class="ui-nested"><tbody>{}</tbody></table>{}',
        format_html_join("", '<tr><th scope="row">{}</th><td>{}</td></tr>', rows),
        _rest(len(value)),
    )


def _table(rows: Sequence[dict[str, Any]], depth: int) -> SafeString:
    """A list of objects as a table with the columns that any of them has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))[:12]
    if depth >= MAX_DEPTH or not columns:
        return format_html('<pre class="ui-code">{}</pre>', code.json_block(rows))
    body = (
        (
            format_html_join(
                "", "<td>{}</td>", ((full(row.get(c), None, depth + 1),) for c in columns)
            ),
        )
        for row in rows
    )
    return format_html(
        '<table class="ui-nested"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>',
        format_html_join("", '<th scope="col">{}</th>', ((c,) for c in columns)),
        format_html_join("", "<tr>{}</tr>", body),
    )


def _labelled(value: dict[str, Any]) -> SafeString | None:
    """Port's labelled URL and Backstage's link: an address with a name."""
    url = value.get("url")
    if (
        not isinstance(url, str)
        or not url
        or set(value) - {"url", "title", "displayText", "icon", "type"}
    ):
        return None
    name = value.get("displayText") or value.get("title")
    return link(url, name if isinstance(name, str) else "")


def _items(spec: Spec) -> Spec:
    items = spec.get("items")
    return items if isinstance(items, dict) else {}


def _part(spec: Spec, name: str) -> Spec:
    """The schema of a key of an object; JSON Schema also allows true and false in its place."""
    known = spec.get("properties")
    part = known.get(name) if isinstance(known, dict) else None
    return part if isinstance(part, dict) else {}


def _chips(values: Sequence[Any], cells: Sequence[SafeString]) -> SafeString:
    """Words and numbers in chips; what has a look of its own (links, badges) as it is."""
    parts = (
        (
            format_html('<span class="ui-chip">{}</span>', shown)
            if _is_plain(value, shown)
            else shown,
        )
        for value, shown in zip(values, cells, strict=True)
    )
    return format_html_join(" ", "{}", parts)


def _is_plain(value: Any, shown: SafeString) -> bool:
    return shown == escape(value) or (isinstance(value, int | float) and "ui-number" in shown)


def _lines(rows: Iterable[Any]) -> SafeString:
    return format_html_join("", "<li>{}</li>", rows)


def _is_short(value: Any) -> bool:
    return not isinstance(value, dict | list) and len(str(value)) <= 60


def _rest(count: int) -> SafeString | str:
    if count <= MAX_ROWS:
        return ""
    return format_html('<p class="ui-note">and {} more</p>', count - MAX_ROWS)


def _shortened(text: str) -> str:
    return text if len(text) <= CELL_CHARS else f"{text[: CELL_CHARS - 1]}…"

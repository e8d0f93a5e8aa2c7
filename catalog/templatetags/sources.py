"""What pages about sources and their runs are drawn with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from catalog.models import SyncRun
from catalog.portal import code

register = template.Library()

register.filter("json_block", code.json_block)
register.filter("as_json", code.as_json)

_RUN_TONES: Final = {
    "queued": "lightGray",
    "running": "blue",
    "succeeded": "green",
    "partial": "yellow",
    "failed": "red",
    "cancelled": "darkGray",
}
_HEALTH: Final = {
    "off": ("Off", "darkGray"),
    "new": ("Never ran", "lightGray"),
    "working": ("Working", "blue"),
    "good": ("Good", "green"),
    "troubled": ("Troubled", "yellow"),
    "failed": ("Failed", "red"),
}
_TONES: Final = {
    **_RUN_TONES,
    "waiting": "lightGray",
    "done": "green",
    "ignored": "darkGray",
    "skipped": "darkGray",
    "stopped": "darkGray",
    "debug": "lightGray",
    "info": "blue",
    "warning": "yellow",
    "error": "red",
    "created": "green",
    "updated": "blue",
    "unchanged": "lightGray",
    "rejected": "red",
    "deleted": "orange",
    "released": "silver",
    "held": "yellow",
    "preview": "purple",
    "none": "lightGray",
}


def _badge(text: str, tone: str) -> SafeString:
    return format_html('<span class="ui-badge tone-{}">{}</span>', tone, text)


@register.simple_tag
def run_badge(run: SyncRun) -> SafeString:
    """The state of a run; a dry one is called a preview."""
    tone = _RUN_TONES.get(run.state, "lightGray")
    words = str(run.get_state_display())
    if run.is_dry_run:
        words = f"Preview: {words.lower()}"
    return _badge(words, tone)


@register.simple_tag
def health_badge(health: str) -> SafeString:
    words, tone = _HEALTH[health]
    return _badge(words, tone)


@register.filter
def badge(word: str) -> SafeString:
    """A state as a badge."""
    return _badge(str(word).replace("_", " ").capitalize(), _TONES.get(str(word), "lightGray"))


@register.filter
def lasted(run: SyncRun) -> str:
    """How long a run took, or takes so far; "" before it began."""
    if run.started_at is None:
        return ""
    return duration((run.ended_at or timezone.now()) - run.started_at)


@register.filter
def duration(span: Any) -> str:
    seconds = max(0.0, span.total_seconds())
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


@register.filter
def rate(run: SyncRun) -> str:
    """Objects read in a second, while a run is at work and after."""
    if run.started_at is None:
        return "–"
    seconds = ((run.ended_at or timezone.now()) - run.started_at).total_seconds()
    fetched = run.totals.get("fetched", 0)
    if seconds <= 0 or not fetched:
        return "–"
    return f"{fetched / seconds:,.0f}" if fetched / seconds >= 10 else f"{fetched / seconds:.1f}"


@register.filter
def until(moment: datetime | None) -> SafeString | str:
    """How long from now, with the exact UTC time on hover."""
    if moment is None:
        return ""
    span = moment - timezone.now()
    seconds = span.total_seconds()
    if seconds <= 0:
        words = "now"
    elif seconds < 90:
        words = "in a minute"
    elif seconds < 5400:
        words = f"in {seconds / 60:.0f} min"
    elif seconds < 129_600:
        words = f"in {seconds / 3600:.0f} h"
    else:
        words = f"in {seconds / 86_400:.0f} days"
    exact = f"{moment:%Y-%m-%d %H:%M} UTC"
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, words)


@register.filter
def number(count: int | None) -> str:
    return f"{count or 0:,}"


@register.simple_tag
def spark(runs: Sequence[SyncRun]) -> SafeString:
    """The last runs as bars, the oldest first: what changed, what failed. A link to each."""
    rows = []
    for run in reversed(runs):
        totals = run.totals
        changed = totals.get("created", 0) + totals.get("updated", 0)
        bad = totals.get("failed", 0) + totals.get("rejected", 0)
        rows.append((run, totals, changed, bad))
    most = max((changed + bad for _, _, changed, bad in rows), default=0) or 1
    return format_html(
        '<div class="idp-spark" role="list" aria-label="The last runs">{}</div>',
        format_html_join(
            "",
            '<a role="listitem" href="{}" class="tone-{}" title="{}" aria-label="{}">'
            '<span style="height:{}%"></span><span class="idp-spark-bad" style="height:{}%">'
            "</span></a>",
            (
                (
                    reverse("admin:catalog_syncrun_change", args=[run.pk]),
                    _RUN_TONES.get(run.state, "lightGray"),
                    _told(run, totals),
                    _told(run, totals),
                    _height(changed, most),
                    _height(bad, most),
                )
                for run, totals, changed, bad in rows
            ),
        ),
    )


def _told(run: SyncRun, totals: dict[str, int]) -> str:
    counts = ", ".join(
        f"{totals[key]:,} {key}"
        for key in ("fetched", "created", "updated", "failed", "rejected")
        if totals.get(key)
    )
    return f"{run.created_at:%Y-%m-%d %H:%M} UTC: {run.get_state_display()}. {counts}".strip()


def _height(count: int, most: int) -> int:
    return 0 if not count else max(8, round(100 * count / most))

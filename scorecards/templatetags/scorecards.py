"""What the pages of scorecards draw with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from catalog.portal.links import is_web
from scorecards.definition import Definition
from scorecards.models import Scorecard
from scorecards.portal import drawing, links, words
from scorecards.portal.words import Look
from scorecards.statuses import Status

register = template.Library()

register.filter("percent", words.percent)
register.filter("value_words", words.value_words)
register.filter("span_words", words.span_words)
register.filter("sign", words.sign_of)
register.filter("is_web", is_web)
register.filter("joint", words.joint_words)
register.simple_tag(drawing.ring, name="level_ring")


@register.simple_tag
def scorecard_url(scorecard: Scorecard, page: str = "detail", **query: str | int) -> str:
    return links.scorecard_url(scorecard, page, **{k: v for k, v in query.items() if v != ""})


@register.simple_tag
def level(definition: Definition, rank: int) -> SafeString:
    """A level: its colour beside its name."""
    return chip(words.look_at(definition, rank))


@register.filter
def chip(look: Look) -> SafeString:
    return format_html(
        '<span class="sc-level" style="{}"{}><i></i>{}</span>',
        look.style,
        format_html(' title="{}"', look.description) if look.description else "",
        look.title,
    )


@register.filter
def share_of(count: int, total: int) -> str:
    return words.percent(100 * count / total if total else None)


@register.simple_tag
def mark(status: Status) -> SafeString:
    """The sign of a status; its words are for screen readers and on hover."""
    sign = words.sign_of(status)
    return format_html(
        '<span class="sc-mark sc-{}" title="{}"><span class="material-symbols-outlined" '
        'aria-hidden="true">{}</span><span class="ui-sr">{}</span></span>',
        sign.tone,
        sign.words,
        sign.icon,
        sign.words,
    )


@register.simple_tag
def levels_bar(looks: Sequence[Look], ranks: Mapping[int, int]) -> SafeString:
    """How many are at each level, as parts of a bar; the numbers stand in its legend."""
    parts = [(look, ranks.get(rank, 0)) for rank, look in enumerate(looks)]
    return format_html(
        '<span class="sc-bar" aria-hidden="true">{}</span>',
        format_html_join(
            "",
            '<i style="{};--part:{}" title="{}: {}"></i>',
            ((look.style, count, look.title, f"{count:,}") for look, count in parts if count),
        ),
    )


@register.simple_tag
def levels_legend(
    looks: Sequence[Look], ranks: Mapping[int, int], total: int, url: str = ""
) -> SafeString:
    """The numbers of `levels_bar`, highest level first. url: of a list that takes `level`."""
    rows = [(rank, look, ranks.get(rank, 0)) for rank, look in enumerate(looks)]
    return format_html(
        '<ul class="sc-legend">{}</ul>',
        format_html_join(
            "",
            "<li>{}<b>{}</b><span>{}</span></li>",
            (
                (
                    format_html('<a href="{}?level={}">{}</a>', url, rank, chip(look))
                    if url
                    else chip(look),
                    f"{count:,}",
                    words.percent(100 * count / total if total else None),
                )
                for rank, look, count in reversed(rows)
            ),
        ),
    )

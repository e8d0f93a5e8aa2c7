"""HTML out of text that users wrote: Markdown, and the one sanitiser."""

from __future__ import annotations

from typing import Any

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

MAX_MARKDOWN_CHARS = 200_000  # beyond it the text is shown as it is

_TAGS = {
    *("a", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em"),
    *("h3", "h4", "h5", "h6", "hr", "i", "img", "kbd", "li", "ol", "p", "pre", "s"),
    *("span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "th", "thead", "tr"),
    *("ul",),
}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "code": {"class"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "td": {"align"},
    "th": {"align"},
}
_SCHEMES = {"http", "https", "mailto"}


def _quiet_headings(state: Any) -> None:
    """Headings of a text stand below those of the page around it."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"


_parser = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(
    ["table", "strikethrough"]
)
_parser.core.ruler.push("quiet_headings", _quiet_headings)


def markdown(text: str) -> SafeString:
    """Markdown (CommonMark, tables, strikethrough) as safe HTML."""
    if len(text) > MAX_MARKDOWN_CHARS:
        return mark_safe(f"<pre>{escape(text)}</pre>")  # noqa: S308 - escaped here
    return sanitise(_parser.render(text))


def sanitise(html: str) -> SafeString:
    """Keep the harmless part of HTML: no scripts, styles, frames or handlers; http(s) links."""
    return mark_safe(  # noqa: S308 - this is what makes it safe
        nh3.clean(
            html,
            tags=_TAGS,
            attributes=_ATTRIBUTES,
            url_schemes=_SCHEMES,
            link_rel="noopener noreferrer nofollow",
        )
    )

"""Pages of documentation: Markdown as MkDocs and GitHub know it, into HTML that can do no harm.

What is switched on is what TechDocs switches on: admonitions, foldable details, tabs, tables, task
lists, footnotes, definition lists, abbreviations, attributes, emoji, critic marks, highlighted
code with line numbers and titles, GitHub's alerts. Diagrams are shown as their source. Nested
lists may be indented by two, three or four spaces.

For a short text in a property there is `kernel.html.markdown`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape, unescape
from typing import Any, Final

import nh3
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from pymdownx import emoji

from catalog.kernel.markdown_lines import DIAGRAMS, normalise
from catalog.kernel.yaml_reader import YamlError, YamlLimits, load_document

MAX_PAGE_CHARS: Final = 1_000_000  # beyond it the text is shown as it is

# (target, whether it is a picture) -> what to write instead; None: no link at all.
Link = Callable[[str, bool], str | None]
# What a page takes in ("file.md", "file.py:1:3", "file.md:section") -> its text; None: refused.
Snippet = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Heading:
    id: str
    title: str
    level: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page. title: of its front matter or first heading, "" where it has neither. text: its
    words, for a search. front: its front matter. ids: what a link may point at."""

    html: str
    title: str = ""
    toc: list[Heading] = field(default_factory=list)
    text: str = ""
    front: Mapping[str, Any] = field(default_factory=dict)
    ids: frozenset[str] = frozenset()


class Renderer:
    """Renders one page after the other; not to be shared by threads."""

    def __init__(self) -> None:
        self._markdown = Markdown(
            extensions=[*_EXTENSIONS, _NoIcons()],
            extension_configs=_OPTIONS,
            output_format="html",
        )

    def render(
        self,
        source: str,
        *,
        link: Link = lambda target, is_image: target,
        snippet: Snippet = lambda name: None,
    ) -> Rendered:
        """A page's HTML, its headings and its words."""
        front, body = split_front_matter(source)
        if len(body) > MAX_PAGE_CHARS:
            return Rendered(f"<pre>{escape(body)}</pre>", text=body, front=front)
        self._markdown.reset()
        try:
            raw = self._markdown.convert(normalise(body, snippet))
        except RecursionError:  # quotes in quotes in quotes
            return Rendered(f"<pre>{escape(body)}</pre>", text=body, front=front)
        html = sanitise_page(raw, link)
        toc = list(_headings(getattr(self._markdown, "toc_tokens", [])))
        first = next((one.title for one in toc if one.level == 1), "")
        named = front.get("title")
        title = named.strip() if isinstance(named, str) and named.strip() else first
        return Rendered(html, title, toc, plain_text(html), front, frozenset(_ID.findall(html)))


def split_front_matter(source: str) -> tuple[Mapping[str, Any], str]:
    """The YAML between `---` lines at the top of a page, and what follows; what is no YAML object
    is text."""
    source = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not (found := _FRONT.match(source)):
        return {}, source
    try:
        front = load_document(found[1], name="front matter", limits=_FRONT_LIMITS)
    except YamlError:
        return {}, source
    return (front, source[found.end() :]) if isinstance(front, dict) else ({}, source)


def sanitise_page(html: str, link: Link = lambda target, is_image: target) -> str:
    """Keep of HTML what a page of text needs; `link` has the last word on addresses.

    No scripts, styles, forms, frames, handlers or pictures made of markup; frames become links.
    Classes are those of our own style sheet, and an id may be none that the portal uses.
    """

    def attribute(tag: str, name: str, value: str) -> str | None:
        match name:
            case "href" | "src":
                if value.lstrip().lower().startswith("data:"):
                    return value if tag == "img" and _DATA_IMAGE.match(value) else None
                return link(value, tag == "img")
            case "class":
                kept = [one for one in value.split() if _is_class(tag, one)]
                return " ".join(kept) or None
            case "id" | "name" | "for":
                return value if _SAFE_ID.fullmatch(value) and value not in _TAKEN_IDS else None
            case "type" if tag == "input":
                return value if value in ("checkbox", "radio") else None
            case "width" | "height":
                return value if _SIZE.fullmatch(value) else None
            case "data-linenos":
                return value if value.strip().isdigit() else None
        return value

    cleaned = nh3.clean(
        _FRAME.sub(_frame_as_link, html),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=attribute,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"img": {"loading": "lazy"}},
    )
    return _INPUT.sub(lambda found: found[0] if _TICK.search(found[0]) else "", cleaned)


def plain_text(html: str) -> str:
    """The words of sanitised HTML, one space between them."""
    spaced = _BLOCK.sub(" ", _PERMALINK.sub("", html))
    return " ".join(unescape(nh3.clean(spaced, tags=set())).split())


def _headings(tokens: list[dict[str, Any]]) -> Iterator[Heading]:
    for token in tokens:
        yield Heading(token["id"], unescape(token["name"]), token["level"])
        yield from _headings(token["children"])


def _is_class(tag: str, name: str) -> bool:
    return name in _CLASSES or (tag == "span" and _TOKEN.fullmatch(name) is not None)


def _frame_as_link(found: re.Match[str]) -> str:
    """What a page embeds, as a link: whose page runs inside ours is not for authors to say."""
    address = _SRC.search(found[1])
    url = unescape(address[2]) if address else ""
    if not url.lower().startswith(("https://", "http://")):
        return ""
    host = url.split("/")[2]
    return (
        f'<span class="embedded"><a href="{escape(url)}">Embedded page of {escape(host)}</a></span>'
    )


def _diagram(source: str, language: str, css_class: str, options: Any, md: Any, **_: Any) -> str:
    name = DIAGRAMS[language]
    return (
        f'<figure class="diagram"><figcaption>{name} diagram, as its source</figcaption>'
        f'<div class="highlight"><pre><code>{escape(source)}</code></pre></div></figure>'
    )


class _Icon(InlineProcessor):  # type: ignore[misc]
    """Shortcodes of icon fonts that are not here: an icon says nothing that words do not."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
        return "", m.start(0), m.end(0)


class _NoIcons(Extension):  # type: ignore[misc]
    def extendMarkdown(self, md: Markdown) -> None:
        pattern = r":(?:material|fontawesome|octicons|simple)-[\w-]{1,100}:(?:\{[^}\n]{0,200}\})?"
        md.inlinePatterns.register(_Icon(pattern, md), "no_icons", 76)


_FRONT = re.compile(r"---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
_FRONT_LIMITS = YamlLimits(max_bytes=64 * 1024, max_depth=20, max_nodes=2_000, max_documents=1)
_DATA_IMAGE = re.compile(r"\s*data:image/(?:png|jpeg|gif|webp);base64,", re.I)
_SAFE_ID = re.compile(r"[\w.:-]{1,200}")
_ID = re.compile(r'<[a-z0-9]+(?: [^<>]*?)? (?:id|name)="([^"]+)"')
_SIZE = re.compile(r"\d{1,4}(?:px|%)?")
_FRAME = re.compile(r"<iframe\b([^>]*)>", re.I)
_SRC = re.compile(r"""(?:^|\s)src\s*=\s*(["'])(.*?)\1""", re.I | re.S)
_INPUT = re.compile(r"<input\b[^>]*>")
_TICK = re.compile(r'\btype="(?:checkbox|radio)"')
_PERMALINK = re.compile(r'<a [^>]*class="(?:headerlink|footnote-backref)"[^>]*>.*?</a>', re.S)
_BLOCK = re.compile(
    r"</?(?:p|div|li|h[1-6]|t[dhr]|table|pre|br|hr|dt|dd|dl|ul|ol|blockquote|figcaption|summary"
    r"|label)\b[^>]*>"
)
_TOKEN = re.compile(r"[a-z][a-z0-9]{0,2}")  # a class of Pygments

_EXTENSIONS: Final = [
    "pymdownx.extra",
    "toc",
    "sane_lists",
    "admonition",
    *(
        f"pymdownx.{name}"
        for name in (
            *("details", "tabbed", "caret", "critic", "emoji", "inlinehilite", "magiclink"),
            *("keys", "mark", "smartsymbols", "highlight", "tasklist", "tilde", "quotes"),
        )
    ),
]
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "toc": {"permalink": True, "permalink_title": "Link to this part", "toc_depth": "1-4"},
    "pymdownx.extra": {
        "pymdownx.superfences": {
            "custom_fences": [
                {"name": name, "class": "diagram", "format": _diagram} for name in DIAGRAMS
            ]
        },
        "markdown.extensions.tables": {"use_align_attribute": True},
    },
    "pymdownx.tabbed": {"alternate_style": True},
    "pymdownx.critic": {"mode": "view"},
    "pymdownx.highlight": {"linenums": True, "linenums_style": "pymdownx-inline"},
    "pymdownx.quotes": {"callouts": True},
    "pymdownx.emoji": {"emoji_index": emoji.gemoji, "emoji_generator": emoji.to_alt},
}

_SCHEMES = {"http", "https", "mailto", "tel", "data"}  # data: of pictures only
_TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "caption", "center", "cite", "code", "col"),
    *("colgroup", "dd", "del", "details", "dfn", "div", "dl", "dt", "em", "figcaption", "figure"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "input", "ins", "kbd", "label", "li"),
    *("mark", "ol", "p", "pre", "q", "s", "samp", "section", "small", "span", "strong", "sub"),
    *("summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul", "var"),
}
_ATTRIBUTES = {
    "*": {"id", "class", "title"},
    "a": {"href", "name", "download"},
    "details": {"open"},
    "div": {"align"},
    "h1": {"align"},
    "img": {"src", "alt", "width", "height", "align"},
    "input": {"type", "name", "checked", "disabled"},
    "label": {"for"},
    "ol": {"start", "type"},
    "p": {"align"},
    "span": {"data-linenos"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan"},
}
_CLASSES = frozenset(
    {
        *("admonition", "admonition-title", "abstract", "summary", "tldr", "info", "todo", "tip"),
        *("hint", "important", "success", "check", "done", "question", "help", "faq", "warning"),
        *("caution", "attention", "failure", "fail", "missing", "danger", "error", "bug"),
        *("example", "quote", "cite", "note", "inline", "end"),
        *("tabbed-set", "tabbed-alternate", "tabbed-labels", "tabbed-content", "tabbed-block"),
        *("task-list", "task-list-item", "footnote", "footnote-ref", "footnote-backref"),
        *("headerlink", "highlight", "inlinehilite", "filename", "linenos", "hll", "diagram"),
        *("embedded", "critic"),
    }
)

# What the portal's own pages call their parts: a heading of that name must not stand in for them.
_TAKEN_IDS = frozenset(
    {
        *("main", "content", "palette", "palette-results", "searchbar", "nav-sidebar", "user-menu"),
        *("seen-entity", "table-region", "quick-search", "results", "doc-search-results"),
    }
)

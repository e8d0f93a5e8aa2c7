"""Pages of documentation: Markdown as MkDocs and GitHub know it, into HTML that can do no harm.

What is switched on is what TechDocs switches on: admonitions, foldable details, tabs, tables, task
lists, footnotes, definition lists, abbreviations, attributes, emoji, critic marks, highlighted
code with line numbers and titles, GitHub's alerts. Diagrams are shown as their source. Nested
lists may be indented by two, three or four spaces.

For a short text in a property there is `kernel.html.markdown`.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape, unescape
from pathlib import Path
from typing import Any, Final, Self

import nh3
import orjson

from catalog.kernel.markdown_lines import DIAGRAMS, normalise
from catalog.kernel.yaml_reader import YamlError, YamlLimits, load_document

MAX_PAGE_CHARS: Final = 1_000_000  # beyond it the text is shown as it is
MAX_PAGE_S: Final = 10.0  # and also what takes longer to parse

_CHILD: Final = str(Path(__file__).with_name("markdown_child.py"))

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
    words, for a search. front: its front matter. ids: what a link may point at. is_plain: it is
    shown as it was written, since it is too long, too deep or too much for the parser."""

    html: str
    title: str = ""
    toc: list[Heading] = field(default_factory=list)
    text: str = ""
    front: Mapping[str, Any] = field(default_factory=dict)
    ids: frozenset[str] = frozenset()
    is_plain: bool = False


class Renderer:
    """Renders one page after the other, in a process beside ours; not to be shared by threads.
    Close it, or use it as a context."""

    def __init__(self, *, max_page_s: float = MAX_PAGE_S) -> None:
        self._max_page_s = max_page_s
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def render(
        self,
        source: str,
        *,
        link: Link = lambda target, is_image: target,
        snippet: Snippet = lambda name: None,
    ) -> Rendered:
        """A page's HTML, its headings and its words."""
        front, body = split_front_matter(source)
        parsed = None
        if len(body) <= MAX_PAGE_CHARS:
            parsed = self._parsed(normalise(body, snippet))
        if parsed is None:
            return Rendered(f"<pre>{escape(body)}</pre>", text=body, front=front, is_plain=True)
        raw, tokens = parsed
        html = sanitise_page(raw, link)
        toc = list(_headings(tokens))
        first = next((one.title for one in toc if one.level == 1), "")
        named = front.get("title")
        title = named.strip() if isinstance(named, str) and named.strip() else first
        return Rendered(html, title, toc, plain_text(html), front, frozenset(_ID.findall(html)))

    def _parsed(self, text: str) -> tuple[str, list[dict[str, Any]]] | None:
        """HTML and headings; None for what the parser cannot do, or not in time."""
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-I", _CHILD, orjson.dumps(DIAGRAMS).decode()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                process_group=0,  # a signal to our group is for us; we end it ourselves
            )
        payload = text.encode("utf-8", errors="replace")
        try:
            assert self._child.stdin is not None  # noqa: S101 - it is a pipe
            self._child.stdin.write(len(payload).to_bytes(4, "big") + payload)
            self._child.stdin.flush()
            answer = orjson.loads(self._answer(self._child))
        except (OSError, TimeoutError, orjson.JSONDecodeError):
            self.close()
            return None
        return None if answer is None else (answer[0], answer[1])

    def _answer(self, child: subprocess.Popen[bytes]) -> bytes:
        """One frame. Raises TimeoutError, and OSError when the child is gone."""
        assert child.stdout is not None  # noqa: S101 - it is a pipe
        ends_at = time.monotonic() + self._max_page_s
        place, found, wanted = child.stdout.fileno(), bytearray(), 4
        poll = select.poll()  # unlike select, it takes descriptors beyond 1,023
        poll.register(place, select.POLLIN)
        while len(found) < wanted:
            left = ends_at - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise TimeoutError
            piece = os.read(place, 1 << 20)
            if not piece:
                raise BrokenPipeError
            found += piece
            if len(found) >= 4:
                wanted = 4 + int.from_bytes(found[:4], "big")
        return bytes(found[4:])


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

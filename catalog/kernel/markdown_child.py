"""The process in which Markdown is parsed. Started by `catalog.kernel.markdown` alone.

Some texts keep the parser busy for minutes, and it cannot be interrupted from inside: so it runs
here, and its parent ends it. It is a script, not a module: nothing of ours and no Django is
imported, the environment is empty, and it may take little memory.

Its argument: {language of a fence: what a diagram in it is called}, as JSON. Frames, both ways:
four bytes of length (big-endian), then the payload. In: a text. Out: [HTML, headings as the
extension `toc` tells them], or null for a text that is nested too deeply.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from html import escape
from typing import Any, Final

from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from pymdownx import emoji

MEMORY_BYTES: Final = 1 << 30

EXTENSIONS: Final = [
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


class _Icon(InlineProcessor):  # type: ignore[misc]
    """Shortcodes of icon fonts that are not here: an icon says nothing that words do not."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
        return "", m.start(0), m.end(0)


class _NoIcons(Extension):  # type: ignore[misc]
    def extendMarkdown(self, md: Markdown) -> None:
        pattern = r":(?:material|fontawesome|octicons|simple)-[\w-]{1,100}:(?:\{[^}\n]{0,200}\})?"
        md.inlinePatterns.register(_Icon(pattern, md), "no_icons", 76)


def parser(diagrams: dict[str, str]) -> Markdown:
    def diagram(source: str, language: str, *_: Any, **__: Any) -> str:
        return (
            f'<figure class="diagram"><figcaption>{escape(diagrams[language])} diagram, as its '
            f'source</figcaption><div class="highlight"><pre><code>{escape(source)}</code></pre>'
            "</div></figure>"
        )

    fences = [{"name": name, "class": "diagram", "format": diagram} for name in diagrams]
    return Markdown(
        extensions=[*EXTENSIONS, _NoIcons()],
        extension_configs={
            "toc": {"permalink": True, "permalink_title": "Link to this part", "toc_depth": "1-4"},
            "pymdownx.extra": {
                "pymdownx.superfences": {"custom_fences": fences},
                "markdown.extensions.tables": {"use_align_attribute": True},
            },
            "pymdownx.tabbed": {"alternate_style": True},
            "pymdownx.critic": {"mode": "view"},
            "pymdownx.highlight": {"linenums": True, "linenums_style": "pymdownx-inline"},
            "pymdownx.quotes": {"callouts": True},
            "pymdownx.emoji": {"emoji_index": emoji.gemoji, "emoji_generator": emoji.to_alt},
        },
        output_format="html",
    )


def main() -> None:
    markdown = parser(json.loads(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    while head := sys.stdin.buffer.read(4):
        text = sys.stdin.buffer.read(int.from_bytes(head, "big")).decode()
        markdown.reset()
        try:
            found: Any = [markdown.convert(text), markdown.toc_tokens]
        except RecursionError:  # quotes in quotes in quotes
            found = None
        payload = json.dumps(found).encode()
        sys.stdout.buffer.write(len(payload).to_bytes(4, "big") + payload)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

"""What people type into a search box: its words, how text search asks for them, and where they
stand in what is found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Final

from django.contrib.postgres.search import SearchQuery
from django.db.models import Value
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from catalog.selectors.sql import Sql, all_of, any_of, like_pattern

MAX_TEXT: Final = 200
MAX_WORDS: Final = 10
MIN_TRIGRAM: Final = 3  # letters of which an index of trigrams can make anything
# Word similarity from which a name counts as mistyped. Two letters swapped leave 0.4 of a word of
# nine letters, one forgotten leaves more.
SIMILARITY: Final = 0.4

_SNIPPET: Final = 160

# How something was found, the best first.
EXACT, PREFIX, WORDS, PART, SIMILAR = range(5)


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text, as it is: whoever shows it escapes it."""

    text: str
    is_match: bool = False


def marked(pieces: Iterable[Piece]) -> SafeString:
    """HTML of the pieces, escaped, with `<mark>` around what matches."""
    return format_html_join(
        "",
        "{}",
        ((format_html("<mark>{}</mark>", p.text) if p.is_match else p.text,) for p in pieces),
    )


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed: as it is, and its words in lower case."""

    text: str
    words: Sequence[str]
    parts: Sequence[str]
    has_syntax: bool

    @classmethod
    def read(cls, text: str) -> Typed | None:
        text = " ".join(text.replace("\0", " ").encode(errors="replace").decode().split())
        text = text[:MAX_TEXT]
        words = _WORD.findall(text.lower())[:MAX_WORDS]
        if not words:
            return None
        return cls(
            text=text,
            words=words,
            parts=text.lower().split()[:MAX_WORDS],
            has_syntax=bool(_SYNTAX.search(text)),
        )

    @property
    def query(self) -> Any:
        """As text search understands it: in plain words, in English, and as beginnings of words."""
        plain = _JOINT.sub(" ", self.text)
        queries = [
            SearchQuery(plain, config="simple", search_type="websearch"),
            SearchQuery(plain, config="english", search_type="websearch"),
        ]
        if not self.has_syntax:
            beginnings = " & ".join(f"'{word}':*" for word in self.words)
            queries.append(SearchQuery(beginnings, config="simple", search_type="raw"))
        return reduce(or_, queries)

    @property
    def is_whole_enough(self) -> bool:
        """Whether parts of words can be looked for."""
        return not self.has_syntax and max(map(len, self.parts)) >= MIN_TRIGRAM

    def begins(self, label: Any) -> Any:
        """`label`, in lower case, begins with the text, or one of its words does."""
        whole = self.text.lower()
        return any_of([_is_like(label, whole, "", "%"), _is_like(label, whole, "% ", "%")])

    def is_part_of(self, label: Any) -> Any:
        """All parts of the text stand somewhere in `label`, which is in lower case."""
        return all_of([_is_like(label, part, "%", "%") for part in self.parts])

    def is_similar_to(self, label: Any) -> Any:
        """A part of `label`, in lower case, is spelled nearly like the text. The threshold is that
        of the session: see `SIMILARITY`."""
        return Sql("{} %%> {}", label, Value(self.text.lower()))


def set_similarity(cursor: Any) -> None:
    """For the rest of the transaction."""
    cursor.execute(
        "SELECT set_config('pg_trgm.word_similarity_threshold', %s, true)", [str(SIMILARITY)]
    )


_WORD = re.compile(r"[^\W_]+")
_JOINT = re.compile(r"(?<=\w)[-_./:@]+(?=\w)")  # what `Entity.search` opens in names
_SYNTAX = re.compile(r'"|(?:^|\s)-\w|\sor\s', re.IGNORECASE)


def _is_like(label: Any, text: str, before: str, after: str) -> Any:
    return Sql("{} LIKE {}", label, Value(f"{before}{like_pattern(text)}{after}"))


def marks_of(words: Sequence[str]) -> re.Pattern[str]:
    """Finds the words, the longest first, in text as it is written."""
    ordered = sorted(set(words), key=lambda word: (-len(word), word))
    return re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE)


def pieces_of(text: str, marks: re.Pattern[str]) -> tuple[Piece, ...]:
    pieces, end = [], 0
    for found in marks.finditer(text):
        if found.start() > end:
            pieces.append(Piece(text[end : found.start()]))
        pieces.append(Piece(found.group(), is_match=True))
        end = found.end()
    if end < len(text):
        pieces.append(Piece(text[end:]))
    return tuple(pieces)


def snippet_of(text: str, marks: re.Pattern[str] | None) -> tuple[Piece, ...]:
    """The surroundings of the first match, cut at spaces."""
    text = " ".join(text.split())
    if not text:
        return ()
    found = marks.search(text) if marks else None
    start = 0
    if found and found.end() > _SNIPPET:
        start = text.rfind(" ", 0, max(found.start() - _SNIPPET // 3, 0)) + 1
    end = len(text)
    if end - start > _SNIPPET:
        space = text.rfind(" ", start, start + _SNIPPET)
        end = space if space > start else start + _SNIPPET
    before, after = "… " if start else "", " …" if end < len(text) else ""
    pieces = pieces_of(text[start:end], marks) if marks else (Piece(text[start:end]),)
    return (
        *((Piece(before),) if before else ()),
        *pieces,
        *((Piece(after),) if after else ()),
    )

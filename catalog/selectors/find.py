"""Finding things by what people type: full text, parts of words, and typing mistakes.

Names are searched as words (`Entity.search`) and as letters (`Entity.label`), descriptions as
English. Each way of matching gives a bounded number of candidates from its index; the best of
them are ranked. Only when that finds little are similar names looked for, which costs more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Final

from django.contrib.postgres.search import SearchQuery
from django.db import connection, transaction
from django.db.models import F, FloatField, IntegerField, Q, Subquery, TextField, Value
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from catalog.kernel.actors import Principal
from catalog.models import Blueprint, Entity, EntityQuerySet, name_in_order
from catalog.selectors.kinds import Kinds, load_kinds
from catalog.selectors.sql import Sql, all_of, any_of, like_pattern

MAX_TEXT: Final = 200
MAX_WORDS: Final = 10
MAX_LIMIT: Final = 200
PER_KIND: Final = 5

# How many candidates each way of matching may bring: enough that the best are among them unless
# thousands match equally well, few enough to rank within milliseconds.
_FEW: Final = 50
_MANY: Final = 300

# Word similarity from which a name counts as mistyped. Two letters swapped leave 0.4 of a word of
# nine letters, one forgotten leaves more.
_SIMILARITY: Final = 0.4
_MIN_TRIGRAM: Final = 3

_DESCRIPTION: Final = 2000  # characters of it that are looked through for a snippet
_SNIPPET: Final = 160

EXACT, PREFIX, WORDS, PART, SIMILAR = range(5)


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text, as it is: whoever shows it escapes it."""

    text: str
    is_match: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """A found entity. title: pieces of its title, or of its identifier where it has none.

    snippet: the place in its description that matches, or its beginning; empty without one.
    match: how it was found, EXACT being the best.
    """

    pk: int
    blueprint: str
    identifier: str
    name: str
    icon: str | None
    title: Sequence[Piece]
    snippet: Sequence[Piece]
    match: int

    @property
    def title_html(self) -> SafeString:
        return marked(self.title)

    @property
    def snippet_html(self) -> SafeString:
        return marked(self.snippet)


@dataclass(frozen=True, slots=True)
class KindHits:
    """The hits of one kind, best first. has_more: there are others, which are not shown."""

    blueprint: str
    title: str
    icon: str | None
    hits: Sequence[Hit]
    has_more: bool


def find(
    text: str,
    *,
    principal: Principal,
    blueprint: Blueprint | None = None,
    limit: int = 20,
) -> list[Hit]:
    """At most `limit` entities that match `text`, the best first; none for text without words.

    What people write in a search box is understood: "a phrase", -not, or. Without `blueprint`,
    kinds that do not want to be found globally are left out. One statement, and the list of
    blueprints; three more when little is found.
    """
    wanted = _Wanted.read(text)
    if wanted is None:
        return []
    limit = max(1, min(limit, MAX_LIMIT))
    kinds = load_kinds()
    entities = _entities(principal, blueprint, kinds)
    hits = _ranked(entities, wanted.ways(entities, list(kinds.by_pk)), wanted, kinds, limit)
    is_found = any(hit.match <= WORDS for hit in hits) or len(hits) >= min(limit, PER_KIND)
    if not is_found and not wanted.has_syntax:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('pg_trgm.word_similarity_threshold', %s, true)",
                [str(_SIMILARITY)],
            )
            similar = [wanted.similar(entities)]
            more = _ranked(entities, similar, wanted, kinds, limit)
        known = {hit.pk for hit in hits}
        hits += [hit for hit in more if hit.pk not in known]
    return hits[:limit]


def find_by_kind(
    text: str, *, principal: Principal, per_kind: int = PER_KIND, limit: int = 50
) -> list[KindHits]:
    """The best hits grouped by kind, for the command palette; the kind of the best one first."""
    kinds = load_kinds()
    groups: dict[str, list[Hit]] = {}
    for hit in find(text, principal=principal, limit=limit):
        groups.setdefault(hit.blueprint, []).append(hit)
    found = []
    for blueprint, hits in groups.items():
        kind = kinds.by_identifier[blueprint]
        has_more = len(hits) > per_kind
        found.append(KindHits(blueprint, kind.title, kind.icon, hits[:per_kind], has_more))
    return found


def marked(pieces: Iterable[Piece]) -> SafeString:
    """HTML of the pieces, escaped, with `<mark>` around what matches."""
    return format_html_join(
        "",
        "{}",
        ((format_html("<mark>{}</mark>", p.text) if p.is_match else p.text,) for p in pieces),
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What was typed: as it is, and its words in lower case."""

    text: str
    words: Sequence[str]
    parts: Sequence[str]
    has_syntax: bool

    @classmethod
    def read(cls, text: str) -> _Wanted | None:
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

    def ways(self, entities: EntityQuerySet, blueprints: Sequence[int]) -> list[Any]:
        """The ways of matching, each as a bounded query for the pks of candidates."""
        whole = self.text.lower()
        spellings = {self.text, whole, whole.capitalize(), whole.title(), whole.upper()}
        begins = any_of([_label_is(whole, "", "%"), _label_is(whole, "% ", "%")])
        found = [
            _first(entities, Q(identifier__in=spellings), _FEW),
            # the index of names begins with the blueprint
            _first(
                entities.alias(name=name_in_order()), Q(name=whole, blueprint__in=blueprints), _FEW
            ),
            _first(entities, begins, _MANY),
            _first(entities, Sql("{} @@ {}", F("search"), self.query), _MANY),
        ]
        if not self.has_syntax and max(map(len, self.parts)) >= _MIN_TRIGRAM:
            everywhere = all_of([_label_is(part, "%", "%") for part in self.parts])
            found.append(_first(entities, everywhere, _MANY))
        return found

    def similar(self, entities: EntityQuerySet) -> Any:
        return _first(entities, Sql("{} %%> {}", F("label"), Value(self.text.lower())), _MANY)


_WORD = re.compile(r"[^\W_]+")
_JOINT = re.compile(r"(?<=\w)[-_./:@]+(?=\w)")  # what `Entity.search` opens in names
_SYNTAX = re.compile(r'"|(?:^|\s)-\w|\sor\s', re.IGNORECASE)


def _entities(principal: Principal, blueprint: Blueprint | None, kinds: Kinds) -> EntityQuerySet:
    entities = Entity.objects.visible_to(principal)
    if blueprint is not None:
        return entities.filter(blueprint=blueprint)
    hidden = [kind.pk for kind in kinds if not kind.is_found_globally]
    return entities.exclude(blueprint__in=hidden) if hidden else entities


def _first(entities: EntityQuerySet, condition: Any, count: int) -> Any:
    return entities.filter(condition).order_by().values("pk")[:count]


def _label_is(text: str, before: str, after: str) -> Any:
    pattern = Value(f"{before}{like_pattern(text)}{after}")
    return Sql("{} LIKE {}", F("label"), pattern)


def _ranked(
    entities: EntityQuerySet, ways: Sequence[Any], wanted: _Wanted, kinds: Kinds, limit: int
) -> list[Hit]:
    whole = Value(wanted.text.lower())
    identifier = Sql("lower({})", F("identifier"), output_field=TextField())
    title = Sql("lower({})", F("title"), output_field=TextField())
    match = Sql(
        f"CASE WHEN {{}} = {{}} OR {{}} = {{}} THEN {EXACT} "
        f"WHEN starts_with({{}}, {{}}) OR starts_with({{}}, {{}}) THEN {PREFIX} "
        f"WHEN {{}} @@ {{}} THEN {WORDS} WHEN {{}} THEN {PART} ELSE {SIMILAR} END",
        *(identifier, whole, title, whole),
        *(identifier, whole, title, whole),
        *(F("search"), wanted.query),
        all_of([_label_is(part, "%", "%") for part in wanted.parts]),
        output_field=IntegerField(),
    )
    candidates = Sql(
        f"{{}} IN ({' UNION ALL '.join(['{}'] * len(ways))})",
        F("pk"),
        *(Subquery(way) for way in ways),
    )
    rows = (
        entities.filter(candidates)
        .annotate(
            match=match,
            rank=Sql("ts_rank({}, {})", F("search"), wanted.query, output_field=FloatField()),
            likeness=Sql("word_similarity({}, {})", whole, F("label"), output_field=FloatField()),
            description=Sql(
                f"left({{}} ->> 'description', {_DESCRIPTION})",
                F("properties"),
                output_field=TextField(),
            ),
            length=Sql("length({})", F("label"), output_field=IntegerField()),
        )
        .order_by("match", "-rank", "-likeness", "length", "identifier", "pk")
        .values_list("pk", "blueprint_id", "identifier", "title", "icon", "description", "match")[
            :limit
        ]
    )
    marks = _marks(wanted.words)
    return [
        Hit(
            pk=pk,
            blueprint=kinds.by_pk[blueprint].identifier,
            identifier=identifier,
            name=title or identifier,
            icon=icon or kinds.by_pk[blueprint].icon,
            title=_pieces(title or identifier, marks),
            snippet=_snippet(description or "", marks),
            match=match,
        )
        for pk, blueprint, identifier, title, icon, description, match in rows
        if blueprint in kinds.by_pk
    ]


def _marks(words: Sequence[str]) -> re.Pattern[str]:
    """Finds the words, the longest first, in text as it is written."""
    ordered = sorted(set(words), key=lambda word: (-len(word), word))
    return re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE)


def _pieces(text: str, marks: re.Pattern[str]) -> tuple[Piece, ...]:
    pieces, end = [], 0
    for found in marks.finditer(text):
        if found.start() > end:
            pieces.append(Piece(text[end : found.start()]))
        pieces.append(Piece(found.group(), is_match=True))
        end = found.end()
    if end < len(text):
        pieces.append(Piece(text[end:]))
    return tuple(pieces)


def _snippet(text: str, marks: re.Pattern[str]) -> tuple[Piece, ...]:
    """The surroundings of the first match, cut at spaces."""
    text = " ".join(text.split())
    if not text:
        return ()
    found = marks.search(text)
    start = 0
    if found and found.end() > _SNIPPET:
        start = text.rfind(" ", 0, max(found.start() - _SNIPPET // 3, 0)) + 1
    end = len(text)
    if end - start > _SNIPPET:
        space = text.rfind(" ", start, start + _SNIPPET)
        end = space if space > start else start + _SNIPPET
    before, after = "… " if start else "", " …" if end < len(text) else ""
    pieces = _pieces(text[start:end], marks)
    return (
        *((Piece(before),) if before else ()),
        *pieces,
        *((Piece(after),) if after else ()),
    )

"""The neighbours of an entity as a layered drawing: SVG made here, no script needed.

What an entity needs stands to its right, what needs it to its left, one column per step. Colours
come from the style sheet, so the drawing follows light and dark; every node is a link.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from catalog.kernel.actors import Principal
from catalog.models import Entity
from catalog.portal import icons, links
from catalog.selectors.graph import BOTH, DOWNSTREAM, UPSTREAM, Graph, neighbours
from catalog.selectors.kinds import load_kinds

DIRECTIONS: Final = {
    BOTH: "Both ways",
    UPSTREAM: "What it needs",
    DOWNSTREAM: "What needs it",
}
MAX_DEPTH: Final = 3
MAX_NODES: Final = 200
MAX_EDGES: Final = 800
FAN_OUT: Final = 40
SMALL_NODES: Final = 14
SMALL_FAN_OUT: Final = 6

_WIDTH, _HEIGHT = 196, 46  # of a node, in pixels
_GAP_X, _GAP_Y = 120, 14
_MARGIN = 20
_TITLE_CHARS, _KIND_CHARS, _LABEL_CHARS = 21, 26, 18
_SWEEPS = 3  # more change nothing visible on graphs of this size
_MAX_LABELS = 60


@dataclass(frozen=True, slots=True)
class Box:
    """A node to draw. column: steps to the right of the middle, negative to its left."""

    key: str
    column: int
    blueprint: str
    kind: str
    name: str
    icon: str | None
    href: str = ""
    more: int = 0
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    source: str
    target: str
    words: str


@dataclass(frozen=True, slots=True)
class KindChoice:
    identifier: str
    title: str
    icon: str | None
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """more: direct neighbours that are left out. is_cut: others, further away, are too."""

    svg: SafeString
    node_count: int
    more: int
    is_cut: bool
    depth: int
    direction: str
    kinds: Sequence[KindChoice]

    @property
    def is_alone(self) -> bool:
        return self.node_count <= 1

    @property
    def chosen_kinds(self) -> list[KindChoice]:
        return [kind for kind in self.kinds if kind.is_chosen]


def draw_neighbours(
    principal: Principal,
    centre: Entity,
    *,
    depth: int = 1,
    direction: str = BOTH,
    kinds: Collection[str] = (),
    is_small: bool = False,
) -> Drawing:
    """The drawing of what is around an entity. is_small: for a card, without labels on edges."""
    graph = neighbours(
        centre,
        principal=principal,
        depth=depth,
        direction=direction,
        kinds=kinds or None,
        fan_out=SMALL_FAN_OUT if is_small else FAN_OUT,
        max_nodes=SMALL_NODES if is_small else MAX_NODES,
        max_edges=MAX_EDGES,
    )
    has_missing = direction != DOWNSTREAM and not kinds
    boxes = _boxes(graph, has_missing=has_missing)
    arrows = _arrows(graph, has_missing=has_missing)
    more = graph.nodes[0].more_count if graph.nodes and not kinds else 0
    return Drawing(
        svg=draw(boxes, arrows, title=f"Neighbours of {centre}", has_labels=not is_small),
        node_count=len(boxes),
        more=more,
        is_cut=graph.has_more_nodes or graph.has_more_edges,
        depth=depth,
        direction=direction,
        kinds=[
            KindChoice(kind.identifier, kind.title, kind.icon, kind.identifier in kinds)
            for kind in sorted(load_kinds(), key=lambda kind: kind.title.lower())
        ],
    )


def draw(
    boxes: Sequence[Box], arrows: Sequence[Arrow], *, title: str, has_labels: bool = True
) -> SafeString:
    """SVG of boxes and arrows. Deterministic: the same graph gives the same drawing."""
    if not boxes:
        return SafeString()
    places = _places(_columns(boxes, arrows))
    last = max(x for x, _ in places.values())
    # arrows inside a column run round its right side
    is_looped = any(places[a.source][0] == places[a.target][0] == last for a in arrows)
    width = last + _WIDTH + (_GAP_X if is_looped else 0) + _MARGIN
    height = max(y for _, y in places.values()) + _HEIGHT + _MARGIN
    labels = has_labels and len(arrows) <= _MAX_LABELS
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
        'aria-labelledby="graph-title graph-desc" role="group">'
        '<title id="graph-title">{title}</title><desc id="graph-desc">{desc}</desc>'
        '<defs><marker id="graph-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="g-arrow" d="M0 0 8 4 0 8z"/></marker></defs>'
        "{arrows}{boxes}</svg>",
        w=width,
        h=height,
        title=title,
        desc=_description(boxes),
        arrows=format_html_join("", "{}", ((_arrow(a, places, labels),) for a in arrows)),
        boxes=format_html_join("", "{}", ((_box(b, *places[b.key]),) for b in boxes)),
    )


def _boxes(graph: Graph, *, has_missing: bool) -> list[Box]:
    columns = _columns_of(graph)
    boxes = [
        Box(
            key=str(node.pk),
            column=columns[node.pk],
            blueprint=node.blueprint,
            kind=node.kind,
            name=node.name,
            icon=node.icon,
            href=links.entity_url(node.blueprint, node.identifier),
            more=node.more_count,
        )
        for node in graph.nodes
    ]
    if has_missing:
        names = {(one.blueprint, one.identifier) for one in graph.dangling}
        for blueprint, identifier in sorted(names)[: max(MAX_NODES - len(boxes), 0)]:
            key = f"{blueprint}:{identifier}"
            boxes.append(Box(key, 1, blueprint, blueprint, identifier, None, is_missing=True))
    return boxes


def _columns_of(graph: Graph) -> dict[int, int]:
    """Where each node stands: away from the middle by its depth, on the side it is met from."""
    nodes = {node.pk: node for node in graph.nodes}
    out: dict[int, list[int]] = {pk: [] for pk in nodes}
    into: dict[int, list[int]] = {pk: [] for pk in nodes}
    for edge in graph.edges:
        out[edge.source].append(edge.target)
        into[edge.target].append(edge.source)
    columns: dict[int, int] = {}
    for node in graph.nodes:  # the nearest first
        if node.depth == 0:
            columns[node.pk] = 0
            continue

        def nearer(pks: Iterable[int], depth: int = node.depth) -> list[int]:
            return [pk for pk in pks if nodes[pk].depth == depth - 1 and pk in columns]

        # who needs it stands to its left: then it goes right, unless it is left of the middle
        needed_by, needs = nearer(into[node.pk]), nearer(out[node.pk])
        sides = [columns[pk] for pk in needed_by] or [columns[pk] for pk in needs]
        side = sides[0] if sides and sides[0] else (1 if needed_by else -1)
        columns[node.pk] = node.depth if side > 0 else -node.depth
    return columns


def _arrows(graph: Graph, *, has_missing: bool) -> list[Arrow]:
    """One for all relations between the same two."""
    words: dict[tuple[str, str], list[str]] = {}
    for edge in graph.edges:
        if edge.source != edge.target:
            words.setdefault((str(edge.source), str(edge.target)), []).append(edge.title)
    if has_missing and graph.nodes:
        for one in graph.dangling:
            key = (str(graph.nodes[0].pk), f"{one.blueprint}:{one.identifier}")
            words.setdefault(key, []).append(one.title)
    return [
        Arrow(source, target, ", ".join(dict.fromkeys(titles)))
        for (source, target), titles in words.items()
    ]


def _columns(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> list[list[Box]]:
    """Boxes by column, each column ordered so that arrows cross little."""
    numbers = sorted({box.column for box in boxes})
    columns = {number: [b for b in boxes if b.column == number] for number in numbers}
    near: dict[str, list[str]] = {box.key: [] for box in boxes}
    for arrow in arrows:
        near[arrow.source].append(arrow.target)
        near[arrow.target].append(arrow.source)
    # a box stands at the middle of its neighbours in the column towards the middle
    inside_out = sorted(numbers, key=abs)
    for _ in range(_SWEEPS):
        for number in inside_out:
            inner = columns.get(number - 1 if number > 0 else number + 1, [])
            at = {box.key: index for index, box in enumerate(inner)}
            columns[number].sort(key=lambda box: _middle(near[box.key], at))
    return [columns[number] for number in numbers]


def _middle(keys: Sequence[str], at: Mapping[str, int]) -> float:
    found = [at[key] for key in keys if key in at]
    return sum(found) / len(found) if found else len(at)


def _places(columns: Sequence[Sequence[Box]]) -> dict[str, tuple[int, int]]:
    """The top left corner of each box; columns are centred on each other."""
    tallest = max(len(column) for column in columns)
    step_x, step_y = _WIDTH + _GAP_X, _HEIGHT + _GAP_Y
    return {
        box.key: (
            _MARGIN + index * step_x,
            _MARGIN + row * step_y + (tallest - len(column)) * step_y // 2,
        )
        for index, column in enumerate(columns)
        for row, box in enumerate(column)
    }


def _arrow(arrow: Arrow, places: Mapping[str, tuple[int, int]], has_label: bool) -> SafeString:
    (x1, y1), (x2, y2) = places[arrow.source], places[arrow.target]
    y1, y2 = y1 + _HEIGHT // 2, y2 + _HEIGHT // 2
    if x1 == x2:  # the same column: round the right side
        x1 = x2 = x1 + _WIDTH
        bend = min(_GAP_X - 20, 24 + abs(y2 - y1) // 8)
        path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 + bend} {y2} {x2} {y2}"
        label_x, label_y = x1 + bend * 3 // 4, (y1 + y2) // 2
    else:
        x1, x2 = (x1 + _WIDTH, x2) if x1 < x2 else (x1, x2 + _WIDTH)
        half = (x1 + x2) // 2
        path = f"M{x1} {y1}C{half} {y1} {half} {y2} {x2} {y2}"
        label_x, label_y = half, (y1 + y2) // 2
    return format_html(
        '<g><path class="g-edge" d="{}" marker-end="url(#graph-arrow)"><title>{}</title></path>{}</g>',
        path,
        arrow.words,
        format_html(
            '<text class="g-edge-label" x="{}" y="{}" text-anchor="middle">{}</text>',
            label_x,
            label_y - 3,
            _cut(arrow.words, _LABEL_CHARS),
        )
        if has_label
        else "",
    )


def _box(box: Box, x: int, y: int) -> SafeString:
    kind = "not in the catalogue" if box.is_missing else box.kind
    inside = format_html(
        '<title>{full}</title><rect x="{x}" y="{y}" width="{w}" height="{h}" rx="9"/>'
        '<rect class="g-tile" x="{tile_x}" y="{tile_y}" width="28" height="28" rx="7"/>'
        '<text class="g-icon" x="{icon_x}" y="{icon_y}" text-anchor="middle">{icon}</text>'
        '<text class="g-title" x="{text_x}" y="{title_y}">{title}</text>'
        '<text class="g-kind" x="{text_x}" y="{kind_y}">{kind}</text>{more}',
        full=f"{box.name} ({kind})",
        x=x,
        y=y,
        w=_WIDTH,
        h=_HEIGHT,
        tile_x=x + 9,
        tile_y=y + 9,
        icon_x=x + 23,
        icon_y=y + 31,
        icon=icons.symbol(box.icon, box.blueprint),
        text_x=x + 46,
        title_y=y + 20,
        kind_y=y + 35,
        title=_cut(box.name, _TITLE_CHARS),
        kind=_cut(kind, _KIND_CHARS),
        more=format_html(
            '<text class="g-more" x="{}" y="{}" text-anchor="end">+{}'
            "<title>{} more relations</title></text>",
            x + _WIDTH - 9,
            y + 35,
            box.more,
            box.more,
        )
        if box.more
        else "",
    )
    style = f"--hue:{icons.hue(box.blueprint)}"
    if box.is_missing:
        return format_html('<g class="g-node g-missing" style="{}">{}</g>', style, inside)
    return format_html(
        '<a class="g-node{}" style="{}" href="{}">{}</a>',
        " g-centre" if box.column == 0 else "",
        style,
        box.href,
        inside,
    )


def _description(boxes: Sequence[Box]) -> str:
    needs = sum(box.column > 0 for box in boxes)
    needed_by = sum(box.column < 0 for box in boxes)
    return f"{needs} to the right, which it needs; {needed_by} to the left, which need it."


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"

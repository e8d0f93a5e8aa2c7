"""The neighbours of an entity as a layered drawing: SVG made here, no script needed.

What an entity needs stands to its right, what needs it to its left, one column per step. Colours
come from the style sheet, so the drawing follows light and dark; every node is a link.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from catalog.kernel.actors import Principal
from catalog.models import Entity
from catalog.portal import icons, links
from catalog.selectors.graph import BOTH, DOWNSTREAM, UPSTREAM, Graph, Node, neighbours

DIRECTIONS: Final = {
    BOTH: "Both ways",
    UPSTREAM: "What it needs",
    DOWNSTREAM: "What needs it",
}
MAX_DEPTH: Final = 3
MAX_NODES: Final = 200
MAX_EDGES: Final = 800
FAN_OUT: Final = 40
MAX_MISSING: Final = 20
SMALL_NODES: Final = 14
SMALL_FAN_OUT: Final = 6

_KIND_CHARS, _LABEL_CHARS = 26, 18
_SWEEPS = 3  # more change nothing visible on graphs of this size
_MAX_LABELS = 60
_LABEL_AT = 0.7


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the drawing, in pixels; title_chars: what fits into a box. Small ones have one line."""

    width: int
    height: int
    gap_x: int
    gap_y: int
    margin: int
    tile: int
    title_chars: int
    is_small: bool


LARGE: Final = Sizes(196, 46, 140, 14, 20, 28, 21, is_small=False)
SMALL: Final = Sizes(142, 32, 44, 8, 10, 20, 15, is_small=True)


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
class Drawing:
    """more: direct neighbours that are left out. is_cut: others, further away, are too."""

    svg: SafeString
    node_count: int
    more: int
    is_cut: bool
    depth: int
    direction: str

    @property
    def is_alone(self) -> bool:
        return self.node_count <= 1


def draw_neighbours(
    principal: Principal,
    centre: Entity,
    *,
    depth: int = 1,
    direction: str = BOTH,
    kinds: Collection[str] = (),
    is_small: bool = False,
) -> Drawing:
    """The drawing of what is around an entity. is_small: for a card."""
    graphs = {
        way: neighbours(
            centre,
            principal=principal,
            depth=depth,
            direction=way,
            kinds=kinds or None,
            fan_out=SMALL_FAN_OUT if is_small else FAN_OUT,
            max_nodes=(SMALL_NODES if is_small else MAX_NODES) // (2 if direction == BOTH else 1),
            max_edges=MAX_EDGES,
        )
        for way in (UPSTREAM, DOWNSTREAM)
        if direction in (way, BOTH)
    }
    boxes, arrows = _merged(graphs, has_missing=not kinds)
    sizes = SMALL if is_small else LARGE
    return Drawing(
        svg=draw(boxes, arrows, title=f"Neighbours of {centre}", sizes=sizes),
        node_count=len(boxes),
        more=sum(_left_out(graph, way) for way, graph in graphs.items()) if not kinds else 0,
        is_cut=any(graph.has_more_nodes or graph.has_more_edges for graph in graphs.values()),
        depth=depth,
        direction=direction,
    )


def draw(
    boxes: Sequence[Box], arrows: Sequence[Arrow], *, title: str, sizes: Sizes = LARGE
) -> SafeString:
    """SVG of boxes and arrows. Deterministic: the same graph gives the same drawing."""
    if not boxes:
        return SafeString()
    places = _places(_columns(boxes, arrows), sizes)
    last = max(x for x, _ in places.values())
    # arrows inside a column run round its right side
    is_looped = any(places[a.source][0] == places[a.target][0] == last for a in arrows)
    width = last + sizes.width + (sizes.gap_x if is_looped else 0) + sizes.margin
    height = max(y for _, y in places.values()) + sizes.height + sizes.margin
    middle = next((places[box.key][0] for box in boxes if box.column == 0), 0)
    has_labels = not sizes.is_small and len(arrows) <= _MAX_LABELS
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
        'style="--w:{w}px" aria-labelledby="graph-title graph-desc" role="group">'
        '<title id="graph-title">{title}</title><desc id="graph-desc">{desc}</desc>'
        '<defs><marker id="graph-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="g-arrow" d="M0 0 8 4 0 8z"/></marker></defs>'
        "{arrows}{boxes}</svg>",
        w=width,
        h=height,
        title=title,
        desc=_description(boxes),
        arrows=format_html_join(
            "",
            "{}",
            ((_arrow(a, places, sizes, middle=middle, has_label=has_labels),) for a in arrows),
        ),
        boxes=format_html_join("", "{}", ((_box(b, *places[b.key], sizes),) for b in boxes)),
    )


def _merged(graphs: Mapping[str, Graph], *, has_missing: bool) -> tuple[list[Box], list[Arrow]]:
    """What is needed goes to the right, what needs it to the left; each thing only once."""
    boxes: dict[str, Box] = {}
    words: dict[tuple[str, str], list[str]] = {}
    for way, graph in graphs.items():
        for node in graph.nodes:
            box = _node_box(node, node.depth if way == UPSTREAM else -node.depth)
            known = boxes.get(box.key)
            if known is None or abs(box.column) < abs(known.column):
                boxes[box.key] = box
        for edge in graph.edges:
            if edge.source != edge.target:
                words.setdefault((str(edge.source), str(edge.target)), []).append(edge.title)
        if has_missing and way == UPSTREAM and graph.nodes:
            for one in graph.dangling[:MAX_MISSING]:
                key = f"{one.blueprint}:{one.identifier}"
                boxes[key] = Box(
                    key, 1, one.blueprint, one.blueprint, one.identifier, None, is_missing=True
                )
                words.setdefault((str(graph.nodes[0].pk), key), []).append(one.title)
    arrows = [
        Arrow(source, target, ", ".join(dict.fromkeys(titles)))
        for (source, target), titles in words.items()
    ]
    return list(boxes.values()), arrows


def _node_box(node: Node, column: int) -> Box:
    return Box(
        key=str(node.pk),
        column=column,
        blueprint=node.blueprint,
        kind=node.kind,
        name=node.name,
        icon=node.icon,
        href=links.entity_url(node.blueprint, node.identifier),
        more=node.more_count if column else 0,
    )


def _left_out(graph: Graph, way: str) -> int:
    """Direct neighbours of the middle that a walk in this direction left out."""
    more = graph.nodes[0].more if graph.nodes else ()
    return sum(one.count for one in more if one.direction == way)


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


def _places(columns: Sequence[Sequence[Box]], sizes: Sizes) -> dict[str, tuple[int, int]]:
    """The top left corner of each box; columns are centred on each other."""
    tallest = max(len(column) for column in columns)
    step_x, step_y = sizes.width + sizes.gap_x, sizes.height + sizes.gap_y
    return {
        box.key: (
            sizes.margin + index * step_x,
            sizes.margin + row * step_y + (tallest - len(column)) * step_y // 2,
        )
        for index, column in enumerate(columns)
        for row, box in enumerate(column)
    }


def _arrow(
    arrow: Arrow,
    places: Mapping[str, tuple[int, int]],
    sizes: Sizes,
    *,
    middle: int,
    has_label: bool,
) -> SafeString:
    (x1, y1), (x2, y2) = places[arrow.source], places[arrow.target]
    # a label stands near the outer end, where arrows have spread
    share = _LABEL_AT if abs(x2 - middle) > abs(x1 - middle) else 1 - _LABEL_AT
    y1, y2 = y1 + sizes.height // 2, y2 + sizes.height // 2
    if x1 == x2:  # the same column: round the right side, where labels would lie on each other
        has_label = False
        x1 = x2 = x1 + sizes.width
        bend = min(sizes.gap_x - 4, 24 + abs(y2 - y1) // 8)
        path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 + bend} {y2} {x2} {y2}"
        label_x, label_y = x1 + bend, (y1 + y2) // 2
    else:
        x1, x2 = (x1 + sizes.width, x2) if x1 < x2 else (x1, x2 + sizes.width)
        half = (x1 + x2) // 2
        path = f"M{x1} {y1}C{half} {y1} {half} {y2} {x2} {y2}"
        label_x = round(x1 + (x2 - x1) * share)
        label_y = round(y1 + (y2 - y1) * (3 * share**2 - 2 * share**3))
    label = format_html(
        '<text class="g-edge-label" x="{}" y="{}" text-anchor="middle">{}</text>',
        label_x,
        label_y - 3,
        _cut(arrow.words, _LABEL_CHARS),
    )
    return format_html(
        '<g><path class="g-edge" d="{}" marker-end="url(#graph-arrow)"><title>{}</title></path>'
        "{}</g>",
        path,
        arrow.words,
        label if has_label else "",
    )


def _box(box: Box, x: int, y: int, sizes: Sizes) -> SafeString:
    kind = "not in the catalogue" if box.is_missing else box.kind
    edge = (sizes.height - sizes.tile) // 2
    text_x = x + edge * 2 + sizes.tile
    inside = format_html(
        '<title>{full}</title><rect x="{x}" y="{y}" width="{w}" height="{h}" rx="9"/>'
        '<rect class="g-tile" x="{tile_x}" y="{tile_y}" width="{tile}" height="{tile}" rx="6"/>'
        '<text class="g-icon" x="{icon_x}" y="{icon_y}" text-anchor="middle">{icon}</text>'
        '<text class="g-title" x="{text_x}" y="{title_y}">{title}</text>{kind}{more}',
        full=f"{box.name} ({kind})",
        x=x,
        y=y,
        w=sizes.width,
        h=sizes.height,
        tile_x=x + edge,
        tile_y=y + edge,
        tile=sizes.tile,
        icon_x=x + edge + sizes.tile // 2,
        icon_y=y + edge + sizes.tile // 2 + 8,
        icon=icons.symbol(box.icon, box.blueprint),
        text_x=text_x,
        title_y=y + sizes.height // 2 + (4 if sizes.is_small else -3),
        title=_cut(box.name, sizes.title_chars),
        kind=""
        if sizes.is_small
        else format_html(
            '<text class="g-kind" x="{}" y="{}">{}</text>', text_x, y + 35, _cut(kind, _KIND_CHARS)
        ),
        more=format_html(
            '<text class="g-more" x="{}" y="{}" text-anchor="end">+{}'
            "<title>{} more relations</title></text>",
            x + sizes.width - 9,
            y + 35,
            box.more,
            box.more,
        )
        if box.more and not sizes.is_small
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

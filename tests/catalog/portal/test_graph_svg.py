import re
from xml.etree import ElementTree

import pytest
from django.test import Client

from catalog.models import Entity
from catalog.portal.graph_svg import draw_neighbours
from tests.factories import make_blueprint, make_entity, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def centre(db: None) -> Entity:
    """web needs api, which needs db; job needs web; web also names something that is not there."""
    make_blueprint(
        "service",
        title="Service",
        relations={"needs": {"title": "Needs", "target": "service", "many": True}},
    )
    make_entity("service", "db", title="Database <1>")
    make_entity("service", "api", relations={"needs": ["db"]})
    web = make_entity("service", "web", relations={"needs": ["api", "gone"]})
    make_entity("service", "job", relations={"needs": ["web"]})
    return web


def columns(svg: str) -> dict[str, int]:
    """Horizontal place of each box by its name."""
    pairs = re.findall(r"<title>([^<]*?) \([^<]*\)</title><rect x=\"(\d+)\"", svg)
    return {name: int(x) for name, x in pairs}


def test_what_it_needs_stands_right_and_what_needs_it_left(centre: Entity) -> None:
    drawing = draw_neighbours(make_user(), centre, depth=2)
    place = columns(drawing.svg)
    assert place["job"] < place["web"] < place["api"] == place["gone"]
    assert place["api"] < place["Database &lt;1&gt;"]
    assert drawing.node_count == 5
    assert "<1>" not in drawing.svg
    root = ElementTree.fromstring(drawing.svg)
    assert root[0].text == "Neighbours of web"
    assert "2 to the right" not in (root[1].text or "")
    assert (root[1].text or "").startswith("3 to the right")


@pytest.mark.parametrize(
    ("direction", "names"),
    [("upstream", {"web", "api", "gone"}), ("downstream", {"web", "job"})],
)
def test_one_direction(direction: str, names: set[str], centre: Entity) -> None:
    drawing = draw_neighbours(make_user(), centre, direction=direction)
    assert set(columns(drawing.svg)) == names


def test_a_ring_is_drawn_once(centre: Entity) -> None:
    make_blueprint("ring", relations={"next": {"target": "ring"}})
    make_entity("ring", "a", relations={"next": "b"})
    make_entity("ring", "b", relations={"next": "a"})
    drawing = draw_neighbours(make_user(), Entity.objects.get(identifier="a"), depth=3)
    assert drawing.node_count == 2
    assert drawing.svg.count('class="g-edge"') == 2


def test_the_page_draws_what_is_asked_for(centre: Entity, member: Client) -> None:
    page = member.get("/catalog/service/web?tab=graph&depth=2&direction=upstream").content.decode()
    assert 'href="/catalog/service/db"' in page
    assert 'href="/catalog/service/job"' not in page.partition("<svg")[2]
    odd = member.get("/catalog/service/web?tab=graph&depth=999&direction=up&kind=nothing")
    assert odd.status_code == 200
    assert "Nothing to draw" in odd.content.decode()


def test_a_hub_is_cut_and_says_so(member: Client) -> None:
    make_blueprint("hub")
    make_blueprint("leaf", relations={"of": {"target": "hub"}})
    hub = make_entity("hub", "h")
    for index in range(45):
        make_entity("leaf", f"l{index}", relations={"of": "h"})
    drawing = draw_neighbours(member.user, hub)  # type: ignore[attr-defined]
    assert drawing.node_count == 41
    assert drawing.more == 5
    assert "and 5 more" in member.get("/catalog/hub/h?tab=graph").content.decode()

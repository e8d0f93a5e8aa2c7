from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from catalog.kernel.actors import Role
from catalog.models import TEAM, USER, Blueprint, Entity
from catalog.services import entities
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply
from tests.factories import ACTOR, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

URL = "/catalog/service/pay"


@pytest.fixture
def service(db: None) -> Blueprint:
    make_blueprint("system", title="System")
    return make_blueprint(
        "service",
        title="Service",
        icon="Microservice",
        properties={
            "description": {"type": "string", "title": "Description", "format": "markdown"},
            "tier": {"type": "string", "title": "Tier", "enum": ["gold"]},
            "readme": {"type": "string", "title": "README", "format": "markdown"},
            "runbook": {"type": "string", "title": "Runbook", "format": "url"},
            "links": {"type": "array", "title": "Links"},
        },
        mirrorProperties={"area": {"title": "Area", "path": "system.$title"}},
        relations={
            "system": {"title": "System", "target": "system"},
            "needs": {"title": "Needs", "target": "service", "many": True},
        },
    )


@pytest.fixture
def pay(service: Blueprint) -> Entity:
    make_entity(TEAM, "core", title="Core team")
    make_entity("system", "shop", title="Web shop")
    return make_entity(
        "service",
        "pay",
        title="Payments",
        team=["core", "gone-team"],
        properties={
            "description": "Takes **money**.",
            "tier": "gold",
            "readme": "# How\n\nLike this.",
            "links": [{"url": "https://dash.example", "title": "Dashboard"}],
            "legacy": 7,
        },
        relations={"system": "shop", "needs": ["ledger"]},
        descriptor={"kind": "Component", "metadata": {"name": "pay"}},
        location="url:https://git.example/pay",
    )


def page(browser: Client, query: str = "", url: str = URL) -> str:
    response = browser.get(f"{url}{query}")
    assert response.status_code == 200
    return response.content.decode()


def test_the_header_says_what_and_whose(pay: Entity, member: Client) -> None:
    html = page(member)
    assert "<h1>Payments</h1>" in html
    assert 'data-copy="pay"' in html
    assert 'href="/catalog/_team/core"' in html
    assert "Core team" in html
    assert "_team:gone-team is not in the catalogue" in html
    assert '<span class="ui-badge tone-lightGray">gold</span>' in html
    assert 'href="https://dash.example"' in html
    assert "Web shop" in html


def test_values_are_shown_by_their_kind(pay: Entity, member: Client) -> None:
    html = page(member)
    assert "Takes <strong>money</strong>." in html
    assert "<h3>How</h3>" in html
    assert "(unknown)" in html  # a value its kind does not describe
    assert "(mirror)" in html
    assert 'href="https://git.example/pay"' in html


def test_empty_values_are_hidden_with_a_switch(pay: Entity, member: Client) -> None:
    html = page(member)
    assert "Show 2 empty" in html
    assert "ui-show-empty" not in html
    assert "ui-show-empty" in page(member, "?empty=1")


def test_related_entities_both_ways_and_what_dangles(pay: Entity, member: Client) -> None:
    make_entity("service", "shopfront", title="Shop front", relations={"needs": ["pay"]})
    html = page(member, "?tab=related")
    assert "Payments points to" in html
    assert "These point to Payments" in html
    assert 'href="/catalog/service/shopfront"' in html
    assert "service:ledger is not in the catalogue" in html
    assert '<span class="ui-tab-count">3</span>' in html
    make_entity("service", "ledger")
    assert "is not in the catalogue. The relation" not in page(member, "?tab=related").replace(
        "gone-team is not", ""
    )


def test_many_that_point_here_are_cut_and_lead_to_the_table(member: Client, pay: Entity) -> None:
    apply(
        [EntityDraft("service", f"s{i}", relations={"needs": ["pay"]}) for i in range(25)],
        mode=Mode.CREATE,
        actor=ACTOR,
    )
    html = page(member, "?tab=related")
    assert "All 25 in the table" in html
    assert "/catalog/service?f=relations.needs%3Ahas%3Apay" in html
    assert html.count("/catalog/service/s") == 20


def test_the_graph_card_and_history_are_on_the_overview(pay: Entity, member: Client) -> None:
    html = page(member)
    assert "<svg" in html
    assert 'href="?tab=history"' in html


def test_history_shows_before_and_after(pay: Entity, member: Client) -> None:
    apply(
        [EntityDraft("service", "pay", title="Paying", properties={"legacy": 8})],
        mode=Mode.MERGE,
        actor=ACTOR,
    )
    html = page(member, "?tab=history")
    assert "Changed title, legacy" in html
    assert "tester@example.com" in html
    assert '<td class="ui-before"><pre>Payments</pre></td>' in html
    assert '<td class="ui-after"><pre>Paying</pre></td>' in html


def test_as_of_a_moment(pay: Entity, member: Client) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=2), tick=False):
        apply(
            [EntityDraft("service", "pay", title="Later", properties={"legacy": 99})],
            mode=Mode.MERGE,
            actor=ACTOR,
        )
        day = (timezone.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
        member.force_login(member.user)  # type: ignore[attr-defined]
        html = page(member, f"?tab=history&as_of={day}")
    then = html.partition('id="then"')[2]
    assert "Payments" in then
    assert "Different today: legacy" in then
    assert "Computed values are those of today." in then
    assert "It was not in the catalogue then" in page(member, "?tab=history&as_of=2001-01-01")
    for odd in ("yesterday", "0001-01-01T00:00:00%2B14:00", "%00"):
        assert "is not a date such as" in page(member, f"?tab=history&as_of={odd}")


def test_source_and_api_tabs(pay: Entity, member: Client) -> None:
    source = page(member, "?tab=source")
    assert '<span class="tok-key">kind</span>: Service' in source
    api = page(member, "?tab=api")
    assert "/v1/blueprints/service/entities/pay" in api
    assert "&quot;Payments&quot;" in api
    make_entity("service", "bare")
    bare = page(member, "?tab=source", url="/catalog/service/bare")
    assert "This entity was not read from a file" in bare


def test_an_unknown_tab_is_the_overview(pay: Entity, member: Client) -> None:
    assert "Properties" in page(member, "?tab=nothing")


def test_stars_are_set_by_post_alone(pay: Entity, member: Client) -> None:
    assert member.get(f"{URL}/star").status_code == 405
    assert member.post(f"{URL}/star")["Location"] == URL
    assert 'aria-pressed="true"' in page(member)
    part = member.post(f"{URL}/star", headers={"HX-Request": "true"}).content.decode()
    assert 'aria-pressed="false"' in part
    assert member.post("/catalog/service/none/star").status_code == 404


def test_a_starred_entity_can_be_deleted(pay: Entity, member: Client) -> None:
    member.post(f"{URL}/star")
    entities.delete([("service", "pay")], actor=ACTOR)
    assert member.user.favourites.count() == 0  # type: ignore[attr-defined]


def test_edit_is_offered_by_role(pay: Entity, member: Client) -> None:
    assert f'href="{URL}/edit"' in page(member)
    viewer = page(make_browser(role=Role.VIEWER))
    assert "/edit" not in viewer
    assert "/delete" not in viewer
    assert "admin/catalog/entity" not in page(member)
    assert "admin/catalog/entity" in page(make_browser(role=Role.ADMIN))


def test_a_team_shows_members_subteams_and_what_it_owns(pay: Entity, member: Client) -> None:
    make_entity(USER, "ines", title="Ines", relations={"team": ["core"]})
    make_entity(TEAM, "core-x", title="Core X", relations={"parent": "core"})
    make_entity(USER, "tom", title="Tom")
    apply(
        [EntityDraft(TEAM, "core", relations={"members": ["tom", "ines"]})],
        mode=Mode.MERGE,
        actor=ACTOR,
    )
    html = page(member, url="/catalog/_team/core")
    for name in ("ines", "tom"):  # who names the team, and whom it names; each once
        assert html.partition("<h2>Members</h2>")[2].partition("</section>")[0].count(name) == 1
    assert "Core X" in html.partition("<h2>Subteams</h2>")[2]
    assert 'href="/catalog/service?f=%24team%3Ahas%3Acore"' in html
    assert "Payments" in html.partition("<h2>Owns</h2>")[2]
    person = page(member, url="/catalog/_user/ines")
    assert "Core team" in person
    assert "Payments" in person


def test_what_was_deleted_is_told_and_can_be_brought_back(pay: Entity, member: Client) -> None:
    entities.delete([("service", "pay")], actor=ACTOR)
    response = member.get(URL)
    assert response.status_code == 404
    html = response.content.decode()
    assert "pay was deleted" in html
    assert "tester@example.com" in html
    change = response.context["fate"].change_id
    assert "Restore it" not in make_browser(role=Role.VIEWER).get(URL).content.decode()
    assert (
        make_browser(role=Role.VIEWER).post(f"{URL}/restore", {"change": change}).status_code == 403
    )
    assert not Entity.objects.filter(identifier="pay").exists()
    for other in ("1", "²", "9" * 30):
        assert member.post(f"{URL}/restore", {"change": other}).status_code == 404
    assert member.post(f"{URL}/restore", {"change": change})["Location"] == URL
    assert Entity.objects.get(identifier="pay").properties["legacy"] == 7


def test_an_old_name_leads_to_the_new_one(pay: Entity, member: Client) -> None:
    entities.rename("service", "pay", "payments", actor=ACTOR)
    response = member.get(URL, follow=True)
    assert response.redirect_chain == [("/catalog/service/payments", 302)]
    assert "pay has been renamed to payments" in response.content.decode()


@pytest.mark.parametrize(
    "url",
    [
        "/catalog/service/none",
        "/catalog/nothing/x",
        "/catalog/nothing",
        "/catalog/%00",
        "/catalog/service/%00",
    ],
)
def test_what_never_was_is_not_found(url: str, pay: Entity, member: Client) -> None:
    response = member.get(url)
    assert response.status_code == 404
    assert "<h1" in response.content.decode()


def test_a_person_is_found_by_their_e_mail_address(member: Client) -> None:
    make_entity(USER, "tom", properties={"email": "tom@example.com"})
    response = member.get("/catalog/-/person?email=Tom@example.com")
    assert response.status_code == 302
    assert member.get("/catalog/-/person?email=tom@example.com")["Location"] == "/catalog/_user/tom"
    assert member.get("/catalog/-/person?email=%00")["Location"] == "/people"


@pytest.mark.parametrize(
    ("tab", "count"),
    [
        ("overview", 32),
        ("related", 16),
        ("graph", 24),
        ("history", 15),
        ("source", 15),
        ("api", 15),
    ],
)
def test_query_counts_do_not_grow_with_the_relations(
    tab: str, count: int, member: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_blueprint(
        "service", relations={"needs": {"title": "Needs", "target": "service", "many": True}}
    )
    apply(
        [
            EntityDraft(
                "service",
                "hub",
                team=["a"],
                descriptor={"kind": "x"},
                relations={"needs": [f"o{i}" for i in range(30)]},
            )
        ]
        + [
            EntityDraft("service", f"i{i}", team=[f"t{i}"], relations={"needs": ["hub"]})
            for i in range(30)
        ],
        mode=Mode.CREATE,
        actor=ACTOR,
        missing_targets=MissingTargets.CREATE,
    )
    member.get("/catalog/service/hub")
    with django_assert_num_queries(count):
        assert member.get(f"/catalog/service/hub?tab={tab}").status_code == 200

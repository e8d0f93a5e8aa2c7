"""Entities in the admin: lists at any size, forms, rename, deletion with what depends on it."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from catalog.kernel.actors import Role
from catalog.models import Change, Entity
from tests.factories import make_blueprint, make_entity, make_user

LIST = "/admin/catalog/entity/"


def url(entity: Entity, page: str = "change") -> str:
    return reverse(f"admin:catalog_entity_{page}", args=[entity.pk])


def listed(client: Client, query: str = "") -> list[str]:
    page = client.get(f"{LIST}?{query}")
    assert page.status_code == 200
    return [entity.identifier for entity in page.context["cl"].result_list]


def test_adding_starts_with_the_kind_and_ends_in_the_catalogue(admin_client: Client) -> None:
    make_blueprint("service", properties={"stars": {"type": "number"}}, title="Service")
    page = admin_client.get(f"{LIST}add/").content.decode()
    assert "?kind=service" in page
    assert 'name="p-stars"' in admin_client.get(f"{LIST}add/?kind=service").content.decode()
    answer = admin_client.post(
        f"{LIST}add/?kind=service", {"identifier": "pay", "title": "Pay", "p-stars": "3"}
    )
    assert (answer.status_code, answer["Location"]) == (302, f"{LIST}?kind=service")
    entity = Entity.objects.get(identifier="pay")
    assert (entity.title, entity.properties) == ("Pay", {"stars": 3})
    assert (entity.created_by, entity.datasource) == ("ada@example.com", "idp/admin")
    assert admin_client.get(f"{LIST}add/?kind=nothing").status_code == 404
    assert (
        f'href="{LIST}add/?kind=service"'
        in admin_client.get(f"{LIST}?kind=service").content.decode()
    )


def test_a_refused_form_comes_back_with_what_was_typed(admin_client: Client) -> None:
    make_blueprint("service", properties={"stars": {"type": "number", "minimum": 3}})
    page = admin_client.post(
        f"{LIST}add/?kind=service", {"identifier": "pay", "title": "Pay", "p-stars": "2"}
    )
    assert page.status_code == 200
    text = page.content.decode()
    assert "2 is less than the minimum of 3" in text
    assert 'name="p-stars" value="2"' in text
    assert not Entity.objects.filter(identifier="pay").exists()


def test_editing_shows_both_sides_of_its_relations(admin_client: Client) -> None:
    team = make_blueprint("squad")
    blueprint = make_blueprint(
        "service", relations={"squad": {"target": "squad", "title": "Squad"}}
    )
    core = make_entity(team, "core", title="Core people")
    pay = make_entity(blueprint, "pay", relations={"squad": "core"})
    lost = make_entity(blueprint, "lost", relations={"squad": "nobody"})
    page = admin_client.get(url(pay)).content.decode()
    assert f'<a href="{url(core)}">Core people</a>' in page
    assert f'<a href="{url(pay)}">pay</a>' in admin_client.get(url(core)).content.decode()
    assert "not in the catalogue" in admin_client.get(url(lost)).content.decode()


def test_saving_changes_only_what_was_changed(admin_client: Client) -> None:
    blueprint = make_blueprint("service", properties={"stars": {"type": "number"}})
    entity = make_entity(blueprint, "pay", properties={"stars": 3, "unknown": 1.0}, team=["gone"])
    form = admin_client.get(url(entity)).context["form"]
    sent = {name: form[name].value() for name in form.fields}
    admin_client.post(url(entity), {**sent, "p-stars": "4"})
    entity.refresh_from_db()
    assert (entity.properties, entity.team) == ({"stars": 4, "unknown": 1.0}, ["gone"])
    changes = Change.objects.count()
    admin_client.post(
        url(entity), {**sent, "p-stars": "4", "if_hash": bytes(entity.content_hash).hex()}
    )
    assert Change.objects.count() == changes


def test_a_list_finds_by_parts_of_words_and_filters(admin_client: Client) -> None:
    properties = {
        "tier": {"type": "string", "enum": ["gold", "tin"]},
        "live": {"type": "boolean"},
        "stars": {"type": "number"},
    }
    blueprint = make_blueprint("service", properties=properties)
    make_entity("_team", "core")
    make_entity(blueprint, "pay-api", title="payments", team=["core"], properties={"tier": "gold"})
    make_entity(blueprint, "shop", properties={"tier": "tin", "live": True, "stars": 10})
    make_entity(blueprint, "blog", properties={"live": False, "stars": 9})
    assert listed(admin_client) == ["core", "blog", "pay-api", "shop"]
    assert listed(admin_client, "q=ymen+API") == ["pay-api"]
    assert listed(admin_client, "kind=service") == ["blog", "pay-api", "shop"]
    assert listed(admin_client, "team=core") == ["pay-api"]
    assert listed(admin_client, "owned=no&kind=service") == ["blog", "shop"]
    assert listed(admin_client, 'kind=service&p-tier="gold"') == ["pay-api"]
    assert listed(admin_client, "kind=service&p-live=false") == ["blog"]
    assert listed(admin_client, "kind=service&p-stars_from=10") == ["shop"]
    assert listed(admin_client, "kind=service&p-stars_to=9.5") == ["blog"]
    assert listed(admin_client, "kind=_team&p-tier=gold") == ["core"]  # not of that kind
    page = admin_client.get(f"{LIST}?kind=service&p-stars_from=many")
    assert "&quot;many&quot; is not a number" in page.content.decode()


def test_pages_follow_each_other_without_gaps(admin_client: Client) -> None:
    blueprint = make_blueprint("service")
    for number in range(120):
        # titles collide on purpose: the last key of the order tells them apart
        make_entity(blueprint, f"s{number:03}", title=f"T{number // 40}")
    seen, query = [], "kind=service"
    for _ in range(3):
        page = admin_client.get(f"{LIST}?{query}").context["cl"]
        seen.append([e.identifier for e in page.result_list])
        query = (page.paginator.next or "").removeprefix("?")
    assert [len(page) for page in seen] == [50, 50, 20]
    assert [name for page in seen for name in page] == [f"s{n:03}" for n in range(120)]
    back = page.paginator.previous.removeprefix("?")
    assert listed(admin_client, back) == seen[1]
    page = admin_client.get(f"{LIST}?{back}").context["cl"]
    assert listed(admin_client, page.paginator.next.removeprefix("?")) == seen[2]
    assert page.paginator.first == "?kind=service"


def test_a_cursor_of_another_list_is_told(admin_client: Client) -> None:
    page = admin_client.get(f"{LIST}?after=nonsense", follow=True)
    assert "is not a cursor of this list" in page.content.decode()


def test_deletion_shows_what_depends_on_it(admin_client: Client) -> None:
    make_blueprint("system")
    blueprint = make_blueprint(
        "service",
        relations={
            "system": {"target": "system", "required": True},
            "near": {"target": "system", "many": True},
        },
    )
    other = make_entity("system", "other")
    system = make_entity("system", "shop")
    make_entity(blueprint, "pay", relations={"system": "shop"})
    make_entity(blueprint, "mail", relations={"system": "other", "near": ["shop"]})
    page = admin_client.get(url(system, "delete"))
    assert [d[1:] for d in page.context["dependents"]] == [("service", "pay")]
    assert [r.source.identifier for r in page.context["loose"]] == ["mail"]
    assert admin_client.post(url(system, "delete")).status_code == 409
    assert Entity.objects.filter(blueprint__is_system=False).count() == 4
    admin_client.post(url(system, "delete"), {"delete_dependents": "on"})
    left = Entity.objects.filter(blueprint__is_system=False)
    assert set(left.values_list("identifier", flat=True)) == {"other", "mail"}
    assert other.incoming.count() == 1


def test_rename_lets_relations_follow(admin_client: Client) -> None:
    blueprint = make_blueprint("service", relations={"next": {"target": "service"}})
    entity = make_entity(blueprint, "a")
    other = make_entity(blueprint, "b", relations={"next": "a"})
    refused = admin_client.post(url(entity, "rename"), {"identifier": "b"})
    assert (refused.status_code, "exists already" in refused.content.decode()) == (409, True)
    admin_client.post(url(entity, "rename"), {"identifier": "a/2"})
    other.refresh_from_db()
    assert other.relations == {"next": "a/2"}


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_others_find_no_admin_and_change_nothing(role: Role, db: None) -> None:
    blueprint = make_blueprint("service")
    entity = make_entity(blueprint, "a", title="A")
    client = Client()
    client.force_login(make_user(role=role))
    for address in (url(entity), url(entity, "delete"), url(entity, "rename"), f"{LIST}add/"):
        answer = client.post(address, {"title": "B", "identifier": "b"}, follow=True)
        assert answer.status_code == 403
    assert client.get(LIST, follow=True).status_code == 403
    entity.refresh_from_db()
    assert (entity.title, entity.identifier) == ("A", "a")


def test_reading_changes_nothing(admin_client: Client) -> None:
    entity = make_entity(make_blueprint("service"), "a")
    changes = Change.objects.count()
    for page in ("change", "delete", "rename"):
        query = "?delete_dependents=on&identifier=b&title=B"
        assert admin_client.get(url(entity, page) + query).status_code == 200
    assert admin_client.get(url(entity, "history"))["Location"] == (
        f"/admin/catalog/change/?model=entity&object={entity.pk}"
    )
    assert Change.objects.count() == changes
    assert Entity.objects.filter(pk=entity.pk, identifier="a", title=None).exists()


def test_the_list_costs_the_same_for_any_number(
    admin_client: Client, django_assert_num_queries: Any
) -> None:
    blueprint = make_blueprint("service")
    for number in range(60):
        make_entity(blueprint, f"s{number}", team=["core"])
    admin_client.get(LIST)
    with django_assert_num_queries(6):  # user, sidebar (2), bell, kinds, list
        admin_client.get(LIST)


def test_the_picker_finds_twenty_at_most_for_those_who_are_in(
    admin_client: Client, django_assert_num_queries: Any
) -> None:
    blueprint = make_blueprint("service", title="Service")
    for number in range(25):
        make_entity(blueprint, f"pay-{number:02}", title=f"Payments {number:02}")
    make_entity(blueprint, "pay", title="Zahlungen")
    make_entity(make_blueprint("other"), "pay", title="Elsewhere")
    find = "/pick/entities/"
    found = admin_client.get(find, {"kind": "service", "q": "pay"}).json()["results"]
    assert len(found) == 20
    assert found[0] == {"value": "pay", "label": "Zahlungen", "hint": "pay", "kind": ""}
    found = admin_client.get(find, {"q": "else", "refs": ""}).json()["results"]
    assert [(f["value"], f["label"], f["kind"]) for f in found] == [
        ("other:pay", "Elsewhere", "other")
    ]
    assert Client().get(find).status_code == 401
    assert admin_client.post(find).status_code == 405

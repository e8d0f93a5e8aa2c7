"""Relations in the admin: a list to read, and a filter for those that lead nowhere."""

from typing import Any

from django.test import Client

from tests.factories import make_blueprint, make_entity

LIST = "/admin/catalog/relation/"


def listed(client: Client, query: str = "") -> list[tuple[str, str]]:
    page = client.get(f"{LIST}?{query}")
    assert page.status_code == 200
    return [(r.source.identifier, r.target_identifier) for r in page.context["cl"].result_list]


def test_filters_find_what_dangles(admin_client: Client) -> None:
    make_blueprint("system")
    make_entity("system", "shop")
    blueprint = make_blueprint(
        "service", relations={"system": {"target": "system"}, "near": {"target": "system"}}
    )
    make_entity(blueprint, "a", relations={"system": "shop", "near": "gone"})
    make_entity(blueprint, "b", relations={"system": "lost"})
    assert set(listed(admin_client)) == {("a", "shop"), ("a", "gone"), ("b", "lost")}
    assert listed(admin_client, "dangling=yes") == [("a", "gone"), ("b", "lost")]
    assert listed(admin_client, "dangling=no") == [("a", "shop")]
    assert listed(admin_client, "definition__identifier=near") == [("a", "gone")]
    assert listed(admin_client, "target_identifier=lost&kind=service") == [("b", "lost")]
    assert listed(admin_client, "kind=system") == []


def test_edges_are_only_read_here(admin_client: Client) -> None:
    blueprint = make_blueprint("service", relations={"next": {"target": "service"}})
    entity = make_entity(blueprint, "a", relations={"next": "b"})
    edge = entity.outgoing.get()
    assert admin_client.post(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{edge.pk}/delete/", {"post": "yes"}).status_code == 403
    answer = admin_client.get(f"{LIST}{edge.pk}/change/")
    assert answer["Location"] == f"/admin/catalog/entity/{entity.pk}/change/"


def test_the_list_costs_the_same_for_any_number(
    admin_client: Client, django_assert_num_queries: Any
) -> None:
    blueprint = make_blueprint("service", relations={"next": {"target": "service"}})
    for number in range(60):
        make_entity(blueprint, f"s{number}", relations={"next": f"s{number - 1}"})
    admin_client.get(LIST)
    with django_assert_num_queries(6):  # user, sidebar (2), bell, kinds, list
        admin_client.get(LIST)

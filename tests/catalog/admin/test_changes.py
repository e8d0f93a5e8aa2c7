"""The change log: found, read side by side, exported, and undone where something was deleted."""

import csv
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from catalog.kernel.actors import Actor, Role
from catalog.models import Change, Entity
from catalog.services import entities
from catalog.services.entities import EntityDraft, Mode
from tests.factories import ACTOR, make_blueprint, make_entity, make_user

LIST = "/admin/catalog/change/"
OTHER = Actor("client", "robot", "robot/1")


def listed(client: Client, query: str = "") -> list[tuple[str, str]]:
    page = client.get(f"{LIST}?{query}")
    assert page.status_code == 200
    return [(c.action, c.identifier) for c in page.context["cl"].result_list]


@pytest.fixture
def history(admin_client: Client) -> Entity:
    """Entity `a`: made, changed, joined by `b` of a program."""
    Change.objects.all().delete()
    blueprint = make_blueprint("service", properties={"tier": {"type": "string"}})
    entity = make_entity(blueprint, "a", properties={"tier": "gold"}, title="A")
    entities.apply(
        [EntityDraft("service", "a", title="B", properties={"tier": "tin", "new": [1]})],
        mode=Mode.MERGE,
        actor=ACTOR,
    )
    make_entity(blueprint, "b", actor=OTHER)
    return entity


def test_the_newest_change_is_first_and_filters_narrow(
    admin_client: Client, history: Entity
) -> None:
    assert listed(admin_client) == [
        ("create", "b"),
        ("update", "a"),
        ("create", "a"),
        ("create", "service"),
    ]
    assert listed(admin_client, "actor=robot") == [("create", "b")]
    assert listed(admin_client, "actor_kind=client") == [("create", "b")]
    assert listed(admin_client, "action=update") == [("update", "a")]
    assert listed(admin_client, "model=blueprint") == [("create", "service")]
    assert listed(admin_client, "kind=service&q=ROB") == [("create", "b")]
    assert listed(admin_client, f"model=entity&object={history.pk}") == [
        ("update", "a"),
        ("create", "a"),
    ]
    now = timezone.now()
    soon, ago = (f"{now + d:%Y-%m-%dT%H:%M}" for d in (timedelta(hours=1), -timedelta(hours=1)))
    assert listed(admin_client, f"at_from={soon}") == []
    assert len(listed(admin_client, f"at_from={ago}&at_to={soon}")) == 4
    assert "is not a date and time" in admin_client.get(f"{LIST}?at_from=x").content.decode()


def test_a_change_shows_before_and_after(admin_client: Client, history: Entity) -> None:
    update = Change.objects.get(action="update")
    page = admin_client.get(f"{LIST}{update.pk}/change/")
    assert page.context["rows"] == [
        {"path": "title", "before": "A", "after": "B"},
        {"path": "properties.tier", "before": "gold", "after": "tin"},
        {"path": "properties.new", "before": "", "after": "[\n  1\n]"},
    ]
    made = Change.objects.get(action="create", identifier="a")
    rows = admin_client.get(f"{LIST}{made.pk}/change/").context["rows"]
    assert rows == [
        {"path": "title", "before": "", "after": "A"},
        {"path": "properties.tier", "before": "", "after": "gold"},
    ]


def test_the_log_cannot_be_written(admin_client: Client, history: Entity) -> None:
    change = Change.objects.first()
    for address in (f"{LIST}add/", f"{LIST}{change.pk}/delete/"):
        assert admin_client.post(address, {"post": "yes"}).status_code == 403
    admin_client.post(f"{LIST}{change.pk}/change/", {"actor": "nobody"})
    assert Change.objects.count() == 4
    assert not Change.objects.filter(actor="nobody").exists()


def test_a_deleted_entity_comes_back_as_it_was(admin_client: Client, history: Entity) -> None:
    entities.delete([("service", "a"), ("service", "b")], actor=ACTOR)
    deletion = Change.objects.get(action="delete", identifier="a")
    restore = f"{LIST}{deletion.pk}/restore/"
    assert restore in admin_client.get(f"{LIST}{deletion.pk}/change/").content.decode()
    page = admin_client.get(restore)
    assert [c.identifier for c in page.context["companions"]] == ["b"]
    assert not Entity.objects.filter(blueprint__identifier="service").exists()  # GET shows only

    answer = admin_client.post(restore)
    entity = Entity.objects.get(blueprint__identifier="service")
    assert answer["Location"] == f"/admin/catalog/entity/{entity.pk}/change/"
    assert (entity.identifier, entity.title) == ("a", "B")
    assert entity.properties == {"tier": "tin", "new": [1]}
    assert Change.objects.filter(action="create", identifier="a", actor="ada@example.com").exists()

    admin_client.post(restore)  # a second click finds it there
    assert Entity.objects.filter(blueprint__identifier="service").count() == 1
    assert restore not in admin_client.get(f"{LIST}{deletion.pk}/change/").content.decode()


def test_what_went_together_comes_back_together(admin_client: Client, history: Entity) -> None:
    entities.delete([("service", "a"), ("service", "b")], actor=ACTOR)
    deletion = Change.objects.get(action="delete", identifier="a")
    admin_client.post(f"{LIST}{deletion.pk}/restore/", {"with_companions": "on"})
    found = Entity.objects.filter(blueprint__identifier="service").order_by("identifier")
    assert [e.identifier for e in found] == ["a", "b"]


def test_a_restoration_that_cannot_be_says_why(admin_client: Client, history: Entity) -> None:
    from catalog.services.blueprints import delete_all_entities

    delete_all_entities("service", actor=ACTOR, delete_blueprint_too=True)
    deletion = Change.objects.get(action="delete", model="entity", identifier="a")
    page = admin_client.post(f"{LIST}{deletion.pk}/restore/")
    assert page.status_code == 409
    assert "Blueprint with identifier &quot;service&quot; was not found" in page.content.decode()


def test_the_export_has_the_filtered_rows_and_no_formulas(
    admin_client: Client, history: Entity
) -> None:
    make_entity("service", "=cmd", actor=OTHER)
    answer = admin_client.get(f"{LIST}export/?actor=robot")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(StringIO(text)))
    assert [(r["action"], r["identifier"]) for r in rows] == [("create", "'=cmd"), ("create", "b")]
    update = admin_client.get(f"{LIST}export/?action=update")
    [row] = csv.DictReader(StringIO(b"".join(update.streaming_content).decode("utf-8-sig")))
    assert '"tier": "gold"' in row["before"]
    assert admin_client.post(f"{LIST}export/").status_code == 405


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_others_may_not_read_or_restore(role: Role, history: Entity) -> None:
    entities.delete([("service", "a")], actor=ACTOR)
    deletion = Change.objects.get(action="delete")
    client = Client()
    client.force_login(make_user(role=role))
    for address in (LIST, f"{LIST}export/", f"{LIST}{deletion.pk}/change/"):
        assert client.get(address, follow=True).status_code == 403
    assert client.post(f"{LIST}{deletion.pk}/restore/", follow=True).status_code == 403
    assert not Entity.objects.filter(identifier="a", blueprint__identifier="service").exists()


def test_the_list_costs_the_same_for_any_number(
    admin_client: Client, django_assert_num_queries: Any
) -> None:
    blueprint = make_blueprint("service")
    for number in range(60):
        make_entity(blueprint, f"s{number}")
    admin_client.get(LIST)
    with django_assert_num_queries(6):  # user, sidebar (2), bell, kinds, list
        page = admin_client.get(LIST)
    assert page.context["cl"].paginator.next

import pytest
from django.test import Client

from catalog.kernel.actors import Role
from catalog.models import TEAM, Blueprint, Change, Entity
from catalog.services.entities import EntityDraft, Mode, apply
from tests.factories import ACTOR, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

URL = "/catalog/service"


@pytest.fixture
def service(db: None) -> Blueprint:
    return make_blueprint(
        "service",
        title="Service",
        properties={
            "tier": {"type": "string", "title": "Tier", "enum": ["gold", "silver"]},
            "replicas": {"type": "number", "title": "Replicas", "minimum": 1},
            "config": {"type": "object", "title": "Config"},
        },
        required=["tier"],
        relations={"needs": {"title": "Needs", "target": "service", "many": True}},
    )


def test_a_member_makes_an_entity(service: Blueprint, member: Client) -> None:
    assert 'name="p-tier"' in member.get(f"{URL}/-/new").content.decode()
    response = member.post(
        f"{URL}/-/new",
        {"identifier": "pay", "title": "Payments", "p-tier": '"gold"', "p-config": '{"a": [1]}'},
    )
    assert response["Location"] == f"{URL}/pay"
    made = Entity.objects.get(identifier="pay")
    assert made.properties == {"tier": "gold", "config": {"a": [1]}}
    assert (made.updated_by, made.datasource) == ("ines@example.com", "idp/portal")


def test_fields_can_be_filled_in_by_the_address(service: Blueprint, member: Client) -> None:
    html = member.get(f"{URL}/-/new?identifier=from-link&p-tier=silver").content.decode()
    assert 'value="from-link"' in html


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_stored(
    service: Blueprint, member: Client
) -> None:
    response = member.post(
        f"{URL}/-/new", {"identifier": "pay", "p-tier": '"gold"', "p-replicas": "0"}
    )
    assert response.status_code == 422
    form = response.context["form"]
    assert list(form.errors) == ["p-replicas"]
    assert not Entity.objects.filter(identifier="pay").exists()


def test_an_edit_writes_what_changed_alone(service: Blueprint, member: Client) -> None:
    make_entity("service", "pay", properties={"tier": "gold", "unknown": 1})
    page = member.get(f"{URL}/pay/edit")
    form = page.context["form"]
    sent = {"title": "Pay", "p-tier": '"silver"', "if_hash": form["if_hash"].value()}
    assert member.post(f"{URL}/pay/edit", sent)["Location"] == f"{URL}/pay"
    stored = Entity.objects.get(identifier="pay")
    assert (stored.title, stored.properties) == ("Pay", {"tier": "silver", "unknown": 1})


def test_two_people_do_not_overwrite_each_other(service: Blueprint, member: Client) -> None:
    make_entity("service", "pay", properties={"tier": "gold"})
    old = member.get(f"{URL}/pay/edit").context["form"]["if_hash"].value()
    apply([EntityDraft("service", "pay", title="Other")], mode=Mode.MERGE, actor=ACTOR)
    response = member.post(f"{URL}/pay/edit", {"title": "Mine", "p-tier": '"gold"', "if_hash": old})
    assert response.status_code == 422
    assert "Your input below is not saved" in response.content.decode()
    assert Entity.objects.get(identifier="pay").title == "Other"


def test_an_edit_of_what_an_import_owns_is_warned_about(service: Blueprint, member: Client) -> None:
    make_entity("service", "pay", properties={"tier": "gold"}, location="file:catalog-info.yaml")
    html = member.get(f"{URL}/pay/edit").content.decode()
    assert "This entity comes from a file" in html
    assert "catalog-info.yaml" in html


def test_deleting_shows_what_dangles_and_asks(service: Blueprint, member: Client) -> None:
    make_entity("service", "pay", properties={"tier": "gold"})
    make_entity("service", "web", properties={"tier": "gold"}, relations={"needs": ["pay"]})
    html = member.get(f"{URL}/pay/delete").content.decode()
    assert "Their relations stay, and dangle" in html
    assert "/catalog/service/web" in html
    assert Entity.objects.filter(identifier="pay").exists()
    assert member.post(f"{URL}/pay/delete")["Location"] == URL
    assert not Entity.objects.filter(identifier="pay").exists()


def test_what_others_need_is_not_deleted(service: Blueprint, member: Client) -> None:
    make_blueprint("page", relations={"of": {"target": "service", "required": True}})
    make_entity("service", "pay", properties={"tier": "gold"})
    make_entity("page", "p", relations={"of": "pay"})
    response = member.post(f"{URL}/pay/delete")
    assert response.status_code == 409
    assert Entity.objects.filter(identifier="pay").exists()


@pytest.mark.parametrize("path", ["/-/new", "/pay/edit", "/pay/delete"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_viewer_changes_nothing(path: str, method: str, service: Blueprint) -> None:
    make_entity("service", "pay", properties={"tier": "gold"})
    before = Change.objects.count()
    viewer = make_browser(role=Role.VIEWER)
    response = getattr(viewer, method)(f"{URL}{path}", {"identifier": "x", "p-tier": '"silver"'})
    assert response.status_code == 403
    assert "Ask an admin for the role Member" in response.content.decode()
    assert Change.objects.count() == before


def test_only_admins_write_teams(member: Client) -> None:
    make_entity(TEAM, "core")
    assert member.get(f"/catalog/{TEAM}/core/edit").status_code == 403
    assert make_browser(role=Role.ADMIN).get(f"/catalog/{TEAM}/core/edit").status_code == 200


def test_a_form_without_its_token_is_refused(service: Blueprint) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make_browser().user)  # type: ignore[attr-defined]
    assert browser.post(f"{URL}/-/new", {"identifier": "x", "p-tier": '"gold"'}).status_code == 403
    assert not Entity.objects.filter(identifier="x").exists()

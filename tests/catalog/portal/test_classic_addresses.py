"""Addresses of Backstage's pages that people have written down somewhere."""

from __future__ import annotations

import pytest
from django.test import Client

from catalog.kernel.actors import Actor
from catalog.services.blueprints import create_blueprint
from catalog.services.entities import EntityDraft, Mode, apply

pytestmark = pytest.mark.django_db

ACTOR = Actor.system("test")


@pytest.fixture
def member(client: Client, django_user_model) -> Client:
    client.force_login(django_user_model.objects.create_user("jane", password="x"))
    return client


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        ("/catalog/default/component/orders", "/catalog/component/orders"),
        ("/catalog/Default/Component/Orders", "/catalog/component/orders"),
        ("/catalog/shop/component/pay", "/catalog/component/shop~pay"),
        ("/catalog/default/component/orders/docs", "/catalog/component/orders?tab=docs"),
        ("/catalog/default/component/orders/ci-cd", "/catalog/component/orders"),
        (
            "/catalog-graph?rootEntityRefs[]=component:shop/pay&maxDepth=2",
            "/catalog/component/shop~pay?tab=graph",
        ),
        ("/catalog-graph", "/catalog"),
        ("/create", "/self-service"),
        ("/settings", "/me"),
    ],
)
def test_they_lead_to_ours(member: Client, address: str, leads_to: str) -> None:
    create_blueprint(
        {"identifier": "component", "schema": {"properties": {}}, "relations": {}}, actor=ACTOR
    )
    drafts = [EntityDraft("component", name) for name in ("orders", "shop/pay")]
    apply(drafts, mode=Mode.CREATE, actor=ACTOR)
    answer = member.get(address)
    assert (answer.status_code, answer.headers.get("Location")) == (302, leads_to)


def test_what_is_not_there_is_not_found(member: Client) -> None:
    assert member.get("/catalog/default/component/gone").status_code == 404


def test_only_for_those_logged_in(client: Client) -> None:
    answer = client.get("/catalog/default/component/gone")
    assert answer.headers["Location"].startswith("/accounts/login/")


def test_probes(client: Client) -> None:
    assert client.get("/.backstage/health/v1/liveness").status_code == 200

"""The OpenAPI document: kept in the repository, served, and true."""

from pathlib import Path

import pytest
import yaml
from django.test import Client

from idp.api.schema import document, document_yaml
from tests.factories import PASSWORD, make_api, make_user

KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"


def test_the_document_in_the_repository_is_up_to_date():
    """After a change of the API: python manage.py spectacular --file docs/openapi.yaml"""
    assert KEPT.read_bytes() == document_yaml()


def test_every_reference_leads_somewhere():
    schemas = document()["components"]["schemas"]
    missing = {
        target
        for target in _references(document())
        if target.removeprefix("#/components/schemas/") not in schemas
    }
    assert missing == set()


@pytest.mark.django_db
def test_the_document_is_served_to_those_who_may_read():
    api = make_api()
    assert api.get("/schema/").json()["openapi"].startswith("3.1")
    shown = api.get("/schema/?format=yaml")
    assert shown.headers["Content-Type"] == "application/yaml"
    assert yaml.safe_load(shown.content)["paths"].keys() == document()["paths"].keys()


@pytest.mark.django_db
def test_the_page_sends_strangers_to_the_log_in():
    make_user("ann")
    person = Client()
    assert person.get("/schema/ui/").headers["Location"] == "/accounts/login/?next=/schema/ui/"
    person.login(username="ann", password=PASSWORD)
    page = person.get("/schema/ui/").content.decode()
    assert "swagger-ui-bundle.js" in page
    assert "http" not in page.partition("swagger-ui-bundle.js")[0].rpartition("<script")[2]


def _references(part):
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for one in part.values():
            yield from _references(one)
    elif isinstance(part, list):
        for one in part:
            yield from _references(one)

"""Bad requests to pages; those to the API are in `test_api_errors`."""

import pytest
from django.test import Client

from catalog.kernel.actors import Role
from tests.factories import make_blueprint, make_browser

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "path",
    [
        "/pick/entities/?kind=%00",
        "/catalog/service/-/new?r-needs=a%00",
        "/admin/catalog/entity/?team=%00",
        "/admin/catalog/change/?actor=%00",
        "/admin/idp/user/?role=%00",
    ],
)
def test_a_nul_in_an_address_is_a_bad_request(path: str) -> None:
    make_blueprint("service", relations={"needs": {"title": "Needs", "target": "service"}})
    assert make_browser(role=Role.ADMIN).get(path).status_code == 400


def test_a_nul_in_a_form_is_a_bad_request() -> None:
    make_blueprint("service")
    browser = make_browser()
    for path, form in [
        ("/catalog/service/-/views", {"name": "a\x00"}),
        ("/catalog/service/-/new", {"identifier": "a", "team": "\x00"}),
    ]:
        assert browser.post(path, form).status_code == 400


def test_a_form_without_its_token_is_refused_in_our_words() -> None:
    answer = Client(enforce_csrf_checks=True).post("/accounts/login/", {"login": "a"})
    assert answer.status_code == 403
    assert "Reload the page and try again." in answer.content.decode()
    assert "DEBUG=True" not in answer.content.decode()

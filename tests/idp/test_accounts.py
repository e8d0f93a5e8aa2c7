"""An e-mail address opens teams and what they own, so nobody takes one for themselves."""

import pytest

from catalog.models import TEAM, USER
from idp.models import User
from tests.factories import PASSWORD, make_browser, make_entity

pytestmark = pytest.mark.django_db

FORM = {
    "email": "ann@example.com",
    "username": "mallory",
    "password1": "a long enough password 1",
    "password2": "a long enough password 1",
}


@pytest.fixture(autouse=True)
def ann() -> None:
    make_entity(TEAM, "core")
    make_entity(USER, "ann", properties={"email": "ann@example.com"}, relations={"team": ["core"]})


def test_sign_up_is_closed_until_the_operator_opens_it(client):
    client.post("/accounts/signup/", FORM)
    assert not User.objects.exists()


def test_who_signed_up_waits_for_an_admin(client, settings):
    settings.IDP_SIGNUP = True
    client.post("/accounts/signup/", FORM)
    user = User.objects.get()
    assert (user.username, user.role, user.is_active) == ("mallory", "Viewer", False)
    assert client.get("/").status_code == 302  # to the log-in

    user.is_active = True
    user.save()
    client.post("/accounts/login/", {"login": "mallory", "password": FORM["password1"]})
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("action", ["action_add", "action_primary", "action_remove"])
def test_nobody_changes_their_own_address(action):
    browser = make_browser("mallory")
    assert browser.get("/accounts/email/").status_code == 403
    answer = browser.post("/accounts/email/", {"email": "ann@example.com", action: ""})
    assert answer.status_code == 403
    assert User.objects.get().email == "mallory@example.com"
    assert browser.login(username="mallory", password=PASSWORD)

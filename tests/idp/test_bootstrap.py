"""The first user and the first API client."""

import stat

import pytest

from catalog.kernel.errors import InvalidInput
from idp import auth, bootstrap
from idp.models import ApiClient, User

pytestmark = pytest.mark.django_db


def test_an_empty_installation_gets_an_admin_and_a_client_once(tmp_path):
    assert bootstrap.is_first_run()
    made = bootstrap.make_access()
    assert not bootstrap.is_first_run()
    admin = User.objects.get()
    assert (admin.username, admin.role) == ("admin", "Admin")
    assert admin.check_password(made.password)
    assert ApiClient.objects.get().role == "Admin"
    auth.issue_token(client_id=made.client_id, client_secret=made.client_secret)

    kept = tmp_path / "home" / "credentials"
    bootstrap.keep(made, kept)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.read_text().splitlines() == [
        "username=admin",
        f"password={made.password}",
        f"client_id={made.client_id}",
        f"client_secret={made.client_secret}",
    ]

    assert bootstrap.make_access() == bootstrap.Made()
    assert (User.objects.count(), ApiClient.objects.count()) == (1, 1)


def test_given_credentials_work_and_are_not_shown(tmp_path):
    made = bootstrap.make_access(
        password="given-password", client_id="ci", client_secret="given-secret-of-ci"
    )
    assert made.lines() == []
    assert User.objects.get().check_password("given-password")
    auth.issue_token(client_id="ci", client_secret="given-secret-of-ci")
    bootstrap.keep(made, tmp_path / "credentials")
    assert not (tmp_path / "credentials").exists()


def test_a_named_client_is_added_to_those_that_exist():
    bootstrap.make_access()
    made = bootstrap.make_access(client_id="ci")
    assert (made.username, made.client_id) == (None, "ci")
    assert ApiClient.objects.count() == 2


def test_a_short_secret_is_refused():
    with pytest.raises(InvalidInput, match="at least 12 characters"):
        bootstrap.make_access(client_id="ci", client_secret="short")

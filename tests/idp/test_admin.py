"""Users, API clients and the door of the admin."""

from typing import Any

import pytest
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.test import Client

from catalog.kernel.actors import Role
from catalog.kernel.errors import Conflict, NotAuthenticated
from catalog.models import Change
from idp.auth import issue_token
from idp.models import ApiClient, User
from idp.users import update_user
from tests.factories import ACTOR, PASSWORD, make_client, make_user

USERS, CLIENTS = "/admin/idp/user/", "/admin/idp/apiclient/"
PERSON = {"username": "bo", "email": "bo@example.com", "first_name": "Bo", "last_name": "Berg"}


@pytest.fixture
def ada(db: None) -> User:
    return make_user("ada", role=Role.ADMIN)


@pytest.fixture
def browser(ada: User) -> Client:
    client = Client()
    client.force_login(ada)
    return client


def changes_of(model: str) -> list[tuple[str, str, Any, Any]]:
    rows = Change.objects.filter(model=model, actor="ada@example.com").order_by("pk")
    return [(c.action, c.identifier, c.before, c.after) for c in rows]


def test_strangers_log_in_on_the_one_page_and_others_are_refused(db: None) -> None:
    answer = Client().get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0] == "/accounts/login/?next=/admin/"
    assert Client().post("/admin/login/", {"username": "x"})["Location"].startswith("/accounts/")
    for role in (Role.MEMBER, Role.VIEWER):
        client = Client()
        client.force_login(make_user(role=role))
        for address in ("/admin/", USERS, CLIENTS, f"{USERS}add/", "/admin/search/?s=a"):
            assert client.get(address, follow=True).status_code == 403


def test_log_out_and_password_have_one_page_each(browser: Client) -> None:
    assert browser.get("/admin/logout/")["Location"] == "/accounts/logout/"
    assert browser.post("/admin/password_change/")["Location"] == "/accounts/password/change/"
    assert browser.get("/admin/login/")["Location"] == "/admin/"


def test_the_index_tells_the_figures(browser: Client, django_assert_num_queries: Any) -> None:
    from tests.factories import make_blueprint, make_entity

    blueprint = make_blueprint("service", title="Service", relations={"next": {"target": "*"}})
    make_entity(blueprint, "a", relations={"next": "service:gone"})
    make_entity(blueprint, "b", team=["core"])
    page = browser.get("/admin/")
    facts = page.context
    assert (facts["entity_count"], facts["dangling"], facts["ownerless"]) == (2, 1, 1)
    assert [(k.title, k.count) for k in facts["kinds"]] == [("Service", 2)]
    with django_assert_num_queries(11):  # user, sidebar (2), bell, 5 figures, changes, sources
        browser.get("/admin/")


def test_only_our_own_models_are_registered() -> None:
    labels = {model._meta.label for model in admin.site._registry}
    assert labels >= {"idp.User", "idp.ApiClient", "catalog.Entity", "catalog.Change"}
    ours = {"actions", "catalog", "idp", "scorecards"}
    assert {label.partition(".")[0] for label in labels} <= ours


def test_a_user_is_made_with_a_role_and_can_log_in(browser: Client) -> None:
    passwords = {"password1": "tr0ub4dor and 3", "password2": "tr0ub4dor and 3"}
    answer = browser.post(f"{USERS}add/", {**PERSON, "role": "Viewer", **passwords})
    assert answer["Location"] == USERS
    user = User.objects.get(username="bo")
    assert (user.role, user.get_full_name()) == ("Viewer", "Bo Berg")
    assert user.check_password("tr0ub4dor and 3")
    [(action, name, before, after)] = changes_of("user")
    assert (action, name, before) == ("create", "bo", None)
    assert after == {**PERSON, "role": "Viewer", "is_active": True}


def test_a_user_without_a_password_has_none(browser: Client) -> None:
    browser.post(f"{USERS}add/", {**PERSON, "role": "Member"})
    assert not User.objects.get(username="bo").has_usable_password()


@pytest.mark.parametrize(
    ("field", "data"),
    [
        ("username", {"username": "ada"}),
        ("username", {"username": "a b"}),
        ("username", {"username": ""}),
        ("email", {"email": "nobody"}),
        ("role", {"role": "King"}),
        ("password1", {"password1": "12345678", "password2": "12345678"}),
        ("password1", {"password1": "bo@example.com", "password2": "bo@example.com"}),
        ("password2", {"password1": "tr0ub4dor and 3", "password2": "other"}),
        ("__all__", {"email": "ADA@example.com"}),
    ],
)
def test_a_bad_user_is_told_at_the_field(field: str, data: dict[str, str], browser: Client) -> None:
    page = browser.post(f"{USERS}add/", {**PERSON, "role": "Member", **data})
    assert list(page.context["form"].errors) == [field]
    assert User.objects.count() == 1
    assert changes_of("user") == []


def test_a_user_is_changed_and_switched_off(browser: Client) -> None:
    user = make_user("bo")
    gone = Client()
    assert gone.login(username="bo", password=PASSWORD)
    browser.post(f"{USERS}{user.pk}/change/", {**PERSON, "role": "Admin"})  # no is_active
    user.refresh_from_db()
    assert (user.role, user.is_active, user.first_name) == ("Admin", False, "Bo")
    assert gone.get("/admin/", follow=True).redirect_chain  # their session is over
    [(action, name, before, after)] = changes_of("user")
    assert (action, name) == ("update", "bo")
    assert before == {"first_name": "", "last_name": "", "role": "Member", "is_active": True}
    assert after == {"first_name": "Bo", "last_name": "Berg", "role": "Admin", "is_active": False}
    browser.post(f"{USERS}{user.pk}/change/", {**PERSON, "role": "Admin"})
    assert len(changes_of("user")) == 1  # nothing changed, nothing recorded


@pytest.mark.parametrize("data", [{"role": "Member", "is_active": "on"}, {"role": "Admin"}])
def test_the_last_admin_stays(data: dict[str, str], browser: Client, ada: User) -> None:
    make_user("idle", role=Role.ADMIN, is_active=False)
    page = browser.post(f"{USERS}{ada.pk}/change/", {"username": "ada", "email": ada.email, **data})
    assert "is the last admin" in page.content.decode()
    ada.refresh_from_db()
    assert ada.is_staff
    make_user("eve", role=Role.ADMIN)
    update_user(ada, actor=ACTOR, role="Member")
    with pytest.raises(Conflict):
        update_user(User.objects.get(username="eve"), actor=ACTOR, is_active=False)


def test_the_old_address_does_not_open_the_account(ada: User) -> None:
    from allauth.account.models import EmailAddress

    EmailAddress.objects.create(user=ada, email="ada@example.com", verified=True, primary=True)
    update_user(ada, actor=ACTOR, email="new@example.com")
    assert not EmailAddress.objects.filter(email="ada@example.com").exists()
    with pytest.raises(ValidationError):
        update_user(ada, actor=ACTOR, email="nonsense")


def test_a_password_is_set_and_one_stays_logged_in(browser: Client, ada: User) -> None:
    address = f"{USERS}{ada.pk}/password/"
    assert browser.post(address, {"password1": "short", "password2": "short"}).status_code == 200
    new = {"password1": "tr0ub4dor and 3", "password2": "tr0ub4dor and 3"}
    assert browser.post(address, new).status_code == 302
    ada.refresh_from_db()
    assert ada.check_password(new["password1"])
    assert browser.get("/admin/").status_code == 200
    assert changes_of("user") == [("update", "ada", None, {"password": "changed"})]


def test_nobody_is_deleted(browser: Client, ada: User) -> None:
    client, _ = make_client()
    for address in (f"{USERS}{ada.pk}/delete/", f"{CLIENTS}{client.pk}/delete/"):
        assert browser.post(address, {"post": "yes"}).status_code == 403
    assert (User.objects.count(), ApiClient.objects.count()) == (1, 1)


def test_the_secret_of_a_client_is_shown_once(browser: Client) -> None:
    answer = browser.post(f"{CLIENTS}add/", {"name": "ci", "role": "Member"})
    secret = answer.context["secret"]
    client = ApiClient.objects.get(name="ci")
    assert secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert issue_token(client_id=client.client_id, client_secret=secret).access_token
    for address in ("", f"{client.pk}/change/", f"{client.pk}/rotate/"):
        assert secret not in browser.get(f"{CLIENTS}{address}").content.decode()
    for change in Change.objects.filter(model="api_client"):
        assert secret not in str((change.before, change.after))


def test_a_new_secret_needs_a_post_and_ends_the_old_one(browser: Client) -> None:
    client, old = make_client()
    address = f"{CLIENTS}{client.pk}/rotate/"
    assert browser.get(address).status_code == 200
    assert issue_token(client_id=client.client_id, client_secret=old)
    new = browser.post(address).context["secret"]
    with pytest.raises(NotAuthenticated):
        issue_token(client_id=client.client_id, client_secret=old)
    assert issue_token(client_id=client.client_id, client_secret=new)
    assert changes_of("api_client") == [("update", client.client_id, None, {"secret": "rotated"})]


def test_a_client_that_is_switched_off_gets_no_token(browser: Client) -> None:
    client, secret = make_client(name="ci")
    page = browser.post(f"{CLIENTS}{client.pk}/change/", {"name": "", "role": "Viewer"})
    assert list(page.context["form"].errors) == ["name"]
    browser.post(f"{CLIENTS}{client.pk}/change/", {"name": "ci", "role": "Viewer"})
    with pytest.raises(NotAuthenticated):
        issue_token(client_id=client.client_id, client_secret=secret)
    assert changes_of("api_client") == [
        (
            "update",
            client.client_id,
            {"role": "Member", "is_active": True},
            {"role": "Viewer", "is_active": False},
        )
    ]


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_others_change_nothing(role: Role, ada: User) -> None:
    client, secret = make_client()
    intruder = make_user(role=role)
    browser = Client()
    browser.force_login(intruder)
    for address, data in [
        (f"{USERS}{intruder.pk}/change/", {**PERSON, "role": "Admin", "is_active": "on"}),
        (f"{USERS}{ada.pk}/password/", {"password1": "tr0ub4dor!", "password2": "tr0ub4dor!"}),
        (f"{USERS}add/", {**PERSON, "role": "Admin"}),
        (f"{CLIENTS}add/", {"name": "mine", "role": "Admin"}),
        (f"{CLIENTS}{client.pk}/rotate/", {}),
        (f"{CLIENTS}{client.pk}/change/", {"name": "mine", "role": "Admin"}),
    ]:
        assert browser.post(address, data, follow=True).status_code == 403
    intruder.refresh_from_db()
    ada.refresh_from_db()
    assert intruder.role == role
    assert ada.check_password(PASSWORD)
    assert (User.objects.count(), ApiClient.objects.count()) == (2, 1)
    assert issue_token(client_id=client.client_id, client_secret=secret)


@pytest.mark.parametrize("address", [USERS, CLIENTS])
def test_the_lists_cost_the_same_for_any_number(
    address: str, browser: Client, django_assert_num_queries: Any
) -> None:
    for _ in range(5):
        make_user()
        make_client()
    browser.get(address)
    with django_assert_num_queries(5):  # user, sidebar (2), bell, list
        browser.get(address)
    assert browser.get(f"{address}?role=Admin&active=no").status_code == 200


@pytest.mark.parametrize(
    "address",
    [f"{USERS}?password__startswith=pbkdf2", f"{CLIENTS}?secret_digest__startswith=a"],
)
def test_no_address_guesses_at_secrets(address: str, browser: Client) -> None:
    make_client()
    assert browser.get(address).status_code == 400

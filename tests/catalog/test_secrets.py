"""Secrets: sealed with keys of their own, resolved by name, rotated, and told to nobody."""

from io import StringIO
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from catalog.kernel import crypto
from catalog.kernel.actors import Actor, Role
from catalog.kernel.errors import AlreadyExists, InvalidInput, NotFound
from catalog.models import Change, Integration, Secret
from catalog.services import secrets
from tests.factories import make_api, make_browser

ACTOR = Actor.system("tests")
VALUE = "ghp_unspeakable"
SCHEMA = {
    "properties": {
        "url": {"type": "string"},
        "token": {"type": "string", "secret": True},
        "kubeconfig": {"type": "object", "secret": True},
    }
}


def make_secret(name: str = "GITHUB", value: str = VALUE, description: str = "") -> Secret:
    return secrets.create_secret(name=name, value=value, description=description, actor=ACTOR)


def revealed(name: str) -> str:
    return str(crypto.open_(secrets.get_secret(name).sealed))


def make_integration(settings: dict, sealed: bytes | None = None) -> Integration:
    now = timezone.now()
    return Integration.objects.create(
        identifier="hub",
        title="Our hub",
        kind="github",
        settings=settings,
        sealed=sealed,
        created_at=now,
        created_by="tests",
        updated_at=now,
        updated_by="tests",
    )


# The organisation's secrets


def test_a_secret_is_stored_sealed_and_history_does_not_hold_it(db):
    make_secret(description="bot")
    secrets.update_secret("GITHUB", value="another one", description="the bot", actor=ACTOR)
    secrets.update_secret("GITHUB", value="another one", description="the bot", actor=ACTOR)
    assert revealed("GITHUB") == "another one"
    secrets.delete_secret("GITHUB", actor=ACTOR)
    changes = list(Change.objects.filter(model="secret").order_by("id"))
    assert [(one.action, one.identifier, one.before, one.after) for one in changes] == [
        ("create", "GITHUB", None, None),
        (
            "update",
            "GITHUB",
            {"value": "as before", "description": "bot"},
            {"value": "replaced", "description": "the bot"},
        ),
        ("delete", "GITHUB", {"name": "GITHUB", "description": "the bot"}, None),
    ]
    with pytest.raises(NotFound):
        revealed("GITHUB")


@pytest.mark.parametrize(
    ("_case", "fields", "field"),
    [
        ("name with a blank", {"name": "a b"}, "secretName"),
        ("no name", {"name": ""}, "secretName"),
        ("empty value", {"value": ""}, "secretValue"),
        ("no text", {"value": 5}, "secretValue"),
        ("NUL", {"value": "a\0b"}, "secretValue"),
        ("too long", {"value": "x" * 65_537}, "secretValue"),
        ("description too long", {"description": "x" * 201}, "description"),
    ],
)
def test_what_a_secret_may_not_be(db, _case, fields, field):
    with pytest.raises(InvalidInput) as caught:
        make_secret(**fields)
    assert caught.value.details["field"] == field
    assert not Secret.objects.exists()


def test_a_name_is_given_once(db):
    make_secret()
    with pytest.raises(AlreadyExists):
        make_secret(value="x")
    assert revealed("GITHUB") == VALUE


# Settings of integrations


def test_settings_are_parted_by_what_their_schema_marks():
    plain, sealed = secrets.seal_settings(
        SCHEMA, {"url": "https://x", "token": "t-1", "kubeconfig": {"a": [1]}}
    )
    assert plain == {"url": "https://x"}
    assert sealed
    assert b"t-1" not in sealed
    assert secrets.open_settings(sealed) == {"token": "t-1", "kubeconfig": {"a": [1]}}
    assert secrets.names_of_sealed(sealed) == ["kubeconfig", "token"]
    assert secrets.masked_settings(plain, sealed) == {
        "url": "https://x",
        "token": "••••",
        "kubeconfig": "••••",
    }


@pytest.mark.parametrize(
    ("_case", "values", "token"),
    [
        ("left out", {}, "t-1"),
        ("as its mask", {"token": "••••"}, "t-1"),
        ("another", {"token": "t-2"}, "t-2"),
        ("emptied", {"token": ""}, None),
        ("null", {"token": None}, None),
    ],
)
def test_a_secret_setting_stays_until_it_is_replaced(_case, values, token):
    _, old = secrets.seal_settings(SCHEMA, {"token": "t-1"})
    _, sealed = secrets.seal_settings(SCHEMA, values, old)
    assert secrets.open_settings(sealed).get("token") == token
    assert (sealed == old) is (token == "t-1")


def test_names_stand_for_secrets_and_then_for_the_environment(db, monkeypatch):
    make_secret("HOST", "git.example.com")
    monkeypatch.setenv("IDP_SECRET_HOST", "not this one")
    monkeypatch.setenv("IDP_SECRET_DEPLOY_TOKEN", "from-the-environment")
    _, sealed = secrets.seal_settings(SCHEMA, {"token": "Bearer ${deploy-token}"})
    found = secrets.resolve_with_secrets(
        {
            "url": "https://${HOST}/${PATH_:-api}",
            "deep": [{"x": "$${HOST} $HOST ${", "n": 1}],
        },
        sealed,
    )
    assert found.settings == {
        "url": "https://git.example.com/api",
        "deep": [{"x": "${HOST} $HOST ${", "n": 1}],
        "token": "Bearer from-the-environment",
    }
    assert found.secrets == {
        "git.example.com",
        "from-the-environment",
        "Bearer from-the-environment",
    }


@pytest.mark.parametrize("name", ["NOWHERE", "KEY", "key", "DATABASE_URL", "IDP_SECRET_KEY"])
def test_a_name_that_leads_nowhere_names_its_setting(db, monkeypatch, name):
    monkeypatch.setenv("IDP_SECRET_KEY", "the key that signs sessions")
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    with pytest.raises(InvalidInput) as caught:
        secrets.resolve({"url": "x", "headers": [{"value": f"${{{name}}}"}]}, None)
    assert caught.value.details["field"] == "settings.headers[0].value"
    assert f"there is no secret {name}" in str(caught.value)


# Keys


def test_rotation_seals_everything_with_the_first_key(db, settings):
    old, new = crypto.new_key(), crypto.new_key()
    settings.IDP_ENCRYPTION_KEYS = [old]
    make_secret()
    _, sealed = secrets.seal_settings(SCHEMA, {"token": "t-1"})
    integration = make_integration({}, sealed)
    updated_at = Secret.objects.get().updated_at

    settings.IDP_ENCRYPTION_KEYS = [new, old]
    out = StringIO()
    call_command("rotate_keys", stdout=out)
    assert "1 secrets, the settings of 1 integrations" in out.getvalue()

    settings.IDP_ENCRYPTION_KEYS = [new]
    integration.refresh_from_db()
    assert revealed("GITHUB") == VALUE
    assert secrets.resolve({}, integration.sealed) == {"token": "t-1"}
    assert Secret.objects.get().updated_at == updated_at
    assert secrets.reseal_all() == (0, 0)


def test_a_lost_key_is_said_and_stops_no_replacement(db, settings):
    make_secret()
    _, sealed = secrets.seal_settings(SCHEMA, {"token": "t-1", "kubeconfig": {"a": 1}})
    integration = make_integration({}, sealed)
    settings.IDP_ENCRYPTION_KEYS = [crypto.new_key()]
    with pytest.raises(crypto.SealingFailed):
        revealed("GITHUB")
    with pytest.raises(CommandError, match='The secret "GITHUB" cannot be opened'):
        call_command("rotate_keys")
    secrets.update_secret("GITHUB", value="fresh", actor=ACTOR)
    assert revealed("GITHUB") == "fresh"
    with pytest.raises(CommandError, match='setting "kubeconfig" of integration "hub"'):
        call_command("rotate_keys")
    assert secrets.names_of_sealed(integration.sealed) == ["kubeconfig", "token"]
    _, sealed = secrets.seal_settings(
        SCHEMA, {"token": "t-2", "kubeconfig": None}, integration.sealed
    )
    assert secrets.open_settings(sealed) == {"token": "t-2"}


def test_keys_are_made_once_for_a_home_and_for_its_owner_alone(tmp_path: Path):
    from idp import embedded
    from idp.settings import env

    home = embedded.make_home(tmp_path / "home")
    path = home.path / "encryption.key"
    [key] = env.keys("IDP_ENCRYPTION_KEYS", path)
    assert len(Fernet(key).encrypt(b"x")) > 0
    assert path.stat().st_mode & 0o777 == 0o600
    embedded.make_home(home.path)
    assert env.keys("IDP_ENCRYPTION_KEYS", path) == (key,)


def test_a_key_that_is_none_is_a_problem_that_does_not_show_it(tmp_path, monkeypatch):
    from idp.settings import env

    monkeypatch.setattr(env, "problems", [])
    monkeypatch.setenv("IDP_ENCRYPTION_KEYS", f"{crypto.new_key()}, my-passphrase")
    assert env.keys("IDP_ENCRYPTION_KEYS", tmp_path / "none") == ()
    [problem] = env.problems
    assert problem.code == "idp.E013"
    assert "(key 2 of 2)" in problem.message
    assert "passphrase" not in problem.message


# Faces


def test_the_api_takes_values_and_never_gives_them(db):
    api = make_api()
    made = api.post(
        "/v1/organization/secrets",
        {"secretName": "GITHUB", "secretValue": VALUE, "description": "bot"},
    )
    assert made.status_code == 201
    listed = api.get("/v1/organization/secrets")
    [one] = listed.json()["secrets"]
    assert (one["secretName"], one["description"]) == ("GITHUB", "bot")
    again = api.post("/v1/organization/secrets", {"secretName": "GITHUB", "secretValue": "x"})
    assert (again.status_code, again.json()["error"]) == (409, "already_exists")
    changed = api.patch("/v1/organization/secrets/GITHUB", {"secretValue": "other-value"})
    assert changed.status_code == 200
    assert revealed("GITHUB") == "other-value"
    wrong = api.patch("/v1/organization/secrets/GITHUB", {"secretValue": {"v": VALUE}})
    assert wrong.status_code == 422
    gone = api.delete("/v1/organization/secrets/GITHUB")
    assert gone.json() == {"ok": True}
    assert api.get("/v1/organization/secrets/GITHUB").status_code == 404
    answers = (made, listed, again, changed, wrong, gone)
    assert not any(b"unspeakable" in one.content or b"other-v" in one.content for one in answers)


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_only_admins_see_or_change_secrets(db, role):
    make_secret()
    api = make_api(role)
    address = "/v1/organization/secrets"
    answers = [
        api.get(address),
        api.get(f"{address}/GITHUB"),
        api.post(address, {"secretName": "A", "secretValue": "b"}),
        api.patch(f"{address}/GITHUB", {"secretValue": "b"}),
        api.delete(f"{address}/GITHUB"),
    ]
    assert [one.status_code for one in answers] == [403] * 5
    assert revealed("GITHUB") == VALUE


def test_the_admin_takes_a_value_keeps_it_and_shows_who_uses_it(db):
    browser = make_browser(role=Role.ADMIN)
    add = "/admin/catalog/secret/add/"
    refused = browser.post(add, {"name": "a b", "value": VALUE, "description": ""})
    assert refused.status_code == 200
    assert b"letters, digits, - and _" in refused.content
    assert VALUE.encode() not in refused.content
    made = browser.post(add, {"name": "HUB", "value": f"{VALUE}\r\n", "description": "bot"})
    assert made.status_code == 302
    secret = Secret.objects.get()
    assert revealed("HUB") == VALUE

    _, sealed = secrets.seal_settings(SCHEMA, {"token": "${HUB}"})
    make_integration({}, sealed)
    listed = browser.get("/admin/catalog/secret/")
    assert b"Our hub" in listed.content
    page = f"/admin/catalog/secret/{secret.pk}/change/"
    saved = browser.post(page, {"value": "", "description": "the bot"})
    assert saved.status_code == 302
    assert revealed("HUB") == VALUE
    shown = browser.get(page)
    assert b"Our hub" in shown.content
    assert VALUE.encode() not in shown.content
    warned = browser.get(f"/admin/catalog/secret/{secret.pk}/delete/")
    assert b"1 place still names it" in warned.content
    assert Secret.objects.exists()
    assert browser.post(f"/admin/catalog/secret/{secret.pk}/delete/").status_code == 302
    assert not Secret.objects.exists()

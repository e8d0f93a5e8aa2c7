"""API clients and their tokens: what opens the door, and what no longer does."""

from datetime import timedelta

import jwt
import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone

from catalog.kernel.actors import Role
from catalog.kernel.errors import InvalidInput, NotAuthenticated
from catalog.models import Change
from idp.auth import (
    TOKEN_LIFETIME_S,
    BearerAuthentication,
    issue_token,
    rotate_secret,
    update_client,
)
from idp.models import ApiClient
from tests.factories import ACTOR, make_client

pytestmark = pytest.mark.django_db


def authenticate(header):
    request = RequestFactory().get("/v1/blueprints", HTTP_AUTHORIZATION=header)
    found = BearerAuthentication().authenticate(request)
    return found and found[0]


def token_of(client, secret):
    return issue_token(client_id=client.client_id, client_secret=secret).access_token


def test_a_token_opens_for_three_hours_and_no_longer():
    client, secret = make_client(role=Role.VIEWER)
    token = issue_token(client_id=client.client_id, client_secret=secret)
    assert (token.token_type, token.expires_in) == ("Bearer", 10_800)
    for scheme in ("Bearer", "bearer", "BEARER"):
        found = authenticate(f"{scheme} {token.access_token}")
        assert (found, found.role, found.is_authenticated) == (client, "Viewer", True)
    with time_machine.travel(timezone.now() + timedelta(seconds=TOKEN_LIFETIME_S - 5)):
        assert authenticate(f"Bearer {token.access_token}") == client
    with (
        time_machine.travel(timezone.now() + timedelta(seconds=TOKEN_LIFETIME_S + 1)),
        pytest.raises(NotAuthenticated, match="The token has expired"),
    ):
        authenticate(f"Bearer {token.access_token}")


def test_a_fixed_token_opens_until_it_is_taken_away():
    client, secret = make_client(client_secret="a.b.static-token-of-a-script", has_fixed_token=True)
    header = f"Bearer {secret}"
    assert authenticate(header) == client
    assert ApiClient.objects.get().last_used_at is not None
    for refused in ("Bearer a.b.other", "Bearer "):
        with pytest.raises(NotAuthenticated, match="The token is not valid"):
            authenticate(refused)
    for fields in ({"has_fixed_token": False}, {"has_fixed_token": True, "is_active": False}):
        update_client(client, actor=ACTOR, **fields)
        with pytest.raises(NotAuthenticated, match="The token is not valid"):
            authenticate(header)
    update_client(client, actor=ACTOR, is_active=True)
    new = rotate_secret(client, actor=ACTOR)
    assert authenticate(f"Bearer {new}") == client
    with pytest.raises(NotAuthenticated, match="The token is not valid"):
        authenticate(header)


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearerx", "Token x"])
def test_another_scheme_is_left_to_others(header):
    assert authenticate(header) is None


def forged(client, key, algorithm):
    return jwt.encode({"iss": "idp", "sub": client.client_id, "exp": 2**33}, key, algorithm)


def test_a_forged_token_is_refused():
    client, secret = make_client()
    token = token_of(client, secret)
    for wrong in (
        "",
        "x",
        "é.ü.ß",
        token[:-4],
        token + "x",
        token.swapcase(),
        token.replace(".", "..", 1),
        forged(client, None, "none"),
        forged(client, "k" * 32, "HS256"),
    ):
        with pytest.raises(NotAuthenticated, match="The token is not valid"):
            authenticate(f"Bearer {wrong}")
    assert authenticate(f"Bearer {token}") == client


@pytest.mark.parametrize(
    ("wrong_id", "wrong_secret"),
    [
        (None, "wrong"),
        (None, ""),
        (None, None),
        (None, ["x"]),
        (None, "\ud800"),
        ("nobody", None),
        (5, None),
        ("\x00", None),
        ("\ud800", None),
    ],
)
def test_wrong_credentials_buy_nothing(wrong_id, wrong_secret):
    client, secret = make_client()
    with pytest.raises(NotAuthenticated, match="Client id or secret is wrong"):
        issue_token(
            client_id=client.client_id if wrong_id is None else wrong_id,
            client_secret=wrong_secret if wrong_id is None else secret,
        )
    assert ApiClient.objects.get().last_used_at is None


def test_a_client_that_is_switched_off_is_out_at_once():
    client, secret = make_client()
    token = token_of(client, secret)
    update_client(client, actor=ACTOR, is_active=False)
    with pytest.raises(NotAuthenticated, match="switched off or deleted"):
        authenticate(f"Bearer {token}")
    with pytest.raises(NotAuthenticated, match="Client id or secret is wrong"):
        token_of(client, secret)


def test_a_new_secret_ends_the_old_one_and_its_tokens():
    client, old = make_client()
    token = token_of(client, old)
    new = rotate_secret(client, actor=ACTOR)
    with pytest.raises(NotAuthenticated, match="has a new secret"):
        authenticate(f"Bearer {token}")
    with pytest.raises(NotAuthenticated, match="Client id or secret is wrong"):
        token_of(client, old)
    assert authenticate(f"Bearer {token_of(client, new)}") == client
    assert len({old, new}) == 2


def test_the_secret_is_stored_nowhere():
    client, secret = make_client(client_id="exporter", client_secret="a secret of one's own")
    rotated = rotate_secret(client, actor=ACTOR)
    token_of(client, rotated)
    assert secret == "a secret of one's own"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT json_agg(c)::text FROM idp_apiclient c) "
            "|| (SELECT json_agg(c)::text FROM catalog_change c)"
        )
        stored = cursor.fetchone()[0]
    assert "exporter" in stored
    assert rotated not in stored
    assert "a secret of" not in stored
    rows = Change.objects.filter(model="api_client").order_by("id")
    assert [(row.action, row.identifier) for row in rows] == [
        ("create", "exporter"),
        ("update", "exporter"),
    ]


def test_the_last_use_is_noted_at_most_once_a_minute():
    client, secret = make_client()
    noted = []
    for seconds in (0, 30, 61):
        with time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=False):
            token_of(client, secret)
        noted.append(ApiClient.objects.get().last_used_at)
    assert noted[0] == noted[1] < noted[2]


def test_what_makes_no_client():
    make_client(client_id="taken")
    with pytest.raises(InvalidInput, match="at least 12 characters"):
        make_client(client_secret="short")
    with pytest.raises(ValidationError, match="already exists"):
        make_client(client_id="taken")
    with pytest.raises(ValueError, match="Boss"):
        make_client(role="Boss")
    assert ApiClient.objects.count() == 1

"""What machines ask a running server."""

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client

from idp import health


def test_healthz_asks_nobody(client: Client):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok")


@pytest.mark.django_db
def test_readyz_wants_a_worker(client: Client):
    cache.clear()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not ready",
        "checks": {"database": "ok", "redis": "ok", "worker": "no heartbeat for 15 seconds"},
    }
    health.beat()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert set(answer.json()["checks"].values()) == {"ok"}


@pytest.mark.django_db
def test_readyz_names_a_database_that_is_away_and_not_where_it_is(client: Client, monkeypatch):
    health.beat()
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "host", "/nowhere/at/all")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": "does not answer", "redis": "ok", "worker": "ok"}


@pytest.mark.parametrize(
    ("_case", "address", "headers", "status"),
    [
        ("this machine", "127.0.0.1", {}, 200),
        ("this machine, v6", "::1", {}, 200),
        ("a proxy on this machine", "127.0.0.1", {"X-Forwarded-For": "10.0.0.9"}, 401),
        ("another machine", "10.0.0.9", {}, 401),
        ("with the token", "10.0.0.9", {"Authorization": "Bearer the-right-token"}, 200),
        ("with a wrong token", "127.0.0.1", {"Authorization": "Bearer other"}, 401),
        ("with a strange token", "10.0.0.9", {"Authorization": "Bearer é🙂"}, 401),
        ("with an empty token", "10.0.0.9", {"Authorization": "Bearer "}, 401),
    ],
)
def test_metrics_are_for_this_machine_or_the_token(
    _case, address, headers, status, client: Client, settings
):
    settings.IDP_METRICS_TOKEN = "the-right-token"
    answer = client.get("/metrics", headers=headers, REMOTE_ADDR=address)
    assert answer.status_code == status
    assert (b"python_info" in answer.content) is (status == 200)


def test_without_a_token_others_stay_out(client: Client, settings):
    settings.IDP_METRICS_TOKEN = ""
    headers = {"Authorization": "Bearer "}
    assert client.get("/metrics", headers=headers, REMOTE_ADDR="10.0.0.9").status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_only_read(path, client: Client):
    assert client.post(path).status_code == 405

"""Settings from the environment: what is understood, and how wrong values are reported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from idp.settings import env
from idp.settings.logs import drop_secrets
from idp.settings.parts.celery import broker_url
from idp.settings.parts.security import local_name

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def problems(monkeypatch) -> list[env.Problem]:
    found: list[env.Problem] = []
    monkeypatch.setattr(env, "problems", found)
    return found


def check(*flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py check` with these variables and none of the test run's."""
    inherited = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "check", *flags],
        env=inherited | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("On", True), ("0", False), ("no", False), ("", True)]
)
def test_flags(value, expected, monkeypatch, problems):
    monkeypatch.setenv("IDP_X", value)
    assert env.flag("IDP_X", True) is expected
    assert problems == []


@pytest.mark.parametrize(
    ("read", "value", "expected", "message"),
    [
        (
            lambda: env.flag("IDP_X", True),
            "maybe",
            True,
            "IDP_X is 'maybe'; expected true or false.",
        ),
        (
            lambda: env.whole("IDP_X", 5, low=1, high=9),
            "10",
            5,
            "IDP_X is '10'; expected a whole number from 1 to 9.",
        ),
        (
            lambda: env.whole("IDP_X", 5, low=1, high=9),
            "1.5",
            5,
            "IDP_X is '1.5'; expected a whole number from 1 to 9.",
        ),
        (
            lambda: env.choice("IDP_X", "Viewer", ["Admin", "Viewer"]),
            "King",
            "Viewer",
            "IDP_X is 'King'; expected one of Admin, Viewer.",
        ),
        (
            lambda: env.url("IDP_X", "http://a"),
            "ftp://b",
            "http://a",
            "IDP_X is 'ftp://b'; expected an address like https://idp.example.com.",
        ),
        (
            lambda: env.url("IDP_X", "http://a"),
            "https://[b",
            "http://a",
            "IDP_X is 'https://[b'; expected an address like https://idp.example.com.",
        ),
        (
            lambda: env.redis("IDP_X", "redis://a"),
            "amqp://user:secret@b",
            "redis://a",
            "IDP_X is 'amqp://…'; expected a URL like redis://host:6379/0 or "
            "unix:///path/redis.sock?db=0.",
        ),
        (
            lambda: env.database("IDP_X", "postgresql://h/idp")["NAME"],
            "mysql://user:secret@h/x",
            "idp",
            "IDP_X is 'mysql://…'; expected a URL like postgresql://user:password@host:5432/idp.",
        ),
        (
            lambda: env.allowed("IDP_X"),
            "10.0.0.0/8, http://git.example.com",
            (),
            "IDP_X is 'http://git.example.com'; expected host names, *.suffixes and networks.",
        ),
        (
            lambda: env.proxy("IDP_X"),
            "socks5://user:secret@h:1080",
            "",
            "IDP_X is 'socks5://…'; expected an address like http://proxy.example.com:3128.",
        ),
        (
            lambda: env.file("IDP_X"),
            "/nowhere/ca.pem",
            "",
            "IDP_X is '/nowhere/ca.pem'; expected a file that this program may read.",
        ),
    ],
)
def test_a_value_that_is_not_understood(read, value, expected, message, monkeypatch, problems):
    monkeypatch.setenv("IDP_X", value)
    assert read() == expected
    assert [problem.message for problem in problems] == [message]


def test_the_system_check_reports_every_wrong_variable_at_once():
    done = check(
        IDP_PORT="abc",
        IDP_URL="nowhere",
        IDP_DEFAULT_ROLE="King",
        IDP_SIGNUP="perhaps",
        DATABASE_URL="mysql://u:hidden@h/db",
        REDIS_URL="http://r",
        IDP_EMAIL_URL="pigeon://x",
    )
    assert done.returncode == 1
    for expected in (
        "(idp.E002) IDP_SIGNUP is 'perhaps'; expected true or false.",
        "(idp.E003) IDP_PORT is 'abc'; expected a whole number from 0 to 65535.",
        "(idp.E004) IDP_DEFAULT_ROLE is 'King'; expected one of Admin, Member, Viewer.",
        "(idp.E005) IDP_URL is 'nowhere'; expected an address like https://idp.example.com.",
        "(idp.E006) DATABASE_URL is 'mysql://…'; expected a URL like",
        "(idp.E007) REDIS_URL is 'http://…'; expected a URL like",
        "(idp.E008) IDP_EMAIL_URL is 'pigeon://…'; expected a URL like",
    ):
        assert expected in done.stderr
    assert "hidden" not in done.stderr


def test_the_deploy_check_is_clean_with_production_settings(tmp_path):
    production = {
        "IDP_HOME": str(tmp_path),
        "IDP_SECRET_KEY": "k3y-of-fifty-characters-and-more-0123456789-abcdefgh",
        "IDP_URL": "https://idp.example.com",
        "IDP_METRICS_TOKEN": "a-token-of-twenty-characters-and-more",
        "IDP_ENCRYPTION_KEYS": "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBtb3JlIDE=",
        "DATABASE_URL": "postgresql://idp:pw@db.example.com/idp",
        "REDIS_URL": "redis://redis.example.com/0",
    }
    done = check("--deploy", "--fail-level=WARNING", **production)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == [], "a check writes nothing"


def test_the_deploy_check_reports_what_serves_one_machine_only(tmp_path):
    done = check(
        "--deploy",
        IDP_HOME=str(tmp_path),
        IDP_URL="http://idp.example.com",
        IDP_METRICS_TOKEN="short",
    )
    for code in ("idp.E001", "idp.E013", "idp.W001", "idp.W002", "idp.W003"):
        assert f"({code})" in done.stderr


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:6379/2", "redis://h:6379/2"),
        ("unix:///a/redis.sock?db=3", "redis+socket:///a/redis.sock?virtual_host=3"),
        ("unix:///a/redis.sock", "redis+socket:///a/redis.sock?virtual_host=0"),
    ],
)
def test_the_broker_speaks_of_sockets_in_its_own_way(url, expected):
    assert broker_url(url) == expected


@pytest.mark.parametrize(
    ("host", "expected"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("idp.test", "idp.test")]
)
def test_a_bound_address_is_reached_by_this_name(host, expected):
    assert local_name(host) == expected


def test_secrets_stay_out_of_log_lines():
    event = {
        "event": "GET /x?token=abc&page=2 with password: 'hunter2' and Api-Key=k1",
        "client_secret": "abc",
        "headers": {"Authorization": "Bearer abc", "Accept": "text/html"},
        "count": 3,
    }
    assert drop_secrets(None, "", event) == {
        "event": "GET /x?token=***&page=2 with password: '***' and Api-Key=***",
        "client_secret": "***",
        "headers": {"Authorization": "***", "Accept": "text/html"},
        "count": 3,
    }

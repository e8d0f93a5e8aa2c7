import pytest
from django.db import connections
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import create

from idp import gunicorn_conf


class _Socket:
    def getsockname(self):
        return ("127.0.0.1", 80)


@pytest.mark.parametrize(
    ("header", "key", "value"),
    [
        ("SCRIPT_NAME: /catalog", "SCRIPT_NAME", ""),
        ("PATH_INFO: /healthz", "PATH_INFO", "/catalog/x"),
        ("X-Forwarded-Proto: https", "wsgi.url_scheme", "http"),
        ("X-Forwarded-Proto: https", "HTTP_X_FORWARDED_PROTO", "https"),  # for IDP_PROXIES
    ],
)
def test_a_client_on_this_machine_is_a_client_like_others(header: str, key: str, value: str):
    config = Config()
    config.set("forwarded_allow_ips", gunicorn_conf.forwarded_allow_ips)
    head = f"GET /catalog/x HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode()
    here = ("127.0.0.1", 1)
    request = next(RequestParser(config, iter([head]), here))
    _, environ = create(request, _Socket(), here, ("127.0.0.1", 80), config)
    assert environ[key] == value


def test_no_statement_of_the_web_runs_for_ever(db, monkeypatch: pytest.MonkeyPatch):
    options = {**connections.databases["default"].get("OPTIONS", {})}
    monkeypatch.setitem(connections.databases["default"], "OPTIONS", options)
    gunicorn_conf.limit_statements()
    fresh = connections.create_connection("default")
    try:
        with fresh.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("1min",)
    finally:
        fresh.close()

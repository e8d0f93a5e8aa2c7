"""Proxy endpoints in the admin: added, changed, tried, deleted."""

from catalog.kernel.actors import Actor, Role
from catalog.models import Change, ProxyEndpoint
from catalog.services import secrets
from tests.factories import make_browser

LIST = "/admin/catalog/proxyendpoint/"
FORM = {
    "path": "pagerduty/api",
    "credentials": "require",
    "methods": ["GET", "POST"],
    "allowed_headers": "X-Trace\n",
    "change_origin": "on",
    "is_enabled": "on",
    "header_name": ["Authorization", ""],
    "header_value": ["Token ${PD}", ""],
    "rewrite_from": ["^/api/proxy/pagerduty/api"],
    "rewrite_to": ["/v2"],
}


def test_an_endpoint_is_added_tried_changed_and_deleted(db, vendor):
    secrets.create_secret(name="PD", value="unspeakable", actor=Actor.system("t"))
    browser = make_browser(role=Role.ADMIN)
    form = {**FORM, "target": vendor.url}
    made = browser.post(f"{LIST}add/", form)
    row = ProxyEndpoint.objects.get()
    assert (made.status_code, made["location"]) == (302, f"{LIST}{row.pk}/change/")
    assert (row.path, row.methods, row.allowed_headers) == (
        "/pagerduty/api",
        ["GET", "POST"],
        ["X-Trace"],
    )
    assert row.headers == {"Authorization": "Token ${PD}"}
    assert row.path_rewrite == {"^/api/proxy/pagerduty/api": "/v2"}
    page = browser.get(made["location"])
    assert b"${PD}" in page.content
    assert b"unspeakable" not in page.content

    vendor.json("/v2/incidents", {"id": 7}, method="POST", status=201)
    trial = {"_try": "1", "method": "POST", "rest": "/incidents?a=b c", "body": '{"x": 1}'}
    tried = browser.post(made["location"], trial)
    assert (tried.context["trial"].status, tried.context["trial"].text) == (201, '{"id": 7}')
    [call] = vendor.calls
    assert (call.query, call.json(), call.headers["authorization"]) == (
        {"a": "b c"},
        {"x": 1},
        "Token unspeakable",
    )
    assert b"unspeakable" not in tried.content
    assert Change.objects.get(action="call").actor == browser.user.email
    for rest in ("/../x", "/%2e%2e/x"):
        climbing = browser.post(made["location"], {**trial, "rest": rest})
        assert "must not contain" in climbing.context["trial_error"]

    changed = browser.post(made["location"], {**form, "methods": ["GET"], "is_enabled": ""})
    assert changed.status_code == 302
    row.refresh_from_db()
    assert (row.methods, row.is_enabled, row.headers) == (
        ["GET"],
        False,
        {"Authorization": "Token ${PD}"},
    )
    assert b"PD" in browser.get("/admin/catalog/secret/").content
    assert browser.get(LIST).status_code == 200
    assert browser.get(f"{LIST}{row.pk}/delete/").status_code == 200
    assert browser.post(f"{LIST}{row.pk}/delete/").status_code == 302
    assert not ProxyEndpoint.objects.exists()


def test_what_is_wrong_is_said_and_nothing_is_stored(db, vendor):
    browser = make_browser(role=Role.ADMIN)
    form = {**FORM, "target": vendor.url}
    for change, said in (
        ({"header_value": ["in clear", ""]}, "holds its value in clear"),
        ({"target": "http://169.254.169.254"}, "metadata service"),
        ({"rewrite_from": ["("]}, "a regular expression"),
        ({"header_name": ["A", "a"], "header_value": ["1", "2"]}, "is there twice"),
        ({"path": "/a/../b"}, "expected a path like"),
    ):
        page = browser.post(f"{LIST}add/", {**form, **change})
        assert (page.status_code, said in page.content.decode()) == (200, True), change
    assert not ProxyEndpoint.objects.exists()
    assert make_browser().get(LIST).status_code in (302, 403)

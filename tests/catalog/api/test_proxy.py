"""`/api/proxy`: what goes out, what comes back, who may, and what is kept of it."""

import pytest

from catalog.kernel.actors import Actor, Role
from catalog.models import Change, ProxyEndpoint
from catalog.services import proxy, secrets
from tests.factories import Caller, make_api, make_browser
from tests.vendors import Answer

ACTOR = Actor.system("tests")
TOKEN = "pd-unspeakable"


def make_endpoint(vendor, path="/pagerduty/api", **stated):
    return proxy.create_endpoint(
        actor=ACTOR, **{"path": path, "target": f"{vendor.url}/v2", **stated}
    )


def ask(caller, path, body=None, *, method=None, **headers):
    """An answer read to its end, as servers do; `said` is its body."""
    method = method or ("POST" if body is not None else "GET")
    sent = {"headers": {name.replace("_", "-"): value for name, value in headers.items()}}
    answer = getattr(caller, method.lower())(path, *([body] if body is not None else []), **sent)
    answer.said = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return answer


def refusal(response):
    said = response.json()
    return response.status_code, said["error"]["name"], said["error"]["message"]


def test_a_call_carries_the_secret_and_nothing_of_ours(db, vendor):
    secrets.create_secret(name="PAGERDUTY_TOKEN", value=TOKEN, actor=ACTOR)
    make_endpoint(
        vendor,
        headers={"Authorization": "Token token=${PAGERDUTY_TOKEN}", "X-From": "idp"},
        allowed_headers=["X-Trace"],
    )
    vendor.json("/v2/users/a%20b", {"name": "Ada"}, headers={"x-total": "1"})
    api = make_api(Role.VIEWER)
    api.cookies["sessionid"] = "ours"
    path = "/api/proxy/pagerduty/api/users/a%20b?limit=2&q=x%2Fy"
    answer = ask(api, path, x_trace="t-1", x_other="no", accept="text/csv", x_from="me")
    assert (answer.status_code, answer.said) == (200, b'{"name": "Ada"}')
    [call] = vendor.calls
    assert call.query == {"limit": "2", "q": "x/y"}
    sent = {
        name: value
        for name, value in call.headers.items()
        if name not in ("accept-encoding", "content-length", "content-type")
    }
    assert sent == {
        "host": vendor.url.removeprefix("http://"),
        "accept": "text/csv",
        "user-agent": "tests/1.0",
        "authorization": f"Token token={TOKEN}",
        "x-from": "idp",
        "x-trace": "t-1",
    }
    assert answer["x-total"] == "1"
    assert answer["content-type"] == "application/json"
    row = ProxyEndpoint.objects.get()
    assert (row.calls, row.last_used_at is not None) == (1, True)
    assert not Change.objects.filter(action="call").exists()  # it only read


def test_unsafe_calls_are_in_the_audit_log_without_their_bodies(db, vendor):
    endpoint = make_endpoint(vendor)
    vendor.json("/v2/incidents", {"id": 7}, method="POST", status=201)
    api = make_api(Role.MEMBER)
    answer = ask(api, "/api/proxy/pagerduty/api/incidents?key=k", {"password": "hush"})
    assert (answer.status_code, answer.said) == (201, b'{"id": 7}')
    assert vendor.calls[0].json() == {"password": "hush"}
    [change] = Change.objects.filter(model="proxy", action="call")
    assert (change.actor_kind, change.identifier, change.object_id) == (
        "client",
        "/pagerduty/api",
        endpoint.pk,
    )
    assert change.after == {"method": "POST", "path": "/incidents", "status": 201}


def test_what_comes_back_cannot_act_as_ours(db, vendor):
    make_endpoint(vendor)
    vendor.text(
        "/v2/page",
        "<script>steal()</script>",
        headers={
            "content-type": "text/html",
            "set-cookie": "sessionid=theirs",
            "content-security-policy": "default-src *",
            "access-control-allow-origin": "*",
            "connection": "x-hop",
            "x-hop": "1",
            "clear-site-data": '"*"',
        },
    )
    answer = ask(make_browser(), "/api/proxy/pagerduty/api/page")
    assert answer.said == b"<script>steal()</script>"
    assert answer["content-type"] == "text/html"
    assert answer["content-security-policy"].startswith("sandbox;")
    assert answer["x-content-type-options"] == "nosniff"
    for name in ("access-control-allow-origin", "x-hop", "clear-site-data"):
        assert name not in answer
    assert "sessionid" not in answer.cookies


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/api/proxy/pagerduty/api/../secret", "The path must not contain '..'"),
        ("/api/proxy/pagerduty/api/%2e%2e/secret", "The path must not contain '..'"),
        ("/api/proxy/pagerduty/api/..;a=b/secret", "The path must not contain '..'"),
        ("/api/proxy/pagerduty/api/a%5c..%5cb", "The path must not contain '..'"),
        ("/api/proxy/pagerduty/api/%252e%252e/x", "The path must not contain '..'"),
    ],
)
def test_paths_that_climb_are_refused(db, vendor, path, message):
    make_endpoint(vendor)
    assert refusal(make_api().get(path)) == (400, "InputError", message)
    assert vendor.calls == []


def test_who_may_call(db, vendor):
    make_endpoint(vendor, "/closed", methods=["GET"])
    make_endpoint(vendor, "/open", credentials="dangerously-allow-unauthenticated")
    make_endpoint(vendor, "/off", is_enabled=False)
    vendor.json("/v2/", {}, method="POST")
    nobody, browser, api = Caller(), make_browser(), make_api(Role.VIEWER)
    browser.handler.enforce_csrf_checks = True
    missing = (401, "AuthenticationError", "Missing credentials")
    assert refusal(nobody.get("/api/proxy/closed/x")) == missing
    assert refusal(nobody.get("/api/proxy/nowhere/x")) == missing
    wrong = nobody.get("/api/proxy/closed/x", headers={"authorization": "Bearer x"})
    assert refusal(wrong)[:2] == (401, "AuthenticationError")
    assert refusal(api.get("/api/proxy/nowhere/x"))[:2] == (404, "NotFoundError")
    assert refusal(api.get("/api/proxy/off/x"))[:2] == (404, "NotFoundError")
    assert refusal(api.get("/api/proxy/close"))[0] == 404
    assert refusal(api.post("/api/proxy/closed/x")) == (
        403,
        "NotAllowedError",
        "POST is not allowed at /closed; allowed are GET",
    )
    assert refusal(browser.post("/api/proxy/closed/x"))[:2] == (403, "NotAllowedError")
    assert vendor.calls == []
    assert ask(nobody, "/api/proxy/open", {}).status_code == 200
    assert Change.objects.get(action="call").actor == "anonymous"


@pytest.mark.parametrize(
    ("credentials", "allowed", "header", "sent"),
    [
        ("require", ["Authorization", "Cookie"], "ours", None),
        ("forward", [], "ours", "ours"),
        ("dangerously-allow-unauthenticated", [], "Bearer theirs", None),
        ("dangerously-allow-unauthenticated", ["Authorization"], "Bearer theirs", "Bearer theirs"),
        ("dangerously-allow-unauthenticated", ["Authorization"], "ours", None),
    ],
)
def test_our_own_token_goes_out_only_where_it_is_meant_to(
    db, vendor, credentials, allowed, header, sent
):
    make_endpoint(vendor, credentials=credentials, allowed_headers=allowed)
    vendor.json("/v2/x", {})
    api = make_api()
    token = api.token if header == "ours" else header
    api.credentials(HTTP_AUTHORIZATION=token, HTTP_COOKIE="sessionid=1; csrftoken=2")
    assert ask(api, "/api/proxy/pagerduty/api/x").status_code == 200
    headers = vendor.calls[0].headers
    assert headers.get("authorization") == (token if sent == "ours" else sent)
    assert "cookie" not in headers


@pytest.mark.parametrize(
    ("rewrite", "asked", "called"),
    [
        ({}, "/a/b", "/v2/a/b"),
        ({}, "", "/v2/"),
        ({"^/api/proxy/pagerduty/api/(\\w+)": "/$1/$$"}, "/a/b", "/v2/a/$/b"),
        ({"^/none": "/x", "^/api/proxy/pagerduty": ""}, "/b", "/v2/api/b"),
    ],
)
def test_paths_are_rewritten(db, vendor, rewrite, asked, called):
    make_endpoint(vendor, path_rewrite=rewrite)
    vendor.json("*", {})
    ask(make_api(), f"/api/proxy/pagerduty/api{asked}")
    assert vendor.paths == [f"GET {called}"]


def test_the_longest_path_serves_and_the_host_may_be_ours(db, vendor):
    make_endpoint(vendor, "/a", target=f"{vendor.url}/short")
    make_endpoint(vendor, "/a/b", target=f"{vendor.url}/long", change_origin=False)
    vendor.json("*", {})
    api = make_api()
    ask(api, "/api/proxy/a/bc")
    ask(api, "/api/proxy/a/b/c")
    assert vendor.paths == ["GET /short/bc", "GET /long/c"]
    assert [call.headers["host"] for call in vendor.calls] == [
        vendor.url.removeprefix("http://"),
        "testserver",
    ]


@pytest.mark.parametrize(
    ("location", "returned"),
    [
        ("/v2/new?a=1", "/api/proxy/pagerduty/api/new?a=1"),
        ("{url}/v2/new", "/api/proxy/pagerduty/api/new"),
        ("/v20/new", "{url}/v20/new"),
        ("https://elsewhere.example/v2/new", "https://elsewhere.example/v2/new"),
    ],
)
def test_redirects_come_back_and_lead_through_us_inside_the_target(db, vendor, location, returned):
    make_endpoint(vendor)
    vendor.text("/v2/old", "", status=302, headers={"location": location.format(url=vendor.url)})
    answer = ask(make_api(), "/api/proxy/pagerduty/api/old")
    assert (answer.status_code, answer["location"]) == (302, returned.format(url=vendor.url))
    assert len(vendor.calls) == 1


def test_trouble_is_told_without_secrets(db, vendor, settings, monkeypatch):
    secrets.create_secret(name="T", value=TOKEN, actor=ACTOR)
    endpoint = make_endpoint(vendor, headers={"Authorization": "Bearer ${T}"})
    api = make_api()
    api.raise_request_exception = False
    vendor.trouble("/v2/x", Answer(hangs_up=True))
    status, name, message = refusal(api.post(f"/api/proxy/pagerduty/api/x?token={TOKEN}"))
    assert (status, name) == (502, "UpstreamError")
    assert TOKEN not in message
    assert Change.objects.get(action="call").after["status"] == 502
    secrets.delete_secret("T", actor=ACTOR)
    assert refusal(api.get("/api/proxy/pagerduty/api/x")) == (
        502,
        "UpstreamError",
        "The header Authorization of /pagerduty/api names a secret that is not there. "
        "An administrator adds it under Secrets.",
    )
    proxy.update_endpoint(endpoint, headers={}, actor=ACTOR)
    settings.IDP_HTTP_ALLOW = []
    before = len(vendor.calls)
    assert "does not call" in refusal(api.get("/api/proxy/pagerduty/api/x"))[2]
    assert len(vendor.calls) == before


def test_answers_are_handed_on_as_they_come(db, vendor):
    make_endpoint(vendor)
    vendor.text("/v2/big", b"x" * 3_000_000, headers={"content-type": "text/plain"})
    api = make_api()
    first = api.get("/api/proxy/pagerduty/api/big")
    assert first.streaming
    assert 0 < len(next(iter(first.streaming_content))) < 3_000_000
    for close in first._resource_closers:  # whoever asked has gone; `close` ends the database too
        close()
    assert len(ask(api, "/api/proxy/pagerduty/api/big").said) == 3_000_000
    missing = ask(api, "/api/proxy/pagerduty/api/none")  # what the other says is the answer
    assert (missing.status_code, missing.said) == (404, b'{"message": "Not Found"}')
    head = ask(api, "/api/proxy/pagerduty/api/big", method="HEAD")
    assert (head.status_code, head.said) == (404, b"")  # recorded for GET alone


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"path": "/a/../b"}, "path"),
        ({"path": ""}, "path"),
        ({"target": "ftp://x.example"}, "target"),
        ({"target": "http://169.254.169.254/"}, "target"),
        ({"target": "https://x.example/?a=1"}, "target"),
        ({"headers": {"Authorization": "Bearer in-clear"}}, "headers.Authorization"),
        ({"headers": {"X-A": "a\r\nb"}}, "headers.X-A"),
        ({"headers": {"Content-Length": "1"}}, "headers"),
        ({"headers": {"A": "1", "a": "2"}}, "headers.a"),
        ({"methods": ["TRACE"]}, "methods"),
        ({"path_rewrite": {"(": ""}}, "pathRewrite"),
        ({"credentials": "none"}, "credentials"),
    ],
)
def test_endpoints_that_are_refused(db, stated, field):
    with pytest.raises(proxy.InvalidInput) as caught:
        proxy.create_endpoint(
            actor=ACTOR, **{"path": "/x", "target": "https://x.example", **stated}
        )
    assert caught.value.details["field"] == field
    assert "in-clear" not in str(caught.value)
    assert not ProxyEndpoint.objects.exists()


def test_changes_of_endpoints_are_in_the_history(db):
    row = proxy.create_endpoint(path="x/", target="https://x.example", actor=ACTOR)
    proxy.update_endpoint(row, path="/x", methods=["get"], actor=ACTOR)
    proxy.update_endpoint(row, methods=["GET"], actor=ACTOR)
    with pytest.raises(proxy.AlreadyExists):
        proxy.create_endpoint(path="/x", target="https://y.example", actor=ACTOR)
    proxy.delete_endpoint(row, actor=ACTOR)
    assert list(
        Change.objects.filter(model="proxy").order_by("id").values_list("action", "after")
    ) == [("create", None), ("update", {"methods": ["GET"]}), ("delete", None)]


@pytest.mark.parametrize(
    ("caller", "headers", "status"),
    [
        ("session", {}, 200),
        ("session", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}, 200),
        ("session", {"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"}, 200),
        ("session", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}, 403),
        ("session", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "image"}, 403),
        ("session", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "script"}, 403),
        ("token", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "empty"}, 200),
        ("token", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "serviceworker"}, 403),
    ],
)
def test_no_other_site_and_no_tag_of_a_page_calls_by_a_browser(db, vendor, caller, headers, status):
    make_endpoint(vendor)
    vendor.text("/v2/build", "alert(1)")
    asking = make_browser(role=Role.ADMIN) if caller == "session" else make_api(Role.MEMBER)
    answer = asking.get("/api/proxy/pagerduty/api/build", headers=headers)
    assert answer.status_code == status
    assert len(vendor.calls) == (status == 200)

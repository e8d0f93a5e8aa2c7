"""Generic webhooks: defined, fed by programs that prove themselves, and what they write."""

import hmac

import orjson
import pytest
from django.test import Client

from catalog.ingest import live, webhooks
from catalog.ingest.webhooks_definitions import create_webhook, get_webhook
from catalog.kernel.actors import Role
from catalog.kernel.errors import NotAuthenticated
from catalog.kernel.source import Event
from catalog.models import Change, Entity, InboundEvent, Integration, Owned, Secret
from catalog.services import secrets
from catalog.services.integrations import set_enabled
from idp.celery import app
from idp.settings.logs import drop_secrets
from tests.factories import ACTOR, make_api, make_blueprint, make_entity

SECURITY = {
    "secret": "a real secret",
    "signatureHeaderName": "X-Sign",
    "signatureAlgorithm": "sha256",
    "signaturePrefix": "sha256=",
    "requestIdentifierPath": '.headers."x-delivery"',
}
BUILD = {
    "blueprint": "build",
    "operation": "create",
    "filter": '.headers."x-event" == "build"',
    "entity": {
        "identifier": ".body.id | tostring",
        "title": ".body.name",
        "properties": {"status": ".body.status", "via": ".queryParams.via"},
        "relations": {"service": ".body.service"},
    },
}


@pytest.fixture
def build(db):
    make_blueprint("service")
    return make_blueprint(
        "build",
        properties={"status": {"type": "string", "enum": ["ok", "bad"]}, "via": {"type": "string"}},
        relations={"service": {"target": "service"}},
    )


def make_webhook(*mappings, **more):
    body = {"identifier": "builds", "title": "Builds", "enabled": True, "mappings": list(mappings)}
    return create_webhook({**body, **more}, actor=ACTOR)


def send(webhook, body, *, query="", content_type="application/json", **headers):
    """Send an event as a stranger's program does, and process it."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    answer = Client().post(
        f"/v1/webhooks/ingest/{webhook.webhook_key}{query}",
        data=data,
        content_type=content_type,
        **named,
    )
    live.process_waiting(webhook.pk)
    return answer


def results():
    return [
        (one["identifier"], one["status"])
        for event in InboundEvent.objects.order_by("pk")
        for one in event.results
    ]


# Definitions


def test_a_webhook_is_answered_as_it_was_sent(api, build):
    body = {
        "identifier": "builds",
        "title": "Builds",
        "description": "From CI",
        "icon": "Jenkins",
        "enabled": True,
        "integrationType": "custom",
        "mappings": [BUILD],
        "security": {**SECURITY, "secret": "${BUILDS}"},
    }
    answer = api.post("/v1/webhooks", body)
    assert answer.status_code == 201
    made = answer.json()["integration"]
    assert {name: made[name] for name in body} == body
    assert list(made["mappings"][0]) == list(BUILD)
    key = Integration.objects.get().webhook_key
    assert (made["webhookKey"], made["url"]) == (key, f"http://testserver/v1/webhooks/ingest/{key}")
    assert api.get("/v1/webhooks/builds").json()["integration"] == made
    assert api.get("/v1/webhooks").json()["integrations"] == [made]
    changed = api.put("/v1/webhooks/builds", {**body, "title": "CI"}).json()["integration"]
    assert changed == {**made, "title": "CI", "updatedAt": changed["updatedAt"]}
    assert api.get("/v1/integration/builds").status_code == 404  # it has its own addresses
    assert api.delete("/v1/webhooks/builds").json() == {"ok": True}
    assert api.get("/v1/webhooks/builds").json()["error"] == "not_found"


def test_what_was_not_sent_is_null_or_made_up(api):
    made = api.post("/v1/webhooks", {"title": "T", "enabled": False}).json()["integration"]
    assert made["identifier"].startswith("webhook-")
    assert (made["description"], made["icon"], made["security"], made["mappings"]) == (
        None,
        None,
        None,
        [],
    )


def test_a_secret_goes_in_and_never_comes_out(api):
    body = {"identifier": "w", "title": "T", "enabled": True, "security": SECURITY}
    answer = api.post("/v1/webhooks", body)
    assert b"a real secret" not in answer.content
    shown = answer.json()["integration"]["security"]
    assert shown == {**SECURITY, "secret": "••••"}
    assert b"a real secret" not in api.get("/v1/audit-log").content
    # What was read can be written back, and a part can be changed.
    api.put("/v1/webhooks/w", {**body, "security": shown})
    api.patch("/v1/webhooks/w", {"security": {"signaturePrefix": ""}})
    row = get_webhook("w")
    assert secrets.resolve(row.settings, row.sealed) == {**SECURITY, "signaturePrefix": ""}
    api.patch("/v1/webhooks/w", {"security": None})
    assert api.get("/v1/webhooks/w").json()["integration"]["security"] is None


def test_only_admins_see_the_key_or_change_anything(api):
    make_webhook()
    member, viewer = make_api(Role.MEMBER), make_api(Role.VIEWER)
    [shown] = member.get("/v1/webhooks").json()["integrations"]
    assert "webhookKey" not in shown
    assert "url" not in shown
    body = {"title": "T", "enabled": True}
    for method, path in [
        ("post", "/v1/webhooks"),
        ("put", "/v1/webhooks/builds"),
        ("patch", "/v1/webhooks/builds"),
        ("delete", "/v1/webhooks/builds"),
        ("post", "/v1/webhooks/builds/test"),
    ]:
        assert getattr(member, method)(path, body).status_code == 403
    assert viewer.get("/v1/webhooks").status_code == 403
    assert get_webhook("builds").title == "Builds"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"identifier": "x" * 31}, "identifier"),
        ({"title": "x" * 31}, "title"),
        ({"title": None}, "title"),
        ({"description": "x" * 201}, "description"),
        ({"enabled": "yes"}, "enabled"),
        ({"mappings": {}}, "mappings"),
        ({"security": []}, "security"),
        ({"security": {"secret": 5}}, "security.secret"),
        ({"security": {"signatureAlgorithm": "md5"}}, "security.signatureAlgorithm"),
        ({"security": {"signatureAlgorithm": "sha1"}}, "security.secret"),
        ({"security": {"secret": "s"}}, "security.signatureHeaderName"),
        ({"security": {"requestIdentifierPath": ".a["}}, "security.requestIdentifierPath"),
    ],
)
def test_a_wrong_definition_names_the_field(api, change, field):
    answer = api.post("/v1/webhooks", {"title": "T", "enabled": True, **change})
    assert answer.status_code == 422
    assert answer.json()["details"]["field"] == field
    assert not Integration.objects.exists()


def test_a_wrong_mapping_is_told_by_its_path(api):
    mapping = {**BUILD, "filter": ".a["}
    answer = api.post("/v1/webhooks", {"title": "T", "enabled": True, "mappings": [BUILD, mapping]})
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_mapping")
    assert answer.json()["message"].startswith("mappings[1].filter: ")


# Proof of the sender


def signature(algorithm, body, secret="a real secret"):
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


HELLO = b"Hello, World!"
GITHUB = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


@pytest.mark.parametrize(
    ("_case", "security", "header", "error"),
    [
        ("GitHub's own example", {"secret": "It's a Secret to Everybody"}, GITHUB, None),
        ("sha256", {}, f"sha256={signature('sha256', HELLO)}", None),
        ("capital letters", {}, f"sha256={signature('sha256', HELLO).upper()}", None),
        ("without the prefix", {}, signature("sha256", HELLO), None),
        ("sha1", {"signatureAlgorithm": "sha1"}, signature("sha1", HELLO), None),
        ("another prefix", {"signaturePrefix": "v1,"}, f"v1,{signature('sha256', HELLO)}", None),
        ("plain", {"signatureAlgorithm": "plain", "signaturePrefix": None}, "a real secret", None),
        ("plain, wrong", {"signatureAlgorithm": "plain"}, "A REAL SECRET", "does not fit"),
        ("of another body", {}, f"sha256={signature('sha256', b'Hello')}", "does not fit"),
        ("of another secret", {}, f"sha256={signature('sha256', HELLO, 'x')}", "does not fit"),
        ("the secret itself", {}, "a real secret", "does not fit"),
        ("not ASCII", {}, "sha256=é", "does not fit"),
        ("empty", {}, "", "is missing"),
        ("missing", {}, None, "is missing"),
        ("no secret left", {"secret": None}, signature("sha256", HELLO, ""), "no whole security"),
        ("open", dict.fromkeys(SECURITY), None, None),
    ],
)
def test_signatures(_case, security, header, error):
    headers = {} if header is None else {"x-sign": header}
    event = Event(headers, {}, HELLO)
    if error is None:
        webhooks.verify(event, {**SECURITY, **security})
    else:
        with pytest.raises(NotAuthenticated, match=error):
            webhooks.verify(event, {**SECURITY, **security})


def test_a_wrong_signature_is_401_and_leaves_nothing(build):
    webhook = make_webhook(BUILD, security=SECURITY)
    answer = send(webhook, {"id": 1}, x_event="build", x_sign="sha256=00")
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
    assert not InboundEvent.objects.exists()


def test_a_secret_of_the_organisation_signs_too(build):
    webhook = make_webhook(BUILD, security={**SECURITY, "secret": "${BUILDS}"})
    body = orjson.dumps({"id": 1})
    signed = f"sha256={signature('sha256', body)}"
    answer = send(webhook, body, x_event="build", x_sign=signed)
    assert answer.status_code == 401  # there is no such secret
    assert answer.json()["message"] == "The settings of this source are not complete"
    secrets.create_secret(name="BUILDS", value="a real secret", actor=ACTOR)
    assert Secret.objects.count() == 1
    assert send(webhook, body, x_event="build", x_sign=signed).status_code == 202
    assert results() == [("1", "created")]


# Events


def test_an_event_becomes_entities(build):
    webhook = make_webhook(BUILD, security=dict.fromkeys(SECURITY))
    body = {"id": 7, "name": "#7", "status": "ok", "service": "pay"}
    answer = send(webhook, body, query="?via=ci&token=x", x_event="build", authorization="Basic x")
    assert (answer.status_code, answer.json()) == (202, {"ok": True})
    event = InboundEvent.objects.get()
    assert event.query == {"via": "ci"}
    assert event.headers["x-event"] == "build"
    assert "authorization" not in event.headers
    entity = Entity.objects.get(blueprint__identifier="build")
    assert (entity.identifier, entity.title) == ("7", "#7")
    assert entity.properties == {"status": "ok", "via": "ci"}
    assert entity.relations == {"service": "pay"}  # which was made up
    changes = Change.objects.filter(model="entity").order_by("blueprint")
    assert [(c.blueprint, c.actor, c.run) for c in changes] == [
        ("build", "builds", event.delivery),
        ("service", "builds", event.delivery),
    ]
    # What the event does not say stays.
    send(webhook, {"id": 7, "name": "seven", "status": "bad"}, x_event="build")
    entity.refresh_from_db()
    assert (entity.title, entity.properties["status"]) == ("seven", "bad")
    send(webhook, {"id": 8}, x_event="deployment")
    states = InboundEvent.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["done", "done", "ignored"]


def test_a_worker_is_told(build, django_capture_on_commit_callbacks):
    webhook = make_webhook(BUILD)
    with django_capture_on_commit_callbacks(execute=True):
        send(webhook, {"id": 1}, x_event="build")
    with app.connection_for_read() as link:
        waiting = link.default_channel.client.lrange("default", 0, -1)
    tasks = [orjson.loads(one)["headers"] for one in waiting]
    told = [one["argsrepr"] for one in tasks if one["task"] == "catalog.tasks.process_events"]
    assert told == [f"({webhook.pk},)"]


def test_the_same_delivery_is_answered_again_and_changes_nothing(build):
    webhook = make_webhook(BUILD, security={"requestIdentifierPath": '.headers."x-delivery"'})
    for status in ("ok", "bad"):
        answer = send(webhook, {"id": 1, "status": status}, x_event="build", x_delivery="d-1")
        assert answer.status_code == 202
    assert [event.delivery for event in InboundEvent.objects.all()] == ["d-1"]
    assert Entity.objects.get().properties["status"] == "ok"
    # One without that name is an event of its own.
    send(webhook, {"id": 1, "status": "bad"}, x_event="build")
    assert Entity.objects.get().properties["status"] == "bad"


def test_items_are_taken_one_by_one_and_a_bad_one_stops_nobody(api, build):
    webhook = make_webhook(
        {
            **BUILD,
            "filter": ".item.id != 3",
            "itemsToParse": ".body.builds",
            "entity": {
                "identifier": ".item.id | tostring",
                "properties": {"status": ".item.status"},
                "relations": {"service": ".body.service"},
            },
        }
    )
    builds = [{"id": n, "status": "odd" if n == 2 else "ok"} for n in range(1, 5)]
    send(webhook, {"service": "pay", "builds": builds})
    assert results() == [("1", "created"), ("2", "rejected"), ("4", "created")]
    [event] = api.get("/v1/webhooks/builds/events").json()["events"]
    assert event["status"] == "done"
    assert event["results"][1]["field"] == "properties.status"
    failures = api.get(f"/v1/audit-log?webhookEventId={event['id']}&status=FAILURE").json()
    [entry] = next(value for value in failures.values() if isinstance(value, list))
    assert "status" in entry["message"]


def test_no_more_than_500_items_of_an_event_are_taken(build):
    webhook = make_webhook(
        {
            "blueprint": "build",
            "itemsToParse": ".body",
            "entity": {"identifier": ".item | tostring"},
        }
    )
    send(webhook, list(range(501)))
    assert Entity.objects.count() == 500
    event = InboundEvent.objects.get()
    assert "501 elements; only the first 500 were taken" in event.error


@pytest.mark.parametrize(
    ("operation", "left"),
    [
        ("delete", []),
        ({"type": "delete"}, []),
        ({"type": "delete", "deleteDependents": False}, ["pay", "step"]),
    ],
)
def test_a_deletion_takes_what_needs_it_too_unless_told_otherwise(db, operation, left):
    make_blueprint("service")
    make_blueprint("step", relations={"of": {"target": "service", "required": True}})
    make_entity("service", "pay")
    make_entity("step", "step", relations={"of": "pay"})
    webhook = make_webhook(
        {
            "blueprint": "service",
            "operation": operation,
            "entity": {"identifier": ".body.id"},
        }
    )
    send(webhook, {"id": "pay"})
    send(webhook, {"id": "never was"})
    assert sorted(Entity.objects.values_list("identifier", flat=True)) == left
    status = "kept" if left else "deleted"
    assert ("pay", status) in results()
    assert ("never was", "missing") in results()


def test_identifiers_and_relations_may_be_searches(build):
    make_entity("service", "pay", title="Payments")
    make_entity("build", "b1", title="The build")
    by_title = {
        "combinator": '"and"',
        "rules": [{"property": '"$title"', "operator": '"="', "value": ".body.title"}],
    }
    webhook = make_webhook(
        {
            "blueprint": "build",
            "entity": {
                "identifier": by_title,
                "relations": {
                    "service": {
                        "combinator": '"and"',
                        "rules": [
                            {"property": '"$title"', "operator": '"="', "value": '"Payments"'}
                        ],
                    }
                },
            },
        },
        {"blueprint": "service", "operation": "delete", "entity": {"identifier": by_title}},
    )
    send(webhook, {"title": "The build"})
    assert Entity.objects.get(identifier="b1").relations == {"service": "pay"}
    event = InboundEvent.objects.get()
    assert [one["status"] for one in event.results] == ["updated", "kept"]
    send(webhook, {"title": "Payments"})
    assert not Entity.objects.filter(identifier="pay").exists()


def test_to_add_to_what_others_made_is_no_claim_to_it(build):
    make_entity("build", "1")
    webhook = make_webhook(BUILD)
    send(webhook, {"id": 1, "status": "ok"}, x_event="build")
    send(webhook, {"id": 2, "status": "ok"}, x_event="build")
    owned = Owned.objects.values_list("entity__identifier", "is_creator")
    assert list(owned) == [("2", True)]


def test_mappings_are_carried_out_in_their_order(build):
    webhook = make_webhook(
        {"blueprint": "build", "operation": "delete", "entity": {"identifier": '"current"'}},
        {
            "blueprint": "build",
            "entity": {"identifier": '"current"', "properties": {"status": ".body.status"}},
        },
    )
    send(webhook, {"status": "ok"})
    send(webhook, {})
    assert Entity.objects.get().properties.get("status") is None
    assert [status for _, status in results()] == ["missing", "created", "deleted", "created"]


# The edge


def test_an_unknown_key_is_no_address(build, django_assert_num_queries):
    exporter = make_webhook(identifier="exporter")
    Integration.objects.filter(pk=exporter.pk).update(runs_here=False)
    unknown = Client().get("/v1/no/such/route").json()
    with django_assert_num_queries(1):
        answer = Client().post("/v1/webhooks/ingest/unknown-key", b"{}", "application/json")
    assert (answer.status_code, answer.json()) == (404, unknown)
    for key in (exporter.webhook_key, "a%00b", "x" * 100):
        answer = Client().post(f"/v1/webhooks/ingest/{key}", b"{}", "application/json")
        assert (answer.status_code, answer.json()) == (404, unknown)


def test_one_that_is_off_says_yes_and_keeps_nothing(build):
    webhook = make_webhook(BUILD)
    set_enabled(webhook, False, actor=ACTOR)
    assert send(webhook, {"id": 1}, x_event="build").status_code == 202
    assert not InboundEvent.objects.exists()


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"id": 1', "application/json", 400),
        (b'{"id": NaN}', "application/json", 400),
        (b"\xff", "text/plain", 400),
        (b"payload=%7B%22id%22%3A", "application/x-www-form-urlencoded", 400),
        (b"payload=%7B%22id%22%3A1%7D", "application/x-www-form-urlencoded", 202),
        (b"id=1&name=one", "application/x-www-form-urlencoded; charset=utf-8", 202),
        (b'{"id": 1}', "", 202),
        (b'"' + b"x" * (512 * 1024 - 2) + b'"', "application/json", 202),
        (b'"' + b"x" * (512 * 1024 - 1) + b'"', "application/json", 413),
        (b"", "application/json", 202),
    ],
)
def test_bodies(build, body, content_type, status):
    webhook = make_webhook(BUILD)
    answer = send(webhook, body, content_type=content_type, x_event="build")
    assert answer.status_code == status
    assert answer.json()["ok"] is (status == 202)
    assert InboundEvent.objects.count() == (status == 202)
    if b"id" in body and status == 202:
        assert results() == [("1", "created")]


def test_a_minute_takes_so_many_events(build, settings):
    settings.IDP_EVENTS_PER_MINUTE = 2
    webhook, other = make_webhook(BUILD), make_webhook(BUILD, identifier="other")
    answers = [send(webhook, {"id": n}) for n in range(3)]
    assert [one.status_code for one in answers] in ([202, 202, 429], [202, 202, 202])
    if answers[2].status_code == 429:  # a minute began meanwhile, otherwise
        assert answers[2].json()["error"] == "too_many_requests"
        assert 0 <= int(answers[2].headers["Retry-After"]) <= 60
    assert send(other, {"id": 1}).status_code == 202


def test_keys_stay_out_of_logs():
    line = {"request": "POST /v1/webhooks/ingest/kEy-123_x?a=1", "event": "request_started"}
    shown = drop_secrets(None, "", line)
    assert shown["request"] == "POST /v1/webhooks/ingest/***?a=1"


# Trying


def test_a_sample_shows_what_would_be_written_and_writes_nothing(api, build):
    make_webhook(BUILD)
    gone = {
        "blueprint": "build",
        "operation": "delete",
        "filter": ".body.status | startswith(5)",
        "entity": {"identifier": ".body.id"},
    }
    answer = api.post(
        "/v1/webhooks/builds/test",
        {
            "body": {"id": 7, "status": "ok", "service": "pay"},
            "headers": {"X-Event": "build"},
            "mappings": [BUILD, gone],
        },
    ).json()
    first, second = answer["mappings"]
    assert (first["blueprint"], first["operation"], first["selected"]) == ("build", "upsert", True)
    assert first["results"] == [{"blueprint": "build", "identifier": "7", "status": "created"}]
    [entity] = first["entities"]
    assert entity["body"]["relations"] == {"service": "pay"}
    fields = {one["field"]: one["value"] for one in first["fields"]}
    assert fields["properties.status"] == "ok"
    assert (second["selected"], second["results"]) == (False, [])
    assert "startswith" in second["problems"][0]["message"]
    assert not Entity.objects.exists()
    assert not Change.objects.filter(model="entity").exists()

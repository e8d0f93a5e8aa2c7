"""Actions: kept as sent, with versions, checked as they are defined, carried in and out."""

import json
import re
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from actions.models import Action, ActionVersion
from catalog.kernel.actors import Role
from catalog.models import Blueprint, Change, Entity
from tests.actions.actions import WEBHOOK, action, automation, day2
from tests.factories import make_api, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

ADDED = ("id", "createdAt", "createdBy", "updatedAt", "updatedBy")


@pytest.fixture
def admin(db):
    make_blueprint("service", properties={"tier": {"type": "number"}})
    return make_api()


def said(answer):
    document = json.loads(answer.content)["action"]
    return json.dumps({key: value for key, value in document.items() if key not in ADDED})


def test_an_action_lives_as_terraform_keeps_it(admin):
    body = action(category="Services", timeoutMinutes=30, approvalExpiryHours=2)
    made = admin.post("/v1/actions", body)
    assert made.status_code == 201, made.content
    assert made.json()["action"]["id"].startswith("action_")
    assert said(made) == said(admin.get("/v1/actions/scaffold")) == json.dumps(body)
    assert admin.post("/v1/actions", body).status_code == 409

    before = admin.get("/v1/actions/scaffold").json()["action"]
    assert admin.put("/v1/actions/scaffold", body).json()["action"] == before
    changed = {key: body[key] for key in ("identifier", "invocationMethod", "trigger")}
    changed |= {"requiredApproval": {"type": "ALL"}, "zzz": {"b": 1, "a": 2}}
    answer = admin.put("/v1/actions/scaffold", changed)
    assert said(answer) == said(admin.get("/v1/actions/scaffold")) == json.dumps(changed)
    assert answer.json()["action"]["createdAt"] == before["createdAt"]
    assert admin.delete("/v1/actions/scaffold").json() == {"ok": True}
    assert admin.get("/v1/actions/scaffold").json()["error"] == "not_found"
    acts = Change.objects.filter(model="action").order_by("id").values_list("action", flat=True)
    assert list(acts) == ["create", "update", "delete"]
    assert not ActionVersion.objects.exists()


def test_each_change_is_a_version_and_an_earlier_one_can_come_back(admin):
    admin.post("/v1/actions", action("a"))
    admin.put("/v1/actions/a", action("a"))  # says nothing new
    admin.put("/v1/actions/a", {**action("a"), "title": "Other"})
    admin.put("/v1/actions/a", {**action("b"), "title": "Other"})  # only its name
    versions = admin.get("/v1/actions/b/versions").json()["versions"]
    assert [one["version"] for one in versions] == [2, 1]
    assert admin.get("/v1/actions/b?version=1").json()["action"]["title"] == "Scaffold"
    assert admin.get("/v1/actions/b?version=v2").json()["action"]["title"] == "Other"
    for number in ("3", "0", "99999999999", "x"):
        assert admin.post(f"/v1/actions/b/versions/{number}/restore").status_code == 404
    assert admin.get("/v1/actions/b?version=3").status_code == 404
    restored = admin.post("/v1/actions/b/versions/1/restore").json()["action"]
    assert (restored["identifier"], restored["title"]) == ("b", "Scaffold")
    assert Action.objects.get().version == 3
    assert admin.post("/v1/actions/b/versions/3/restore").status_code == 200
    assert Action.objects.get().version == 3


def test_lists_and_the_older_form(admin):
    admin.post("/v1/actions", action("a"))
    made = admin.post(
        "/v1/blueprints/service/actions",
        {
            "identifier": "b",
            "trigger": "DAY-2",
            "userInputs": {"properties": {}},
            "invocationMethod": {"type": "WEBHOOK", "url": "https://x.io", "agent": True},
        },
    )
    assert made.json()["action"]["trigger"] == {
        "type": "self-service",
        "operation": "DAY-2",
        "userInputs": {"properties": {}},
        "blueprintIdentifier": "service",
    }
    admin.post("/v1/actions", automation("c", publish=False))
    event = {"type": "RUN_CREATED", "actionIdentifier": "a"}
    admin.post("/v1/actions", automation("d", trigger={"event": event}))

    def found(**query):
        return [one["identifier"] for one in admin.get("/v1/actions", query).json()["actions"]]

    assert found() == ["a", "b", "c", "d"]
    assert found(trigger_type="self-service") == ["a", "b"]
    assert found(trigger_type="automation", trigger_event="ENTITY_CREATED") == ["c"]
    assert found(trigger_event_action_identifier="a") == ["d"]
    assert found(blueprint_identifier="service") == ["b", "c"]
    assert found(operation="DAY-2") == ["b"]
    assert found(published="true") == ["a", "b", "d"]
    assert found(published="false") == ["c"]
    assert found(action_identifier="a", version="v2") == ["a"]
    url = "/v1/blueprints/service/actions"
    assert [one["identifier"] for one in admin.get(url).json()["actions"]] == ["b", "c"]
    assert admin.get(f"{url}/a").status_code == 404
    assert admin.get(f"{url}/b").status_code == 200
    assert admin.put(f"{url}/b", action("b")).json()["action"]["identifier"] == "b"
    assert admin.delete(f"{url}/b").status_code == 200


def test_an_action_follows_its_blueprint(admin):
    admin.post("/v1/actions", action("a", trigger={"blueprintIdentifier": "service"}))
    admin.patch("/v1/blueprints/service", {"identifier": "app"})
    shown = admin.get("/v1/actions/a").json()["action"]["trigger"]["blueprintIdentifier"]
    assert shown == "app"
    event = {"type": "ENTITY_CREATED", "blueprintIdentifier": "app"}
    admin.post("/v1/actions", automation("b", trigger={"event": event}))
    admin.patch("/v1/blueprints/app", {"identifier": "application"})
    said = admin.get("/v1/actions/b").json()["action"]
    assert said["trigger"]["event"]["blueprintIdentifier"] == "application"
    assert admin.put("/v1/actions/b", said).status_code == 200
    run = admin.post("/v1/actions/a/runs", {"properties": {"name": "pay"}}).json()["run"]
    assert admin.delete("/v1/blueprints/application").status_code == 200
    assert not Action.objects.exists()
    kept = admin.get(f"/v1/actions/runs/{run['id']}").json()["run"]
    assert kept["action"] == {
        "identifier": "a",
        "title": "Scaffold",
        "icon": None,
        "deleted": True,
    }
    assert kept["blueprint"]["deleted"] is True


SEARCH = {"type": "SEARCH", "combinator": "and"}
BIG = "x" * 16


BAD = [
    ({"identifier": "a/b"}, "identifier", 422),
    ({"identifier": None}, "identifier", 422),
    ({"identifier": "runs"}, "identifier", 422),
    ({"identifier": "template:x"}, "identifier", 422),
    ({"trigger": {"type": "cron"}}, "trigger.type", 422),
    ({"trigger": {"operation": "DROP"}}, "trigger.operation", 422),
    (
        {"trigger": {"operation": "DAY-2", "condition": {**SEARCH, "rules": []}}},
        "trigger.condition",
        422,
    ),
    ({"trigger": {"blueprintIdentifier": "nope"}}, None, 404),
    ({"trigger": {"actionCardButtonText": ""}}, "trigger.actionCardButtonText", 422),
    (
        {"trigger": {"executeActionButtonText": "x" * 16}},
        "trigger.executeActionButtonText",
        422,
    ),
    ({"trigger": {"condition": {**SEARCH, "rules": []}}}, "trigger.condition", 422),
    ({"trigger": {"type": "automation"}}, "trigger.event", 422),
    ({"invocationMethod": {}}, "invocationMethod", 422),
    ({"invocationMethod": {"type": "PIGEON"}}, "invocationMethod.type", 422),
    ({"invocationMethod": {"type": "WEBHOOK"}}, "invocationMethod", 422),
    ({"requiredApproval": "yes"}, "requiredApproval", 422),
    ({"requiredApproval": {"type": "SOME"}}, "requiredApproval.type", 422),
    ({"approvalNotification": {"type": "webhook"}}, "approvalNotification.url", 422),
    ({"timeoutMinutes": 0}, "timeoutMinutes", 422),
    ({"timeoutMinutes": 43_201}, "timeoutMinutes", 422),
    ({"approvalExpiryHours": 8_761}, "approvalExpiryHours", 422),
    ({"category": 3}, "category", 422),
]


def test_bad_actions(admin, subtests):
    for change, field, status in BAD:
        with subtests.test(str(change)), transaction.atomic():
            answer = admin.post("/v1/actions", action(**{"identifier": "x", **change}))
            assert (answer.status_code, answer.json()["details"].get("field")) == (status, field)
            assert not Action.objects.exists()
            transaction.set_rollback(True)


OF_USER = {"context": "user", "property": "x"}


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"property": "tier", "operator": "like", "value": 1}, "rules[0].operator"),
        ({"property": "tier", "operator": ">", "value": "high"}, "rules[0].value"),
        ({"relation": "owner", "operator": "=", "value": "x"}, "rules[0].relation"),
        ({"property": "tier", "operator": ">", "value": 1}, None),
        (
            {"property": "tier", "operator": "=", "value": {"context": "user", "property": "x"}},
            None,
        ),
    ],
)
def test_conditions_are_compiled(admin, rule, field):
    condition = {**SEARCH, "rules": [rule]}
    refused = admin.post(
        "/v1/actions", day2("x", trigger={"condition": {**condition, "type": "JQ"}})
    )
    assert refused.json()["details"]["field"] == "trigger.condition.type"
    answer = admin.post("/v1/actions", day2("x", trigger={"condition": condition}))
    if field is None:
        assert answer.status_code == 201, answer.content
        return
    assert answer.status_code == 422
    assert answer.json()["details"]["field"] == f"trigger.condition.{field}"
    assert f"trigger.condition.{field}" in answer.json()["message"]


def test_an_unknown_kind_of_invocation_names_those_there_are(admin):
    answer = admin.post("/v1/actions", action(invocationMethod={"type": "PIGEON"}))
    for kind in ("WEBHOOK", "GITHUB", "KAFKA", "UPSERT_ENTITY", "TEMPLATE"):
        assert kind in answer.json()["message"]
    kafka = admin.post("/v1/actions", action(invocationMethod={"type": "KAFKA", "payload": {}}))
    assert kafka.status_code == 201


def seed_action():
    return {
        "name": "Create",
        "identifier": "seed",
        "trigger": {
            "type": "webhook",
            "webhook": {"url": "https://x.io/a", "method": "POST"},
        },
        "userInputs": {"properties": {"team": {"type": "string", "enum": ["a"]}}},
        "blueprint": "service",
        "odd": 1,
    }


def test_the_form_of_the_guide_becomes_todays(admin):
    beside = seed_action()
    beside["webhook"] = beside["trigger"].pop("webhook")
    for body in (seed_action(), beside):
        made = admin.post("/v1/actions", body).json()["action"]
        assert {key: made[key] for key in made if key not in ADDED} == {
            "identifier": "seed",
            "title": "Create",
            "odd": 1,
            "trigger": {
                "type": "self-service",
                "operation": "CREATE",
                "userInputs": body["userInputs"],
                "blueprintIdentifier": "service",
            },
            "invocationMethod": {"type": "WEBHOOK", "url": "https://x.io/a", "method": "POST"},
        }
        assert admin.delete("/v1/actions/seed").status_code == 200


def test_schedules_have_a_next_turn_that_other_changes_leave_alone(admin):
    event = {"type": "SCHEDULE", "cron": "0 6 * * *"}
    body = automation("s", trigger={"event": event})
    admin.post("/v1/actions", body)
    due = Action.objects.get().scheduled_at
    assert due.hour == 6
    Action.objects.update(scheduled_at=due.replace(year=2020))  # overdue
    admin.put("/v1/actions/s", {**body, "title": "x"})
    assert Action.objects.get().scheduled_at.year == 2020
    admin.put("/v1/actions/s", {**body, "publish": False})
    assert Action.objects.get().scheduled_at is None
    admin.put("/v1/actions/s", body)
    assert Action.objects.get().scheduled_at == due


def test_actions_go_out_and_come_back_as_they_were(admin, tmp_path, capsys):
    admin.post("/v1/actions", action("a"))
    admin.post("/v1/actions", automation("b"))
    admin.patch("/v1/actions/a/permissions", {"execute": {"roles": ["Admin"]}})
    exported = admin.get("/v1/actions/export").json()["actions"]
    assert [one["identifier"] for one in exported] == ["a", "b"]
    assert exported[0]["permissions"]["execute"]["roles"] == ["Admin"]
    text = admin.get("/v1/actions/export?format=yaml")
    assert text["Content-Type"] == "application/yaml"
    assert list(yaml.safe_load_all(text.content)) == exported
    assert admin.get("/v1/actions/export?format=xml").status_code == 400
    call_command("export_actions", "-")
    assert capsys.readouterr().out.encode() == text.content
    call_command("export_actions", str(tmp_path / "out"))
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["a.yaml", "b.yaml"]
    with pytest.raises(CommandError, match="empty folder"):
        call_command("export_actions", str(tmp_path / "out"))
    before = admin.get("/v1/actions").json()

    def imported(body=exported, query=""):
        kind = {"content_type": "application/yaml"} if isinstance(body, bytes) else {}
        return admin.post(f"/v1/actions/import{query}", body, **kind).json()["counts"]

    counts = {"created": 0, "updated": 0, "unchanged": 0, "refused": 0}
    assert imported() == imported(text.content) == {**counts, "unchanged": 2}
    assert admin.get("/v1/actions").json() == before
    Action.objects.all().delete()
    assert imported(query="?dry_run=true") == {**counts, "created": 2}
    assert not Action.objects.exists()
    assert imported({"actions": exported}) == {**counts, "created": 2}
    assert admin.get("/v1/actions/export").json()["actions"] == exported
    call_command("import_actions", str(tmp_path / "out"))
    assert "2 unchanged" in capsys.readouterr().out
    assert imported({**exported[0], "title": "New"}) == {**counts, "updated": 1}
    loosened = {**exported[0], "title": "New", "permissions": {"execute": {"roles": ["Viewer"]}}}
    assert imported(loosened) == {**counts, "updated": 1}


def test_one_bad_action_of_an_import_does_not_stop_the_others(admin, tmp_path, capsys):
    file = tmp_path / "actions.yaml"
    bad = action("bad", invocationMethod={"type": "PIGEON"})
    documents = [
        [action("good"), bad, "text"],
        action("good"),
        {"identifier": "x", "a": "[", "b": 1},
    ]
    text = yaml.safe_dump_all(documents, sort_keys=False)
    file.write_text(text.replace("'['", "["))
    with pytest.raises(CommandError, match=r"4 actions were refused"):
        call_command("import_actions", str(file), "--dry-run")
    out = capsys.readouterr().out
    assert not Action.objects.exists()
    for words in ("created", "PIGEON", "stands here twice", "expected an action", "Dry run"):
        assert words in out
    with pytest.raises(CommandError):
        call_command("import_actions", str(file), "--format", "json")
    report = json.loads(capsys.readouterr().out)
    assert report["counts"] == {"created": 1, "updated": 0, "unchanged": 0, "refused": 4}
    assert report["actions"][0]["place"] == f"{file}:1"
    assert [one.identifier for one in Action.objects.all()] == ["good"]
    with pytest.raises(CommandError, match="no such file"):
        call_command("import_actions", str(tmp_path / "none"))


def test_permissions_are_changed_key_by_key(admin):
    admin.post("/v1/actions", day2("d2"))
    url = "/v1/actions/d2/permissions"
    lists = {"users": [], "teams": []}
    assert admin.get(url).json()["permissions"] == {
        "execute": {**lists, "roles": ["Admin", "Member"], "ownedByTeam": False, "policy": None},
        "approve": {**lists, "roles": ["Admin"], "policy": None},
    }
    changed = admin.patch(url, {"execute": {"roles": [], "ownedByTeam": True, "policy": None}})
    execute = {**lists, "roles": [], "ownedByTeam": True, "policy": None}
    assert changed.json()["permissions"]["execute"] == execute
    rule = {"property": "$blueprint", "operator": "=", "value": "{{ .entity.blueprint }}"}
    query = {"combinator": "and", "rules": [rule]}
    policy = {"queries": {"a": query}, "conditions": [".results.a.entities | length > 0"]}
    kept = admin.patch(url, {"execute": {"policy": policy}}).json()["permissions"]
    assert kept["execute"] == {**execute, "policy": policy}
    assert admin.get(url).json()["permissions"] == kept
    assert (
        admin.patch(url, {"execute": {"policy": None}}).json()["permissions"]["execute"] == execute
    )
    acts = Change.objects.filter(model="action", action="update").count()
    assert acts == 3


BAD_POLICIES = [
    ("yes", "execute.policy"),
    ({"queries": [], "conditions": ["true"]}, "execute.policy.queries"),
    ({"queries": {}, "conditions": []}, "execute.policy.conditions"),
    ({"queries": {}}, "execute.policy.conditions"),
    ({"queries": {}, "conditions": [".a |"]}, "execute.policy.conditions[0]"),
    (
        {"queries": {"q": {"combinator": "xor", "rules": [1]}}, "conditions": ["true"]},
        "execute.policy.queries.q.combinator",
    ),
    (
        {
            "queries": {
                "q": {
                    "combinator": "and",
                    "rules": [{"property": "a", "operator": "=", "value": "{{ .b | }}"}],
                }
            },
            "conditions": ["true"],
        },
        "execute.policy.queries.q.rules[0].value",
    ),
]


def test_bad_policies(admin, subtests):
    admin.post("/v1/actions", action("a"))
    for policy, field in BAD_POLICIES:
        with subtests.test(str(policy)), transaction.atomic():
            answer = admin.patch("/v1/actions/a/permissions", {"execute": {"policy": policy}})
            assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)
            assert Action.objects.get().permissions is None
            transaction.set_rollback(True)


def test_only_admins_write_actions(admin):
    admin.post("/v1/actions", action("c"))
    for method, where, body in (
        ("post", "/v1/actions", action("n")),
        ("put", "/v1/actions/c", action("c")),
        ("delete", "/v1/actions/c", {}),
        ("patch", "/v1/actions/c/permissions", {}),
        ("post", "/v1/actions/c/versions/1/restore", {}),
        ("post", "/v1/actions/import", [action("n")]),
        ("get", "/v1/actions/export", {}),
        ("post", "/v1/blueprints/service/actions", action("n")),
    ):
        answer = getattr(make_api(Role.MEMBER), method)(where, body)
        assert answer.status_code == 403
    assert Action.objects.count() == 1


def test_a_list_costs_the_same_however_long_it_is(admin, django_assert_num_queries):
    member = make_api(Role.MEMBER)

    def count(many):
        for number in range(many):
            admin.post("/v1/actions", day2(f"a{many}-{number}"))
        with django_assert_num_queries(2):  # the token, the actions
            return len(member.get("/v1/actions").json()["actions"])

    assert count(1) == 1
    assert count(5) == 6


def test_admin_lists(admin):
    browser = make_browser(role=Role.ADMIN)
    admin.post("/v1/actions", action("c", invocationMethod={**WEBHOOK, "agent": True}))
    run = admin.post("/v1/actions/c/runs", {"properties": {"name": "pay"}}).json()["run"]
    assert b"Scaffold" in browser.get("/admin/actions/action/").content
    assert run["id"].encode() in browser.get("/admin/actions/run/?status=IN_PROGRESS").content
    assert Blueprint.objects.filter(identifier="service").exists()
    assert not Entity.objects.filter(blueprint__identifier="service").exists()


def test_the_examples_of_the_docs_are_good(admin):
    text = (Path(__file__).parents[2] / "docs" / "actions.md").read_text()
    example = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    made = admin.post("/v1/actions", example)
    assert made.status_code == 201, made.content
    grants, policy = (json.loads(one) for one in re.findall(r"```json\n(.*?)```", text, re.DOTALL))
    url = f"/v1/actions/{example['identifier']}/permissions"
    assert admin.patch(url, grants).json()["permissions"] == grants
    kept = admin.patch(url, {"execute": {"policy": policy}})
    assert kept.json()["permissions"]["execute"]["policy"] == policy


def test_an_action_of_a_template_follows_it(admin):
    make_blueprint("template")
    entity = make_entity("template", "web")
    body = {
        "title": "Web",
        "trigger": {"type": "self-service", "operation": "CREATE", "userInputs": {}},
        "invocationMethod": {"type": "TEMPLATE", "template": "template:default/web"},
    }
    now = timezone.now()
    signed = {"created_at": now, "created_by": "x", "updated_at": now, "updated_by": "x"}
    Action.objects.create(identifier="template:web", template=entity, document=body, **signed)
    url = "/v1/actions/template:web"
    shown = admin.get(url).json()["action"]
    assert admin.put(url, {**shown, "title": "Other"}).status_code == 409
    assert admin.delete(url).status_code == 409
    changed = admin.put(url, {**shown, "requiredApproval": True})
    assert changed.json()["action"]["requiredApproval"] is True
    assert admin.get(f"{url}/versions").json()["versions"][0]["version"] == 2
    assert admin.patch(f"{url}/permissions", {"execute": {"roles": ["Admin"]}}).status_code == 200
    assert admin.get("/v1/actions/export").json()["actions"] == []

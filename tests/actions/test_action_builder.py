"""Actions in the admin: what the builder sends is stored, and trying it out calls nobody."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from actions.models import Action, Delivery, Firing, Run
from actions.services.access import permissions_document
from actions.services.definitions import create_action, replace_action
from actions.services.importing import exported
from catalog.kernel.actors import Role
from catalog.kernel.yaml_reader import read_documents
from catalog.models import Change, Entity
from catalog.services import secrets
from tests.actions.actions import WEBHOOK, action, automation, day2
from tests.factories import ACTOR, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

ADD = "/admin/actions/action/add/"
LIST = "/admin/actions/action/"
SECRET = "the-token-of-the-build-server"
DOCUMENT = action(
    "deploy",
    title="Deploy",
    category="Delivery",
    trigger={"operation": "DAY-2", "blueprintIdentifier": "service", "x-own": {"b": 1.5, "a": 2}},
    requiredApproval={"type": "ALL", "x-also": True},
    zone="kept",
    timeoutMinutes=5,
)
UNKNOWN_TYPE = {**DOCUMENT["trigger"], "userInputs": {"properties": {"a": {"type": "x"}}}}


@pytest.fixture
def admin() -> Client:
    make_blueprint("service", title="Service")
    return make_browser("ada", role=Role.ADMIN)


def url(page: str, *args: object) -> str:
    return reverse(f"admin:actions_action_{page}", args=args)


def sent(document: object, **fields: object) -> dict[str, object]:
    return {"document": json.dumps(document), **fields}


def stored(identifier: str) -> Action:
    return Action.objects.get(identifier=identifier)


def whole(found: Action) -> dict[str, Any]:
    return {"identifier": found.identifier, **found.document}


def test_a_built_action_is_stored_to_the_letter_with_its_permissions(admin: Client) -> None:
    grants = {"execute": {"roles": ["Viewer"], "teams": ["core"]}, "approve": {"users": ["a@x.io"]}}
    answer = admin.post(ADD, sent({**DOCUMENT, "permissions": grants}))
    assert answer.status_code == 302
    found = stored("deploy")
    assert json.dumps(whole(found)) == json.dumps(DOCUMENT)
    assert found.permissions["execute"]["roles"] == ["Viewer"]
    assert found.permissions["approve"]["users"] == ["a@x.io"]
    change = Change.objects.filter(model="action", identifier="deploy", action="create").get()
    assert (change.actor, change.datasource) == ("ada@example.com", "idp/admin")


def test_the_page_shows_what_it_stores_and_looking_changes_nothing(admin: Client) -> None:
    found = create_action(DOCUMENT, actor=ACTOR)
    changes = Change.objects.count()
    page = admin.get(url("change", found.pk))
    shown = page.context["form"]["document"].value()
    assert json.loads(shown) == {**DOCUMENT, "permissions": permissions_document(found)}
    fields = {"document": shown, "version": 1}
    assert admin.post(url("change", found.pk), fields).status_code == 302
    found.refresh_from_db()
    assert (found.version, found.permissions) == (1, None)  # sent as shown: nothing is new
    assert Change.objects.count() == changes


def test_saving_makes_a_version_and_says_so(admin: Client) -> None:
    found = create_action(DOCUMENT, actor=ACTOR)
    fields = sent({**DOCUMENT, "title": "Roll out", "identifier": "roll-out"}, version=1)
    page = admin.post(url("change", found.pk), {**fields, "_continue": ""}, follow=True)
    assert "was saved as version 2" in page.content.decode()
    found.refresh_from_db()
    assert (found.identifier, found.title, found.version) == ("roll-out", "Roll out", 2)


@pytest.mark.parametrize(
    ("_case", "change", "field", "message"),
    [
        ("a type", {"invocationMethod": {"type": "FAX"}}, "invocationMethod.type", "one of"),
        (
            "a template",
            {"invocationMethod": {**WEBHOOK, "body": {"a": "{{ .x"}}},
            "invocationMethod.body.a",
            "is not closed",
        ),
        (
            "an input",
            {"trigger": UNKNOWN_TYPE},
            "trigger.userInputs.properties.a.type",
            "string",
        ),
        (
            "a role",
            {"permissions": {"execute": {"roles": ["King"]}}},
            "permissions.execute.roles",
            "Admin",
        ),
        ("a grant", {"permissions": {"own": {}}}, "permissions.own", "execute or approve"),
        (
            "a policy",
            {"permissions": {"execute": {"policy": {"conditions": ["("]}}}},
            "permissions.execute.policy.conditions[0]",
            "",
        ),
        ("a number", {"timeoutMinutes": 0}, "timeoutMinutes", "0"),
    ],
)
def test_a_refusal_stands_at_its_place_and_stores_nothing(
    _case: str, change: dict[str, Any], field: str, message: str, admin: Client
) -> None:
    text = json.dumps({**DOCUMENT, **change})
    page = admin.post(ADD, {"document": text})
    assert page.status_code == 200
    [problem] = [one for one in page.context["builder"]["problems"] if one["field"] == field]
    assert message in problem["message"]
    assert page.context["form"]["document"].value() == text  # nothing typed is lost
    assert not Action.objects.exists()


@pytest.mark.parametrize("text", ["[]", '{"title": }', '{"a": 1, "a": 2}', '{"permissions": 1}'])
def test_what_is_no_action_is_refused(text: str, admin: Client) -> None:
    page = admin.post(ADD, {"document": text})
    assert page.context["form"].errors["document"]
    assert not Action.objects.exists()


def test_nobody_undoes_what_another_has_saved_meanwhile(admin: Client) -> None:
    found = create_action(DOCUMENT, actor=ACTOR)
    replace_action("deploy", {**DOCUMENT, "title": "Theirs"}, actor=ACTOR)
    page = admin.post(url("change", found.pk), sent({**DOCUMENT, "title": "Mine"}, version=1))
    assert "has saved version 2 of this action meanwhile" in page.content.decode()
    assert stored("deploy").title == "Theirs"


def test_the_list_tells_of_runs_in_one_statement(admin: Client) -> None:
    create_action(action("b"), actor=ACTOR)
    assert "never" in admin.get(LIST).content.decode()
    for n in range(3):
        made = create_action(action(f"a{n}", category="Care"), actor=ACTOR)
        for status in ("SUCCESS", "FAILURE"):
            Run.objects.create(**_ended(made, status))
    create_action(automation("auto", publish=False), actor=ACTOR)
    first = _count(admin, LIST + "?q=b")
    assert _count(admin, LIST) == first
    rows = {one.identifier: one for one in admin.get(LIST).context["cl"].result_list}
    assert (rows["a0"].last_status, rows["a0"].run_total) == ("FAILURE", 2)

    def listed(query: str) -> list[str]:
        return [one.identifier for one in admin.get(LIST + query).context["cl"].result_list]

    assert listed("?trigger=automation") == listed("?trigger=ENTITY_CREATED") == ["auto"]
    assert listed("?published=no") == ["auto"]
    assert listed("?published=yes&category=Care&operation=CREATE") == ["a0", "a1", "a2"]
    assert listed("?q=SCAFF&trigger=self-service") == ["a0", "a1", "a2", "b"]


def _ended(made: Action, status: str) -> dict[str, Any]:
    from django.utils import timezone

    now = timezone.now()
    about = {"identifier": made.identifier}
    by = {"created_by": "ada", "updated_by": "ada", "created_at": now, "updated_at": now}
    return {"action": made, "about": about, "status": status, "ended_at": now, **by}


def _count(client: Client, path: str) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as found:
        client.get(path)
    return len(found)


# the bench


def test_the_preview_draws_the_form_before_the_method_is_right(admin: Client) -> None:
    document = {**action(), "invocationMethod": {"type": "WEBHOOK", "url": ""}}
    page = admin.post(url("preview"), sent(document))
    shown = page.content.decode()
    assert 'name="input.name"' in shown
    assert "data-live" in shown
    wrong = {**document, "trigger": {"type": "self-service", "userInputs": {"properties": 1}}}
    assert "trigger.userInputs" in admin.post(url("preview"), sent(wrong)).context["error"].message
    assert not Action.objects.exists()


def test_what_would_be_sent_is_shown_signed_and_without_secrets(admin: Client) -> None:
    secrets.create_secret(name="TOKEN", value=SECRET, description="", actor=ACTOR)
    make_entity("service", "pay", title="Payments")
    method = {
        "type": "WEBHOOK",
        "url": "https://ci.example.com/{{ .entity.identifier }}?token={{ .secrets.TOKEN }}",
        "headers": {"Authorization": "Bearer {{ .secrets.GONE }}"},
        "body": {"size": "{{ .inputs.size }}", "token": "{{ .inputs.token }}"},
    }
    marks = json.dumps({"shown": ["size", "token"], "defaults": {}})
    typed = {"input.size": "1", "input.token": "t-secret", "form.marks": marks}
    page = admin.post(url("plan"), sent({**DOCUMENT, "invocationMethod": method}, **typed))
    plan = page.context["plan"]
    assert (plan.method, plan.missing) == ("POST", ("GONE",))
    assert plan.url == "https://ci.example.com/pay?token=***"
    assert plan.headers["x-port-signature"].startswith("v1,")
    shown = page.content.decode()
    for secret in (SECRET, "t-secret", "Bearer"):
        assert secret not in shown
    assert Run.objects.count() == Delivery.objects.count() == 0


def test_an_automation_is_tried_on_an_event(admin: Client) -> None:
    make_entity("service", "pay", title="Payments")
    document = automation(
        "told",
        trigger={
            "condition": {"type": "JQ", "expressions": [".diff.after.title", "error(1)", "false"]}
        },
        invocationMethod={
            "type": "UPSERT_ENTITY",
            "blueprintIdentifier": "service",
            "mapping": {"identifier": "{{ .event.context.entityIdentifier }}-2"},
        },
    )
    event = json.loads(admin.post(url("preview"), sent(document)).context["event"])
    assert event["context"]["entityIdentifier"] == "pay"
    plan = admin.post(url("plan"), sent(document)).context["plan"]
    assert json.loads(plan.body)["mapping"] == {"identifier": "pay-2"}
    assert [(one.holds, bool(one.error)) for one in plan.conditions] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    bad = admin.post(url("plan"), sent(document, event="{")).context["error"]
    assert bad.message
    assert (Firing.objects.count(), Entity.objects.filter(identifier="pay-2").count()) == (0, 0)


def test_a_test_run_shows_the_call_in_place(admin: Client) -> None:
    make_entity("service", "pay")
    body = {"who": "{{ .entity.identifier }}"}
    document = day2("restart", publish=False, requiredApproval=True)
    found = create_action({**document, "invocationMethod": {**WEBHOOK, "body": body}}, actor=ACTOR)
    assert admin.get(url("test", found.pk)).status_code == 405
    page = admin.post(url("test", found.pk), sent(document, sample="pay"))
    run = Run.objects.get()
    assert (run.is_test, run.status) == (True, "SUCCESS")
    assert '"who": "pay"' in page.context["body"]
    assert "x-port-signature" in page.content.decode()
    missing = admin.post(url("test", found.pk), sent(document, sample="none"))
    assert missing.context["error"].message == 'Service has no entity "none"'
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("to", "text", "answer"),
    [
        ("yaml", '{"b": "no", "a": [1, 2.0]}', {"text": "b: 'no'\na:\n- 1\n- 2.0\n"}),
        ("json", "b: 'no'\na: [1]\n", {"text": '{\n  "b": "no",\n  "a": [\n    1\n  ]\n}'}),
    ],
)
def test_json_and_yaml_say_the_same(to: str, text: str, answer: object, admin: Client) -> None:
    assert admin.post(url("text"), {"to": to, "text": text}).json() == answer


@pytest.mark.parametrize(
    ("to", "text"), [("yaml", "{"), ("json", "a: ["), ("json", "a: 1\n---\nb: 2")]
)
def test_what_is_neither_says_why(to: str, text: str, admin: Client) -> None:
    assert admin.post(url("text"), {"to": to, "text": text}).json()["error"]


# versions, import, export, the end


def test_an_older_version_is_compared_and_brought_back(admin: Client) -> None:
    found = create_action(DOCUMENT, actor=ACTOR)
    replace_action("deploy", {**DOCUMENT, "title": "Roll out"}, actor=ACTOR)
    page = admin.get(url("versions", found.pk))
    changed = [one.text for one in page.context["lines"] if one.tone in ("added", "removed")]
    assert changed == ["-title: Deploy", "+title: Roll out"]
    assert admin.get(url("versions", found.pk) + "?v=9").status_code == 404
    assert admin.get(url("restore", found.pk, 1)).status_code == 405
    admin.post(url("restore", found.pk, 1))
    found.refresh_from_db()
    assert (found.title, found.version) == ("Deploy", 3)


def test_an_import_says_first_what_it_would_do(admin: Client) -> None:
    create_action(DOCUMENT, actor=ACTOR)
    texts = [json.dumps(one) for one in (DOCUMENT, action("new"), {"identifier": "bad"})]
    page = admin.post(url("import"), {"text": "\n---\n".join(texts)})
    counts = {"created": 1, "updated": 0, "unchanged": 1, "refused": 1}
    assert page.context["report"].counts == counts
    assert Action.objects.count() == 1
    done = admin.post(url("import"), {"_import": page.context["token"]})
    assert done.context["report"].counts == counts
    assert {one.identifier for one in Action.objects.all()} == {"deploy", "new"}
    again = admin.post(url("import"), {"_import": page.context["token"]}, follow=True)
    assert "took too long" in again.content.decode()


def test_an_export_is_what_an_import_takes(admin: Client) -> None:
    create_action(DOCUMENT, actor=ACTOR)
    create_action(automation("auto"), actor=ACTOR)
    text = admin.get(url("export") + "?trigger=self-service").content.decode()
    [document] = read_documents(text, name="export")
    assert document.value == next(exported([stored("deploy")]))
    both = json.loads(admin.get(url("export") + "?as=json").content)
    assert [one["identifier"] for one in both] == ["auto", "deploy"]


def test_deleting_says_how_many_runs_stay(admin: Client) -> None:
    found = create_action(DOCUMENT, actor=ACTOR)
    Run.objects.create(**_ended(found, "SUCCESS"))
    assert "Its 1 run stays," in admin.get(url("delete", found.pk)).content.decode()
    assert Action.objects.exists()
    assert admin.post(url("delete", found.pk)).status_code == 302
    assert (Action.objects.count(), Run.objects.get().action) == (0, None)


def test_of_a_templates_action_only_settings_change(admin: Client) -> None:
    from actions.scaffolder.template_actions import ensure_action

    make_blueprint("template")
    template = make_entity("template", "start", descriptor=TEMPLATE)
    found = ensure_action(template)
    document = {**whole(found), "title": "Mine", "publish": False, "timeoutMinutes": 9}
    grants = {"execute": {"roles": ["Viewer"]}}
    page = admin.get(url("change", found.pk))
    assert "Made from a software template" in page.content.decode()
    fields = sent({**document, "permissions": grants}, version=found.version)
    assert admin.post(url("change", found.pk), fields).status_code == 302
    found.refresh_from_db()
    assert (found.title, found.is_published) == ("Start", False)
    assert found.document["timeoutMinutes"] == 9
    assert found.permissions["execute"]["roles"] == ["Viewer"]
    assert admin.post(url("delete", found.pk)).status_code == 409


TEMPLATE = {
    "apiVersion": "scaffolder.backstage.io/v1beta3",
    "kind": "Template",
    "metadata": {"name": "start", "title": "Start"},
    "spec": {"type": "service", "parameters": [], "steps": []},
}


# runs


def test_a_run_shows_its_deliveries_and_is_found(admin: Client) -> None:
    make_entity("service", "pay")
    found = create_action(day2("restart"), actor=ACTOR)
    admin.post(url("test", found.pk), sent({}, sample="pay"))
    run = Run.objects.get()
    page = admin.get(reverse("admin:actions_run_change", args=[run.pk])).content.decode()
    assert reverse("actions:run", args=[run.identifier]) in page
    assert "x-port-signature" in page
    runs = reverse("admin:actions_run_changelist")
    for query, count in (
        (f"?action={found.pk}&status=SUCCESS&source=UI&test=yes", 1),
        ("?test=no", 0),
        ("?source=AUTOMATION", 0),
        ("?created_at_from=2999-01-01T00:00", 0),
        ("?action=x", 1),
    ):
        assert len(admin.get(runs + query).context["cl"].result_list) == count


def test_members_build_nothing(admin: Client) -> None:
    member = make_browser("mia", role=Role.MEMBER)
    for path in (ADD, LIST, url("import"), url("export")):
        assert member.get(path).status_code in (302, 403)
    for name in ("preview", "plan", "text"):
        assert member.post(url(name), sent(DOCUMENT)).status_code in (302, 403)
    assert member.post(ADD, sent(DOCUMENT)).status_code in (302, 403)
    assert not Action.objects.exists()

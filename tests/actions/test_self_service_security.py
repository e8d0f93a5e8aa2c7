"""What nobody may get out of self-service, or get done by it, though it looks as if they could."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from actions import dispatching, tasks
from actions.inputs import FormContext, check, definition_of_parameters
from actions.models import Delivery, Message, Run, RunArtifact
from actions.notifications import following, sending
from actions.scaffolder.origin import PlacedOrigin, Skeleton, SkeletonFile
from actions.scaffolder.template_actions import change_settings, ensure_action
from actions.services import reporting
from actions.services.definitions import get_action
from actions.services.starting import start_run
from catalog.ingest.locations.refresh import refresh
from catalog.ingest.locations.registering import register
from catalog.kernel.actors import Insider, Role
from catalog.kernel.errors import InvalidInput
from catalog.models import Change, Entity, Location
from catalog.services.permissions import actor_of
from tests.actions.actions import WEBHOOK, action, day2
from tests.catalog.following import as_row
from tests.factories import ACTOR, make_api, make_blueprint, make_browser, make_entity, make_user

pytestmark = pytest.mark.django_db

EMPTY = {"userInputs": {}}
# An agent elsewhere calls it, so that nothing here does.
AGENT_CALL = {"type": "WEBHOOK", "url": "https://in.side", "agent": True, "body": {"a": 1}}
AGENT = {"installationId": "_PORT_EXEC_AGENT"}
OPS_ONLY = {"execute": {"users": ["ops@example.com"], "roles": [], "teams": []}}


@pytest.fixture
def admin(db):
    return make_api()


@pytest.fixture
def member(db):
    return make_api(Role.MEMBER)


def make_action(admin, identifier="c", **parts):
    body = action(identifier, **{"trigger": EMPTY, "invocationMethod": AGENT_CALL, **parts})
    answer = admin.post("/v1/actions", body)
    assert answer.status_code == 201, answer.content


def start(api, identifier="c", **properties):
    answer = api.post(f"/v1/actions/{identifier}/runs", {"properties": properties})
    assert answer.status_code == 202, answer.content
    return f"/v1/actions/runs/{answer.json()['run']['id']}"


@pytest.mark.parametrize("kind", ["ANY", "ALL"])
def test_what_nobody_approved_in_time_is_never_done(admin, member, kind):
    make_action(admin, requiredApproval={"type": kind})
    approve = {"users": ["ops@example.com"], "roles": ["Admin"], "teams": []}
    admin.patch("/v1/actions/c/permissions", {"approve": approve})
    url = start(member)
    if kind == "ALL":  # one of several has
        assert admin.patch(f"{url}/approval", {"status": "APPROVE"}).status_code == 201
    Run.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    reporting.expire_overdue(timezone.now())
    assert Run.objects.get().status == "TIMED_OUT"
    for status in ("SUCCESS", "FAILURE"):
        assert member.patch(url, {"status": status}).status_code == 409
    for api in (member, admin):
        assert api.post(f"{url}/redeliver").status_code == 409
    run = Run.objects.get()
    assert (run.status, run.is_pending, run.due_at) == ("TIMED_OUT", False, None)
    assert not dispatching.may_redeliver(run, make_user(role=Role.ADMIN))


def test_what_was_approved_is_sent_again(admin, member):
    make_action(admin, requiredApproval=True)
    url = start(member)
    admin.patch(f"{url}/approval", {"status": "APPROVE"})
    Run.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    reporting.expire_overdue(timezone.now())
    assert member.post(f"{url}/redeliver").status_code == 202
    assert member.patch(url, {"status": "SUCCESS"}).json()["run"]["status"] == "SUCCESS"


def test_only_those_who_may_run_it_send_it_again(admin, member):
    make_action(admin)
    url = start(member)
    admin.patch(url, {"status": "FAILURE"})
    admin.patch("/v1/actions/c/permissions", OPS_ONLY)
    for api in (member, make_api(Role.VIEWER)):
        assert api.post(f"{url}/redeliver").status_code == 403
    assert admin.post(f"{url}/redeliver").status_code == 202
    admin.patch(url, {"status": "FAILURE"})
    admin.delete("/v1/actions/c")
    assert member.post(f"{url}/redeliver").status_code == 403


def test_a_test_is_nothing_for_an_agent(admin):
    make_action(admin)
    who = make_user(role=Role.ADMIN)
    run = start_run(get_action("c"), {}, principal=who, actor=actor_of(who), is_test=True)
    assert admin.post("/v1/actions/runs/claim-pending", AGENT).json()["runs"] == []
    dispatching.dispatch(run.pk)
    run.refresh_from_db()
    assert (run.status, run.summary) == ("SUCCESS", "A trial: nothing was called.")


def test_only_what_was_claimed_is_acknowledged(admin, member):
    make_action(admin)
    run = start(admin).rpartition("/")[2]
    assert member.patch("/v1/actions/runs/ack", {"runId": run}).status_code == 409
    claimed = member.post("/v1/actions/runs/claim-pending", AGENT).json()["runs"]
    assert [one["id"] for one in claimed] == [run]
    assert member.patch("/v1/actions/runs/ack", {"runId": run}).json()["ackedCount"] == 1


def test_a_worker_that_comes_back_late_says_nothing(admin):
    """Sent again by hand, attempts are counted anew; the first worker's is the first, too."""
    make_action(admin, invocationMethod={**WEBHOOK, "body": {"a": 1}})
    url = start(admin)
    late = dispatching._take(Run.objects.get().pk)
    admin.patch(url, {"status": "FAILURE"})
    assert admin.post(f"{url}/redeliver").status_code == 202
    now = dispatching._take(Run.objects.get().pk)
    assert (late.run.attempts, now.run.attempts) == (1, 1)
    assert (late.is_cancelled(), now.is_cancelled()) == (True, False)
    late.give_up("I am too late")
    assert Run.objects.get().status == "IN_PROGRESS"
    now.give_up("It did not work")
    assert Run.objects.get().summary == "It did not work"
    assert Delivery.objects.count() == 2


def test_policies_are_not_told_secret_inputs(admin, caplog):
    make_action(admin, "scaffold", trigger={})
    execute = {"policy": {"queries": {}, "conditions": [".inputs.token | tonumber"]}}
    admin.patch("/v1/actions/scaffold/permissions", {"execute": execute})
    body = {"properties": {"name": "pay", "token": "t-top-secret"}}
    refused = admin.post("/v1/actions/scaffold/runs", body)
    assert refused.status_code == 403
    assert "cannot be parsed as a number" in refused.json()["message"]
    assert "top-secret" not in refused.content.decode() + caplog.text


@pytest.mark.parametrize(
    "body",
    [
        "{{ .secrets.KEY | @base64 }}",
        {"a": ["{{ .secrets.KEY | ascii_upcase }}", "{{ .secrets.KEY | explode }}"]},
        {"{{ .secrets.KEY | @base64 }}": '{{ {x: .secrets.KEY | ltrimstr("an-")} }}'},
        {"{{ spreadValue() }}": "{{ .secrets.KEY }}"},
        {"{{ [.secrets.KEY] }}": 1},
    ],
)
def test_what_was_made_of_a_secret_is_hidden_too(admin, body):
    admin.post("/v1/organization/secrets", {"secretName": "KEY", "secretValue": "an-open-sesame"})
    address = "https://in.side/{{ .secrets.KEY | @base64 }}?{{ .secrets.KEY | ascii_upcase }}"
    call = {**AGENT_CALL, "url": address, "body": body}
    make_action(admin, invocationMethod=call)
    url = start(admin)
    shown = make_api(Role.VIEWER).get(url).content.decode()
    for part in ("open-sesame", "YW4tb3Blbi1zZXNhbWU", "OPEN-SESAME", "110"):
        assert part not in shown
    for claimed in admin.post("/v1/actions/runs/claim-pending", AGENT).json()["runs"]:
        sent = claimed["payload"]["url"]
        assert sent == "https://in.side/YW4tb3Blbi1zZXNhbWU=?AN-OPEN-SESAME"


FETCHING = {
    "apiVersion": "scaffolder.backstage.io/v1beta3",
    "kind": "Template",
    "metadata": {"name": "mine"},
    "spec": {
        "type": "service",
        "steps": [
            {
                "id": "take",
                "action": "fetch:plain:file",
                "input": {"url": "https://github.com/acme/private/blob/main/x", "targetPath": "x"},
            }
        ],
    },
}


@pytest.mark.parametrize("action_id", ["fetch:plain:file", "fetch:plain"])
def test_members_read_nothing_with_the_tokens_of_sources(admin, member, monkeypatch, action_id):
    """Whoever writes a template of their own and tries it out sees what it fetches."""
    found = SkeletonFile("x", lambda: b"top secret")
    monkeypatch.setattr(PlacedOrigin, "file", lambda self, url: found)
    monkeypatch.setattr(PlacedOrigin, "folder", lambda self, url: Skeleton([found]))
    [step] = FETCHING["spec"]["steps"]
    given = {"url": step["input"]["url"]}
    given |= {"targetPath": "x"} if action_id == "fetch:plain:file" else {}
    spec = {**FETCHING["spec"], "steps": [{**step, "action": action_id, "input": given}]}
    body = {"template": {**FETCHING, "spec": spec}, "values": {}, "directoryContents": []}
    refused = member.post("/api/scaffolder/v2/dry-run", body)
    assert refused.status_code == 400
    assert "is not fetched while a template is tried out" in refused.json()["error"]["message"]
    tried = admin.post("/api/scaffolder/v2/dry-run", body).json()["directoryContents"]
    assert [base64.b64decode(one["base64Content"]) for one in tried] == [b"top secret"]


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "object"}, "properties.db.properties.password"),
        ({"type": "array"}, "properties.db.items.properties.password"),
        ({"type": "object", "deep": True}, "properties.db.properties.a.properties.password"),
    ],
)
def test_parts_of_an_input_are_no_secrets_that_nobody_keeps(admin, schema, place):
    secret = {"properties": {"password": {"type": "string", "encryption": "aes256-gcm"}}}
    within = (
        {"properties": {"a": {"type": "object", **secret}}} if schema.pop("deep", 0) else secret
    )
    parts = within if schema["type"] == "object" else {"items": {"type": "object", **within}}
    trigger = {"userInputs": {"properties": {"db": {"type": schema["type"], **parts}}}}
    refused = admin.post("/v1/actions", action(trigger=trigger, invocationMethod=AGENT_CALL))
    assert refused.status_code == 422
    field = refused.json()["details"]["field"]
    assert field == f"trigger.userInputs.{place}.encryption"


def test_an_address_that_no_mail_can_go_to_holds_up_nobody(db, mailoutbox):
    now = timezone.now()
    for target in ("ann@example.com\nBcc: eve@example.com", "bob@example.com"):
        body = {"title": "Hello", "description": "", "link": ""}
        Message.objects.create(
            kind="email", target=target, topic="run", body=body, due_at=now, created_at=now
        )
    sending.send_due(timezone.now())
    states = Message.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["FAILED", "SENT"]
    assert [one.to for one in mailoutbox] == [["bob@example.com"]]


def test_files_are_kept_for_a_while(admin, settings):
    make_action(admin)
    start(admin)
    run = Run.objects.get()
    for name, days in (("old.zip", 8), ("new.zip", 1)):
        at = timezone.now() - timedelta(days=days)
        RunArtifact.objects.create(run=run, name=name, size_bytes=1, content=b"x", created_at=at)
    settings.IDP_SYNC_HISTORY_DAYS = 7
    tasks.prune_history()
    assert [one.name for one in run.artifacts.all()] == ["new.zip"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("ops", "https://chat.example/ops?key=${KEY}"),
        ("${OTHER}", None),
        ("$${x}${OTHER:-x}", None),
    ],
)
def test_inputs_name_no_secrets_of_the_organisation(admin, member, given, sent):
    address = "https://chat.example/{{ .inputs.room }}?key={{ .secrets.KEY }}"
    hook = {"type": "webhook", "format": "json", "url": address}
    asked = {"userInputs": {"properties": {"room": {"type": "string"}}}}
    make_action(admin, trigger=asked, requiredApproval=True, approvalNotification=hook)
    url = start(member, room=given)
    following.follow([as_row(row) for row in Change.objects.filter(model="run")])
    targets = Message.objects.filter(kind="webhook").values_list("target", flat=True)
    assert list(targets) == ([sent] if sent else [])
    said = " ".join(one["message"] for one in admin.get(f"{url}/logs").json()["runLogs"])
    assert ("OTHER" in said) is (sent is None)


def test_a_template_that_comes_from_elsewhere_is_not_published_for_that(db, tmp_path, settings):
    """Where it came from before an admin had vouched for; whoever is there now is another."""
    settings.IDP_FILES = [str(tmp_path)]
    spec = {"type": "service", "steps": [{"id": "say", "action": "debug:log"}]}
    (tmp_path / "template.yaml").write_text(json.dumps({**FETCHING, "spec": spec}))
    refresh(register("file", f"{tmp_path}/template.yaml", actor=ACTOR))

    def made():
        return ensure_action(Entity.objects.get(blueprint__identifier="template")).is_published

    assert made()
    Location.objects.update(is_trusted=False)
    assert not made()
    change_settings("template:mine", {"publish": True}, actor=ACTOR)
    assert made(), "an admin has said so"


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("github.com?owner=acme&repo=pay", ""),
        ("github.com?owner=evil&repo=pay", "a repository whose owner is acme or acme-labs"),
        ("github.com?owner=acme&owner=evil&repo=pay", "a repository whose owner is acme or"),
        ("github.com?owner=ac%6De&repo=infra", "a repository whose repo is pay"),
        ("github.com.evil?owner=acme&repo=pay", "a repository on github.com"),
    ],
)
def test_a_repository_is_where_the_template_lets_it_be(admin, place, expected):
    """The form offers no other; whoever sends another would have it written with our token."""
    options = {
        "allowedHosts": ["github.com"],
        "allowedOwners": ["acme", "acme-labs"],
        "allowedRepos": ["pay"],
    }
    asked = {"type": "string", "ui:field": "RepoUrlPicker", "ui:options": options}
    definition = definition_of_parameters({"parameters": {"properties": {"repo": asked}}})
    given = {"repo": place}
    if not expected:
        assert check(definition, given, FormContext(), principal=Insider()).values == given
        return
    with pytest.raises(InvalidInput, match=expected):
        check(definition, given, FormContext(), principal=Insider())


def test_a_run_holds_only_so_much(admin, member, monkeypatch):
    make_action(admin, trigger={"userInputs": {"properties": {"text": {"type": "string"}}}})
    large = {"properties": {"text": "x" * 1_000_000}}
    refused = member.post("/v1/actions/c/runs", large).json()
    assert refused["message"].startswith("properties is 1,000,011 bytes; expected at most")
    url = start(member, text="x")
    response = {"response": "x" * 1_000_000}
    assert member.patch(f"{url}/response", response).status_code == 422
    assert member.patch(url, {"link": ["https://ci.example.com"] * 101}).status_code == 422
    monkeypatch.setattr(reporting, "MAX_LINES", 3)
    told = [member.post(f"{url}/logs", {"message": "again"}).status_code for _ in range(3)]
    assert told == [201, 201, 409]
    assert member.patch(url, {"message": "again"}).status_code == 409
    end = {"message": "done", "terminationStatus": "SUCCESS"}
    assert member.post(f"{url}/logs", end).status_code == 201


@pytest.mark.parametrize("is_filled_in", [True, False])
def test_no_mask_is_sent_for_a_secret(admin, is_filled_in):
    """Secrets of runs that failed are forgotten after a while; what is left looks like a value."""
    call = AGENT_CALL if is_filled_in else {**AGENT_CALL, "url": "{{ .inputs.name | error }}"}
    call = {**call, "headers": {"authorization": "Bearer a-long-credential"}}
    make_action(admin, "scaffold", trigger={}, invocationMethod=call)
    url = start(admin, "scaffold", name="pay", token="t-1")
    admin.patch(url, {"status": "FAILURE"})
    reporting.wipe_sealed(timezone.now() + timedelta(seconds=1))
    refused = admin.post(f"{url}/redeliver")
    assert (refused.status_code, "forgotten" in refused.json()["message"]) == (409, True)
    assert Run.objects.get().status == "FAILURE"


def test_what_steps_made_of_a_secret_is_in_no_link_and_no_text(member, tmp_path, settings):
    settings.IDP_FILES = [str(tmp_path)]
    data = {"a": "${{ secrets.token | upper }}", "b": "${{ secrets.token }}"}
    made = "${{ steps.made.output.serialized }}"
    asked = {"properties": {"token": {"type": "string", "ui:field": "Secret"}}}
    spec = {
        "type": "service",
        "parameters": [asked],
        "steps": [
            {
                "id": "made",
                "action": "roadiehq:utils:serialize:json",
                "input": {"data": data},
            }
        ],
        "output": {
            "links": [{"title": "Site", "url": f"https://site.example/{made}"}],
            "text": [{"title": "Text", "content": made}],
        },
    }
    (tmp_path / "template.yaml").write_text(json.dumps({**FETCHING, "spec": spec}))
    refresh(register("file", f"{tmp_path}/template.yaml", actor=ACTOR))
    body = {"templateRef": "template:mine", "values": {}, "secrets": {"token": "open-sesame"}}
    assert member.post("/api/scaffolder/v2/tasks", body).status_code == 201
    run = Run.objects.get()
    dispatching.dispatch(run.pk)
    run.refresh_from_db()
    assert (run.status, len(run.link)) == ("SUCCESS", 1)
    shown = member.get(f"/v1/actions/runs/{run.identifier}").content.decode()
    assert "open-sesame" not in shown.lower()


def test_an_action_is_run_on_nothing_that_it_is_not_for(admin, member):
    make_blueprint("service", properties={"locked": {"type": "boolean"}})
    for name, locked in (("open", False), ("shut", True)):
        make_entity("service", name, properties={"locked": locked})
    rules = [{"property": "locked", "operator": "=", "value": False}]
    condition = {"type": "SEARCH", "combinator": "and", "rules": rules}
    body = day2("deploy", trigger={"condition": condition}, invocationMethod=AGENT_CALL)
    assert admin.post("/v1/actions", body).status_code == 201
    for api in (admin, member):
        answers = [
            api.post("/v1/actions/deploy/runs", {"entity": name}).status_code
            for name in ("open", "shut")
        ]
        assert answers == [202, 409]
    browser = make_browser()
    sent = browser.post("/self-service/deploy", {"entity": "shut"})
    assert sent.status_code == 409
    assert Run.objects.count() == 2


def test_whoever_a_run_is_for_is_no_admin_for_that(admin):
    make_action(admin)
    ann = make_user("ann", role=Role.MEMBER)
    for email, role in ((ann.email.upper(), "Member"), ("nobody@example.com", "Viewer")):
        run = admin.post(f"/v1/actions/c/runs?run_as={email}", {}).json()["run"]
        who = Run.objects.get(identifier=run["id"]).trigger["by"]["user"]
        assert (who["role"], who["email"].lower()) == (role, email.lower())


def test_an_exporter_fetches_its_own_runs_and_no_other_does(admin, member):
    call = {
        "type": "INTEGRATION_ACTION",
        "installationId": "jenkins",
        "integrationActionType": "build",
    }
    make_action(admin, invocationMethod=call)
    start(admin)
    made = {"installationId": "jenkins", "installationAppType": "jenkins"}
    assert member.post("/v1/integration", made).status_code == 200
    other = make_api(Role.MEMBER)
    claim = {"installationId": "jenkins"}
    assert other.post("/v1/actions/runs/claim-pending", claim).status_code == 403
    [run] = member.post("/v1/actions/runs/claim-pending", claim).json()["runs"]
    assert other.patch("/v1/actions/runs/ack", {"runId": run["id"]}).status_code == 403
    assert member.patch("/v1/actions/runs/ack", {"runId": run["id"]}).json()["ackedCount"] == 1


def test_what_is_repeated_is_not_another_thing(admin):
    """An input that may be left out was given, and is secret: leaving it out is no repetition."""
    make_action(admin, "scaffold", trigger={})
    url = start(admin, "scaffold", name="pay", token="t-1")
    refused = admin.post(f"{url}/repeat")
    assert (refused.status_code, refused.json()["details"]["field"]) == (422, "properties.token")
    again = {"properties": {"name": "pay", "token": "t-2"}}
    assert admin.post(f"{url}/repeat", again).status_code == 202
    without = start(admin, "scaffold", name="pay")
    assert admin.post(f"{without}/repeat").status_code == 202


def test_links_of_templates_are_no_programs(member):
    urls = ["javascript:alert(1)", " java\nscript:alert(1)", "data:text/html,x", "/catalog"]
    urls.append("https://site.example/a:b")
    steps = [{"id": "say", "action": "debug:log"}]
    spec = {"type": "service", "steps": steps, "output": {"links": [{"url": one} for one in urls]}}
    body = {"template": {**FETCHING, "spec": spec}, "values": {}, "directoryContents": []}
    output = member.post("/api/scaffolder/v2/dry-run", body).json()["output"]
    assert [one.get("url") for one in output["links"]] == [None, None, None, *urls[3:]]

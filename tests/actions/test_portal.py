"""The pages of self-service, runs and approvals."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from actions.models import Delivery, Run, RunArtifact, RunLog
from actions.portal import run_page
from actions.portal.log_text import plain
from actions.portal.methods import sentence_of
from actions.services.definitions import create_action, update_permissions
from actions.services.starting import start_run
from catalog.kernel.actors import Role
from catalog.models import Blueprint
from catalog.services.entities import EntityDraft, Mode, apply
from catalog.services.permissions import actor_of
from tests.actions.actions import WEBHOOK, action, automation, day2
from tests.actions.scaffolding import step, template
from tests.actions.test_scaffolder_runs import folder, register  # noqa: F401 - a fixture
from tests.factories import ACTOR, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

AGENT = {**WEBHOOK, "agent": True, "headers": {}, "body": {}}  # nothing here calls it
REPLICAS = {
    "properties": {
        "replicas": {"type": "number", "title": "How many", "minimum": 1},
        "token": {"type": "string", "encryption": "aes256-gcm"},
    },
    "required": ["replicas"],
}
RESTART = day2("restart", title="Restart", invocationMethod=AGENT)
SCALE = day2(
    "scale",
    title="Scale it",
    trigger={"userInputs": REPLICAS},
    invocationMethod=AGENT,
    requiredApproval=True,
)


def make_action(document):
    return create_action(document, actor=ACTOR)


@pytest.fixture
def service(db):
    make_blueprint("service", title="Service", properties={"tier": {"type": "string"}})
    make_entity("service", "pay", title="Payments", properties={"tier": "gold"})
    make_entity("service", "mail", title="Mail", team=["core"])
    return Blueprint.objects.get(identifier="service")


@pytest.fixture
def member(service):
    return make_browser("mia")


@pytest.fixture
def admin(service):
    return make_browser("ada", role=Role.ADMIN)


def make_run(who, document=RESTART, entity="pay", **properties):
    """A run of an action, which is made where it is not there."""
    identifier = document["identifier"]
    if not Run.objects.filter(action__identifier=identifier).exists():
        make_action(document)
    body = {"properties": properties, "entity": entity}
    return start_run(identifier, body, principal=who.user, actor=actor_of(who.user))


def end(run, status, **fields):
    now = timezone.now()
    Run.objects.filter(pk=run.pk).update(
        status=status, ended_at=now, is_pending=False, due_at=None, **fields
    )
    run.refresh_from_db()


def html(who, path, status=200, **extra):
    answer = who.get(path, **extra)
    assert answer.status_code == status, answer.content
    return answer.content.decode()


def words(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def cards(page):
    return re.findall(r'class="ui-stretched" href="/self-service/([^"]+)"', page)


# --- the cards


def test_cards_stand_by_category_and_are_found(member, django_assert_num_queries):
    make_action(action("scaffold", title="Scaffold", category="making", invocationMethod=AGENT))
    make_action({**RESTART, "description": "Rolls **all** pods & <b>more</b>"})
    make_action(day2("hidden", publish=False))
    make_action(automation("robot"))
    page = html(member, "/self-service")
    assert cards(page) == ["scaffold", "restart"]
    assert page.index("Making") < page.index(">Service ")
    assert "Rolls all pods &amp; more" in page
    assert cards(html(member, "/self-service?q=ROLLS+serv")) == ["restart"]
    assert cards(html(member, "/self-service?operation=CREATE")) == ["scaffold"]
    part = html(member, "/self-service?q=nothing", headers={"HX-Request": "true"})
    assert "Nothing fits" in part
    assert "<html" not in part
    for number in range(12):
        make_action(day2(f"more-{number}", category="x"))
    make_run(member, action("of-run", trigger={"userInputs": {}}, invocationMethod=AGENT))
    with django_assert_num_queries(6):  # user, sidebar (2), bell, actions, lately
        page = html(member, "/self-service")
    assert "Used lately" in page


def test_where_there_is_nothing_admins_are_told_what_to_do(member, admin):
    assert "/admin/actions/action/" in html(admin, "/self-service")
    page = html(member, "/self-service")
    assert "nothing here for you yet" in page
    assert "/admin/actions" not in page


@pytest.mark.parametrize(
    ("method", "told"),
    [
        (
            {
                "type": "WEBHOOK",
                "url": "https://u:p@ci.example.com/x/{{ .inputs.a }}?token={{ .s }}",
            },
            "Calls https://ci.example.com/x/…",
        ),
        (
            {"type": "WEBHOOK", "url": "https://ci.example.com", "agent": True},
            "An agent inside your network calls https://ci.example.com",
        ),
        ({"type": "WEBHOOK", "url": "{{ .secrets.URL }}"}, "Calls …"),
        (
            {"type": "GITHUB", "org": "o", "repo": "{{ .inputs.r }}", "workflow": "w.yml"},
            "Starts the workflow w.yml in o/… on GitHub",
        ),
        (
            {"type": "GITLAB", "groupName": "g", "projectName": "p", "defaultRef": "main"},
            "Starts a pipeline of g/p on GitLab, from main",
        ),
        (
            {"type": "AZURE-DEVOPS", "webhook": "w", "org": "o"},
            "Calls the service hook w of o on Azure DevOps",
        ),
        (
            {"type": "INTEGRATION_ACTION", "installationId": "i", "integrationActionType": "a_b"},
            "Asks the integration i to a b",
        ),
        (
            {"type": "UPSERT_ENTITY", "blueprintIdentifier": "service"},
            "Creates or changes a service in the catalogue",
        ),
    ],
)
def test_what_will_happen_is_said_without_secrets(method, told):
    from actions.models import Action

    assert sentence_of(Action(identifier="a", document={"invocationMethod": method})) == told


# --- the form


def test_a_form_starts_one_run_however_often_it_is_sent(member):
    make_action(SCALE)
    page = html(member, "/self-service/scale?entity=pay")
    assert "Waits for approval by Admins." in words(page)
    assert "Then: an agent inside your network calls https://ci.example.com." in words(page)
    key = re.search(r'name="key" value="([^"]+)"', page)[1]
    sent = {"entity": "pay", "key": key, "input.replicas": "3", "input.token": "secret one"}
    places = {member.post("/self-service/scale", sent).headers["Location"] for _ in range(2)}
    run = Run.objects.get()
    assert places == {f"/runs/{run.identifier}"}
    assert (run.properties["replicas"], run.source, run.entity["identifier"]) == (3, "UI", "pay")
    assert "secret one" not in html(member, f"/runs/{run.identifier}")
    other = member.post("/self-service/scale", {**sent, "input.replicas": "4"})
    assert other.headers["Location"] not in places


def test_what_is_wrong_stands_in_the_form(member):
    make_action(SCALE)
    answer = member.post("/self-service/scale", {"entity": "pay", "input.replicas": "0"})
    assert answer.status_code == 422
    assert "at least 1" in answer.content.decode()
    assert not Run.objects.exists()
    part = member.post("/self-service/scale/form", {"entity": "pay", "input.replicas": "0"})
    assert (part.status_code, b"<html" in part.content) == (200, False)


def test_a_policy_that_says_no_leaves_what_was_filled_in(member):
    no_more = {"policy": {"queries": {}, "conditions": [".inputs.replicas < 5"]}}
    update_permissions(make_action(SCALE).identifier, {"execute": no_more}, actor=ACTOR)
    answer = member.post("/self-service/scale", {"entity": "pay", "input.replicas": "7"})
    page = answer.content.decode()
    assert (answer.status_code, 'value="7"' in page) == (403, True)
    assert "its policy does not allow it" in page
    assert not Run.objects.exists()


def test_a_day_2_action_asks_for_its_entity(member, admin):
    condition = {
        "type": "SEARCH",
        "combinator": "and",
        "rules": [{"property": "tier", "operator": "=", "value": "gold"}],
    }
    make_action(day2("polish", trigger={"condition": condition}, invocationMethod=AGENT))
    page = html(member, "/self-service/polish")
    assert re.findall(r"\?entity=([a-z]+)", page) == ["pay"]
    owned = make_action(day2("own", invocationMethod=AGENT))
    owned.permissions = {"execute": {"users": [], "roles": [], "teams": [], "ownedByTeam": True}}
    owned.save()
    assert re.findall(r"\?entity=([a-z]+)", html(admin, "/self-service/own")) == ["mail", "pay"]
    make_entity("_team", "core")
    make_entity("_user", "mia@example.com", relations={"team": ["core"]})
    assert re.findall(r"\?entity=([a-z]+)", html(member, "/self-service/own")) == ["mail"]
    assert re.findall(r"\?entity=([a-z]+)", html(admin, "/self-service/own?q=paym")) == ["pay"]
    assert "pay" not in html(admin, "/self-service/own?q=zzz").partition("choices")[2]
    html(member, "/self-service/polish?entity=gone", 404)
    html(member, "/self-service/own?entity=pay", 403)
    html(member, "/self-service/nothing", 404)


def test_a_run_is_repeated_with_the_same_or_other_inputs(member):
    run = make_run(member, SCALE, replicas=3, token="secret one")
    page = html(member, f"/self-service/scale?from={run.identifier}")
    assert 'value="3"' in page
    assert "Secrets have to be given again" in page
    assert "secret one" not in page
    asked = member.post(f"/runs/{run.identifier}/repeat", {"key": "k"}, follow=True)
    assert asked.redirect_chain[0][0] == f"/self-service/scale?from={run.identifier}"
    assert "Secret inputs are not kept" in asked.content.decode()
    run = make_run(member, SCALE, replicas=3)
    again = member.post(f"/runs/{run.identifier}/repeat", {"key": "k"}).headers["Location"]
    assert again == member.post(f"/runs/{run.identifier}/repeat", {"key": "k"}).headers["Location"]
    other = Run.objects.get(origin_run=run)
    assert f'href="/runs/{run.identifier}"' in html(member, f"/runs/{other.identifier}")
    other.action.document["trigger"]["userInputs"]["properties"]["replicas"]["minimum"] = 5
    other.action.version += 1
    other.action.save()
    answer = member.post(f"/runs/{run.identifier}/repeat", follow=True)
    assert answer.redirect_chain[0][0] == f"/self-service/scale?from={run.identifier}"
    assert "Its inputs need a look" in answer.content.decode()


# --- a run's page


def test_inputs_have_the_colours_that_the_action_names(member):
    one = {"type": "string", "enum": ["gold", "tin"]}
    inputs = {
        "tier": {**one, "enumColors": {"gold": "orange"}},
        "tiers": {"type": "array", "items": {**one, "enumColors": {"tin": "turquoise"}}},
    }
    trigger = {"userInputs": {"properties": inputs}}
    document = day2("rate", trigger=trigger, invocationMethod=AGENT)
    run = make_run(member, document, tier="gold", tiers=["tin"])
    page = html(member, f"/runs/{run.identifier}")
    assert '<span class="ui-badge tone-orange">gold</span>' in page
    assert '<span class="ui-badge tone-turquoise">tin</span>' in page


def test_a_failed_run_says_why_first(member):
    run = make_run(member)
    end(
        run,
        "FAILURE",
        summary="It <b>broke</b>",
        link=["https://ci.example.com/1", "javascript:alert(1)"],
        steps=[{"id": "a", "name": "Fetch", "action": "fetch:plain", "status": "failed"}],
    )
    now = timezone.now()
    Delivery.objects.create(
        run=run,
        number=1,
        state="FAILED",
        method="POST",
        url="https://ci.example.com/hook",
        request_headers={"Authorization": "***"},
        request_body='{"a":1}',
        status_code=500,
        response_body="no such team",
        error="The address answered 500: no such team",
        started_at=now,
        ended_at=now + timedelta(seconds=2),
    )
    page = html(member, f"/runs/{run.identifier}")
    told = words(page)
    assert "It &lt;b&gt;broke&lt;/b&gt; The step “Fetch” failed. The address answered 500" in told
    assert "Attempt 1 POST https://ci.example.com/hook" in told
    assert "2.0 s" in told
    assert "https://ci.example.com/1" in page
    assert "javascript:" not in page
    assert "http-equiv" not in page


def test_the_log_grows_by_what_is_new(member, django_assert_num_queries):
    run = make_run(member)
    url = f"/runs/{run.identifier}"
    page = html(member, url)
    poll = re.search(r'hx-get="([^"]+/live[^"]+)" hx-trigger="every', page)[1].replace("&amp;", "&")
    part = html(member, poll)
    assert "<li" not in part
    assert "run-head" not in part
    lines = [RunLog(run=run, message=f"line {n}", created_at=timezone.now()) for n in range(3)]
    RunLog.objects.bulk_create(lines)
    with django_assert_num_queries(7):  # user, closed actions, run, its parts (3), lines
        part = html(member, poll)
    assert re.findall(r"line \d", part) == ["line 0", "line 1", "line 2"]
    assert "run-head" not in part
    poll = re.search(r'hx-get="([^"]+)"', part)[1].replace("&amp;", "&")
    end(run, "SUCCESS", summary="All is new")
    part = html(member, poll)
    assert "All is new" in part
    assert "line" not in re.sub(r"<(?!li)[^>]+>", "", part)
    assert "hx-get" not in part.partition('<div id="run-head"')[0]


def test_long_logs_come_in_pages(member, monkeypatch):
    monkeypatch.setattr(run_page, "LOG_ROWS", 50)
    run = make_run(member)
    run.logs.all().delete()
    at = timezone.now()
    RunLog.objects.bulk_create(
        [RunLog(run=run, message=f"\x1b[31mno {n:04}\x1b[0m", created_at=at) for n in range(123)]
    )
    RunLog.objects.filter(message__contains="0007").update(step="deep")
    url = f"/runs/{run.identifier}"
    seen = []
    query = ""
    while True:
        page = html(member, url + query)
        numbers = re.findall(r">no (\d{4})<", page)
        assert len(numbers) <= 50
        seen = numbers + seen
        earlier = re.search(r'href="(\?before=\d+)', page)
        if earlier is None:
            break
        query = earlier[1]
    assert seen == [f"{n:04}" for n in range(123)]
    assert re.findall(r">no (\d{4})<", html(member, f"{url}?step=deep")) == ["0007"]
    part = html(member, url + query, headers={"HX-Request": "true"})
    assert "afterbegin:#run-log-lines" in part
    answer = member.get(f"{url}/log")
    text = b"".join(answer.streaming_content).decode()
    assert len(text.splitlines()) == 123
    assert text.splitlines()[7].endswith("INFO [deep] no 0007")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b[1;32mok\x1b[0m", "ok"),
        ("10%\r20%\r100%", "100%"),
        ("a\r\nb\r", "a\nb"),
        ("\x1b]0;title\x07x\x1b(B\x00", "x"),
        ("tabs\tstay, äöü 🎉 too", "tabs\tstay, äöü 🎉 too"),
    ],
)
def test_what_is_meant_for_terminals_is_left_out(written, shown):
    assert plain(written) == shown


def test_what_a_run_made_is_there(member, settings):
    run = make_run(member)
    RunArtifact.objects.create(
        run=run, name="new-service.zip", size_bytes=3, content=b"zip", created_at=timezone.now()
    )
    draft = EntityDraft("service", "made", title="Made")
    apply([draft], mode=Mode.CREATE, actor=ACTOR, run=run.identifier)
    end(
        run,
        "SUCCESS",
        link=[f"{settings.IDP_URL}/catalog/component/pay", "//evil.example"],
        output={
            "links": [{"title": "Its page", "entityRef": "component:default/pay"}],
            "text": [{"title": "Next", "content": "Do *this* <script>x</script>"}],
        },
    )
    page = html(member, f"/runs/{run.identifier}")
    assert page.count("/catalog/component/pay") == 1
    assert "evil.example" not in page
    assert 'href="/catalog/service/made"' in page
    assert "Do <em>this</em>" in page
    assert "<script>x" not in page
    answer = member.get(f"/runs/{run.identifier}/files/new-service.zip")
    assert (answer.getvalue(), answer.headers["Content-Type"]) == (b"zip", "application/zip")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="new-service.zip"'
    for gone in ("other.zip", "%00"):
        html(member, f"/runs/{run.identifier}/files/{gone}", 404)
    html(member, "/runs/r_nothing", 404)


def test_what_people_do_to_a_run(member):
    run = make_run(member)
    url = f"/runs/{run.identifier}"
    assert member.get(f"{url}/cancel").status_code == 405
    member.post(f"{url}/cancel", {"reason": "not now"})
    run.refresh_from_db()
    assert (run.status, run.summary) == ("CANCELLED", "not now")
    assert "has ended" in member.post(f"{url}/cancel", follow=True).content.decode()
    assert "is not sent again" in member.post(f"{url}/redeliver", follow=True).content.decode()
    failed = make_run(member)
    end(failed, "FAILURE")
    assert "Send again" in html(member, f"/runs/{failed.identifier}")
    member.post(f"/runs/{failed.identifier}/redeliver")
    failed.refresh_from_db()
    assert (failed.status, failed.is_pending) == ("IN_PROGRESS", True)
    viewer = make_browser("vic", role=Role.VIEWER)
    assert "Cancel…" not in html(viewer, f"/runs/{failed.identifier}")
    assert viewer.post(f"/runs/{failed.identifier}/cancel").status_code == 403
    failed.refresh_from_db()
    assert failed.status == "IN_PROGRESS"


def test_a_run_outlives_its_action(member):
    run = make_run(member, SCALE, replicas=3)
    run.action.delete()
    page = html(member, f"/runs/{run.identifier}")
    assert "deleted since" in page
    assert "Run again" not in page
    assert "Scale it" in html(member, "/runs")


# --- the list


FILTERS = [
    ("", 4),
    ("action=scale", 1),
    ("action=gone", 0),
    ("status=WAITING_FOR_APPROVAL", 1),
    ("status=OPEN", 3),
    ("status=FAILURE", 1),
    ("status=nonsense", 4),
    ("mine=1", 3),
    ("by=ADA", 1),
    ("entity=mail", 1),
    ("blueprint=service", 4),
    ("blueprint=other", 0),
    ("time=day", 3),
    ("time=week&mine=1&status=OPEN&entity=pay", 1),
    ("entity=%00", 4),
]


def test_runs_are_filtered(member, admin, subtests):
    failed = make_run(member)
    end(failed, "FAILURE")
    make_run(member, entity="mail")
    make_run(member, SCALE, replicas=3)
    old = make_run(admin)
    Run.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=2))
    for query, found in FILTERS:
        with subtests.test(query):
            page = html(member, f"/runs?{query}")
            assert len(re.findall(r'href="/runs/r_', page)) == found


def test_the_list_of_runs_costs_the_same_for_any_number(member, django_assert_num_queries):
    run = make_run(member)
    for number in range(52):
        run.pk, run.identifier = None, f"r_{number}"
        run.save(force_insert=True)
    # user, sidebar (2), bell, closed actions, runs, actions, blueprints
    with django_assert_num_queries(8):
        page = html(member, "/runs?mine=1")
    assert page.count('href="/runs/r_') == 50
    following = re.search(r'href="(\?mine=1&amp;after=[^"]+)"', page)[1].replace("&amp;", "&")
    assert html(member, f"/runs{following}").count('href="/runs/r_') == 3


# --- approvals


def test_a_run_is_approved_from_the_list(member, admin):
    run = make_run(member, SCALE, replicas=3)
    assert "Nothing waits for you" in words(html(member, "/approvals"))
    assert "Approve" not in html(member, f"/runs/{run.identifier}").partition("run-state")[2]
    assert member.post(f"/runs/{run.identifier}/approve").status_code == 403
    page = html(admin, "/approvals")
    assert "How many 3" in words(page)
    assert re.search(r"Approvals</span>\s*<span[^>]*>\s*1\s*</span>", page)
    sent = {"reason": "fine", "next": "/approvals"}
    assert admin.post(f"/runs/{run.identifier}/approve", sent).headers["Location"] == "/approvals"
    run.refresh_from_db()
    assert run.status == "IN_PROGRESS"
    assert run.approvals[0]["description"] == "fine"
    again = admin.post(f"/runs/{run.identifier}/decline", {"next": "//evil.example"}, follow=True)
    assert again.redirect_chain == [(f"/runs/{run.identifier}", 302)]
    assert "does not wait for approval" in again.content.decode()
    assert "fine" in again.content.decode()


def test_a_declined_run_says_why(member, admin):
    run = make_run(member, SCALE, replicas=3)
    admin.post(f"/runs/{run.identifier}/decline", {"reason": "Use the other one"})
    page = words(html(member, f"/runs/{run.identifier}"))
    assert "Declined" in page
    assert "Use the other one" in page


def test_approvals_cost_the_same_for_any_number(member, admin, django_assert_max_num_queries):
    make_run(member, SCALE, replicas=3)
    with django_assert_max_num_queries(20) as few:
        html(admin, "/approvals?all=1")
    for _ in range(12):
        make_run(member, SCALE, replicas=3)
    with django_assert_max_num_queries(len(few)):
        page = html(admin, "/approvals?all=1")
    assert page.count("act-waiting-card") == 13


# --- elsewhere


def test_an_entity_offers_its_actions(member):
    make_run(member)
    make_action(day2("drop", title="Drop it", trigger={"operation": "DELETE"}))
    make_action(day2("secret", publish=False))
    page = html(member, "/catalog/service/pay").partition('id="actions"')[2]
    assert re.findall(r'href="/self-service/([a-z]+)\?entity=pay"', page) == [
        *("restart", "restart", "drop", "drop"),
    ]
    assert 'href="/runs?blueprint=service&amp;entity=pay"' in page
    assert page.count('href="/runs/r_') == 1
    viewer = make_browser("vic", role=Role.VIEWER)
    page = html(viewer, "/catalog/service/pay").partition('id="actions"')[2]
    assert "self-service" not in page
    assert 'id="actions"' not in html(viewer, "/catalog/service/mail")


def test_home_and_the_palette_know_of_actions(member, admin):
    run = make_run(member, SCALE, replicas=3)
    assert "Waits for my approval" in html(admin, "/")
    page = html(member, "/")
    assert f'href="/runs/{run.identifier}"' in page
    assert "Waits for my approval" not in page
    assert 'href="/self-service/scale"' in html(member, "/search/palette?q=scale+it")
    viewer = make_browser("vic", role=Role.VIEWER)
    assert "self-service/scale" not in html(viewer, "/search/palette?q=scale+it")


def test_backstages_addresses_lead_to_ours(member, folder):  # noqa: F811 - the fixture
    register(folder, template(step("debug:log", message="hi")))
    for address, leads_to in [
        ("/create", "/self-service"),
        ("/create/templates/default/new-service", "/self-service/template:new-service"),
        ("/create/tasks/r_1", "/runs/r_1"),
    ]:
        assert member.get(address).headers["Location"] == leads_to
    html(member, "/create/templates/default/none", 404)


def test_a_template_is_tried_out(member, admin, folder):  # noqa: F811 - the fixture
    parameters = {"required": ["name"], "properties": {"name": {"type": "string"}}}
    register(
        folder,
        template(
            step("fetch:template", url="./skeleton", values={"name": "${{ parameters.name }}"}),
            step("debug:log", message="<b>bold</b>"),
            parameters=parameters,
        ),
    )
    form = html(admin, "/self-service/template:new-service")
    assert 'formaction="/self-service/template:new-service/try"' in form
    assert "formaction" not in html(member, "/self-service/template:new-service")
    url = "/self-service/template:new-service/try"
    answer = admin.post(url, {"input.name": "pay"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "README.md" in page
    assert "<li># pay</li>" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert admin.post(url, {"input.name": ""}).status_code == 422
    assert member.post(url, {"input.name": "pay"}).status_code == 403
    make_action(action("plain"))
    assert admin.post("/self-service/plain/try").status_code == 404
    assert not Run.objects.exists()
    make_entity("_team", "team-a")
    make_entity("_user", "mia@example.com", relations={"team": ["team-a"]})
    assert member.post(url, {"input.name": "pay"}).status_code == 200

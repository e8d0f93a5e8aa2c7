"""Scorecards: checked, kept as sent, with versions, places of rules, states and owners."""

import json

import pytest

from catalog.kernel.actors import Role
from catalog.models import Change
from scorecards.models import Rule, Scorecard
from scorecards.services.keeping import evaluation_due
from tests.factories import make_api, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

URL = "/v1/blueprints/service/scorecards"
ADDED = (
    "id", "blueprint", "createdAt", "createdBy", "updatedAt", "updatedBy",
    "state", "dialect", "version", "evaluatedAt",
)  # fmt: skip
QUERY = {"combinator": "and", "conditions": [{"value": 3, "operator": ">", "property": "stars"}]}


def rule(identifier="hasOwner", **parts):
    return {"identifier": identifier, "level": "Gold", "title": "T", "query": QUERY, **parts}


def card(identifier="production", **parts):
    return {
        "identifier": identifier,
        "title": "Production",
        "levels": [
            {"title": "Start", "color": "paleBlue"},
            {"title": "Gold", "color": "gold"},
            {"color": "bronze", "title": "Bronze"},
        ],
        "rules": [rule("z"), rule("a", level="Bronze", description=None)],
        "filter": {
            "combinator": "or",
            "conditions": [{"relation": "owner", "operator": "isEmpty", "not": True}],
        },
        **parts,
    }


@pytest.fixture
def admin(db):
    make_blueprint("service", properties={"stars": {"type": "number"}})
    return make_api()


def said(answer):
    document = json.loads(answer.content)["scorecard"]
    return json.dumps({key: value for key, value in document.items() if key not in ADDED})


def test_a_scorecard_lives_as_terraform_keeps_it(admin):
    made = admin.post(URL, card())
    assert made.status_code == 201
    assert made.json()["scorecard"]["id"].startswith("sc_")
    assert made.json()["scorecard"]["blueprint"] == "service"
    assert said(made) == said(admin.get(f"{URL}/production")) == json.dumps(card())
    assert admin.post(URL, card()).status_code == 409
    before = admin.get(f"{URL}/production").json()["scorecard"]
    assert admin.put(f"{URL}/production", card()).json()["scorecard"] == before
    changed = card(title="New", rules=[], zzz={"b": 1, "a": 2})
    del changed["filter"]
    answer = admin.put(f"{URL}/production", changed)
    assert said(answer) == said(admin.get(f"{URL}/production")) == json.dumps(changed)
    assert admin.get("/v1/scorecards?page=service").json()["scorecards"] == [
        answer.json()["scorecard"]
    ]
    assert admin.get(URL).json()["scorecards"] == [answer.json()["scorecard"]]
    assert admin.delete(f"{URL}/production").json() == {"ok": True}
    assert admin.get(f"{URL}/production").json()["error"] == "not_found"


def test_the_usual_levels(admin):
    body = card(rules=[rule(level="Silver")])
    del body["levels"]
    made = admin.post(URL, body).json()["scorecard"]
    assert [one["title"] for one in made["levels"]] == ["Basic", "Bronze", "Silver", "Gold"]
    assert "levels" not in Scorecard.objects.get().document


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"identifier": "a b"}, "identifier"),
        ({"identifier": "a" * 101}, "identifier"),
        ({"title": None}, "title"),
        ({"rules": [rule(level="Start")]}, "rules.0.level"),
        ({"rules": [rule(level="Platinum")]}, "rules.0.level"),
        ({"rules": [rule("a b")]}, "rules.0.identifier"),
        ({"rules": [rule(), rule()]}, "rules.1.identifier"),
        ({"rules": [rule(query={"combinator": "and", "conditions": []})]},
         "rules.0.query.conditions"),
        ({"rules": [rule(query={"combinator": "and", "conditions": [{"operator": "isEmpty"}]})]},
         "rules.0.query.conditions.0"),
        ({"rules": [{"identifier": "x", "level": "Gold"}]}, "rules.0"),
        ({"levels": [{"title": "A"}, {"title": "A"}], "rules": []}, "levels"),
        ({"levels": [{"title": "A", "color": "mauve"}], "rules": []}, "levels.0.color"),
    ],
)  # fmt: skip
def test_bad_scorecards(admin, change, field):
    answer = admin.post(URL, card(**change))
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)
    assert not Scorecard.objects.exists()


def test_all_of_a_blueprint_at_once(admin):
    admin.post(URL, card("old"))
    kept = admin.post(URL, card("kept")).json()["scorecard"]
    answer = admin.put(URL, [card("new"), card("kept")])
    assert [one["identifier"] for one in answer.json()["scorecards"]] == ["new", "kept"]
    assert answer.json()["scorecards"][1] == kept
    refused = admin.put(URL, [card("fine"), card("bad", rules=[rule(level="Start")])])
    assert (refused.status_code, refused.json()["details"]["index"]) == (422, 1)
    assert admin.put(URL, {"a": 1}).status_code == 400
    assert admin.put(URL, [card("a"), card("a")]).status_code == 422
    assert sorted(Scorecard.objects.values_list("identifier", flat=True)) == ["kept", "new"]


def test_a_scorecard_goes_with_its_blueprint_and_gives_no_results(admin):
    make_blueprint("empty")
    admin.post("/v1/blueprints/empty/scorecards", card())
    admin.post(URL, card())
    make_entity("service", "pay", properties={"stars": 5})
    entity = admin.get("/v1/blueprints/service/entities/pay").json()["entity"]
    assert entity["scorecards"] == {}
    admin.delete("/v1/blueprints/empty")
    assert Scorecard.objects.count() == 1
    assert admin.get("/v1/blueprints/empty/scorecards").status_code == 404
    assert admin.post("/v1/blueprints/empty/scorecards", card()).status_code == 404


def test_only_admins_change_them(admin):
    admin.post(URL, card())
    member = make_api(Role.MEMBER)
    for method, url, body in (
        ("post", URL, card("n")),
        ("put", URL, []),
        ("put", f"{URL}/production", card(title="x")),
        ("delete", f"{URL}/production", {}),
    ):
        assert getattr(member, method)(url, body).status_code == 403
    assert member.get(URL).json()["scorecards"][0]["title"] == "Production"
    page = make_browser(role=Role.ADMIN).get("/admin/scorecards/scorecard/")
    assert "Start › Gold › Bronze" in page.content.decode()


CORTEX = """\
tag: ready
name: Ready
owner: own@example.com
rules:
  - {title: Linked, expression: git != null}
  - {title: Rule two, expression: nothing.known() > 1, weight: 2}
"""


def send_yaml(caller, method, url, text):
    return caller.generic(method, url, text, content_type="application/yaml")


def slots(identifier="production"):
    rules = Rule.objects.filter(scorecard__identifier=identifier).order_by("slot")
    return [(one.identifier, one.slot, one.removed_at is None) for one in rules]


def test_rules_keep_their_places(admin):
    admin.post(URL, card())
    assert slots() == [("z", 0, True), ("a", 1, True)]
    admin.put(f"{URL}/production", card(rules=[rule("new"), rule("a", title="Other")]))
    assert slots() == [("z", 0, False), ("a", 1, True), ("new", 2, True)]
    admin.put(f"{URL}/production", card(rules=[rule("z"), rule("new")]))
    assert slots() == [("z", 0, True), ("a", 1, False), ("new", 2, True)]
    kept = Scorecard.objects.get()
    assert (kept.next_slot, kept.version, kept.title) == (3, 3, "Production")
    assert [one.title for one in kept.rules.filter(removed_at=None)] == ["T", "T"]


def test_versions_are_compared_and_restored(admin):
    admin.post(URL, card())
    changed = card(title="New", rules=[rule("a", level="Bronze", weight=3), rule("b")])
    admin.put(f"{URL}/production", changed)
    one = "/v1/scorecards/production"
    assert [v["version"] for v in admin.get(f"{one}/versions").json()["versions"]] == [2, 1]
    version = admin.get(f"{one}/versions/2").json()["version"]
    told = {change["path"]: change["kind"] for change in version["changes"]}
    assert told == {
        "title": "changed",
        "rules.z": "removed",
        "rules.b": "added",
        "rules.a.description": "removed",
        "rules.a.weight": "added",
    }
    assert admin.get(f"{one}/versions/1?against=2").json()["version"]["changes"]
    assert admin.get(f"{one}/versions/9").status_code == 404
    back = admin.post(f"{one}/versions/1/restore").json()["scorecard"]
    assert (back["version"], back["title"]) == (3, "Production")
    assert slots() == [("z", 0, True), ("a", 1, True), ("b", 2, False)]
    feed = Change.objects.filter(model="scorecard").order_by("id")
    assert [change.action for change in feed] == ["create", "update", "update"]


def test_the_state_is_no_version(admin, django_capture_on_commit_callbacks):
    due = []
    evaluation_due.connect(lambda scorecard_pk, **_: due.append(scorecard_pk), weak=False)
    with django_capture_on_commit_callbacks(execute=True):
        admin.post(URL, card(state="draft"))
    pk = Scorecard.objects.get().pk
    assert set(due) == {pk}
    member = make_api(Role.MEMBER)
    assert member.get(URL).json()["scorecards"] == []
    assert member.get(f"{URL}/production").status_code == 404
    assert admin.get(URL).json()["scorecards"][0]["state"] == "draft"
    answer = admin.put(f"{URL}/production", card()).json()["scorecard"]  # as Terraform sends it
    assert (answer["state"], answer["version"]) == ("draft", 1)
    answer = admin.put(f"{URL}/production", card(state="archived")).json()["scorecard"]
    assert (answer["state"], answer["version"]) == ("archived", 1)
    assert Scorecard.objects.get().next_evaluation_at is None
    assert Change.objects.filter(model="scorecard").latest("id").after == {"state": "archived"}
    assert member.get("/v1/scorecards").json()["scorecards"] == []
    assert admin.put(f"{URL}/production", card(state="gone")).status_code == 422


def test_one_about_several_blueprints(admin):
    body = {
        **card("several", filter={"types": {"include": ["service"]}}),
        "rules": [{"identifier": "x", "expression": "git != null", "effort": 2}],
    }
    made = admin.post("/v1/scorecards", body)
    assert made.status_code == 201
    assert made.json()["scorecard"]["blueprint"] is None
    assert said(made) == said(admin.get("/v1/scorecards/several")) == json.dumps(body)
    # such a name is taken for all blueprints, and the other way round
    for answer in (
        admin.post("/v1/scorecards", body),
        admin.post(URL, card("several")),
        send_yaml(admin, "POST", "/v1/scorecards", CORTEX.replace("ready", "production")),
    ):
        assert answer.status_code == (201 if "production" in answer.content.decode() else 409)
    assert admin.post(URL, card()).json()["error"] == "already_exists"
    assert admin.post("/v1/scorecards", {**card("own"), "blueprint": "service"}).json()[
        "scorecard"
    ]["blueprint"] == "service"  # fmt: skip
    listed = admin.get("/v1/scorecards?page=service").json()["scorecards"]
    assert [one["identifier"] for one in listed] == ["own"]
    make_blueprint("other")
    admin.post("/v1/blueprints/other/scorecards", card("own"))
    answer = admin.get("/v1/scorecards/own")
    assert (answer.status_code, "other" in answer.json()["message"]) == (409, True)
    moved = admin.put("/v1/scorecards/several", {**body, "blueprint": "service"})
    assert moved.json()["details"]["field"] == "blueprint"
    assert admin.delete("/v1/scorecards/several").status_code == 200
    assert admin.get("/v1/scorecards/several").status_code == 404


def test_yaml_of_cortex_comes_and_goes(admin):
    made = send_yaml(admin, "POST", "/v1/scorecards", CORTEX)
    assert made.status_code == 201, made.content
    shown = made.json()["scorecard"]
    assert [one["title"] for one in shown["rules"]] == ["Linked", "Rule two"]
    assert [one["title"] for one in shown["levels"]] == [""]
    assert "nothing" in made.json()["warnings"][0]["message"]
    assert "nothing" in Rule.objects.get(title="Rule two").problem
    text = admin.get("/v1/scorecards/ready/descriptor").content.decode()
    assert send_yaml(admin, "POST", "/v1/scorecards", CORTEX).status_code == 200
    assert send_yaml(admin, "PUT", "/v1/scorecards/ready", text).json()["scorecard"] == shown
    assert shown["version"] == 1
    same = admin.put("/v1/scorecards/ready", shown).json()["scorecard"]  # JSON from then on
    assert (same["dialect"], same["version"], same["rules"]) == ("native", 2, shown["rules"])
    assert slots("ready") == [(one["identifier"], n, True) for n, one in enumerate(shown["rules"])]
    admin.post(URL, card())
    refused = send_yaml(admin, "PUT", "/v1/scorecards/production", CORTEX)
    assert refused.status_code == 409


def test_what_would_be_said_of_it(admin):
    url = "/v1/scorecards/validate"
    bad = CORTEX.replace("git != null", "git !=").replace("nothing.known() > 1", "(git")
    answer = send_yaml(admin, "POST", url, bad).json()
    assert not answer["valid"]
    assert [(one["field"], one["line"]) for one in answer["problems"]] == [
        ("rules.0", 5), ("rules.1", 6),
    ]  # fmt: skip
    assert all(one["column"] and one["rule"] for one in answer["problems"])
    rules = [
        rule("x", query={"combinator": "and", "conditions": [
            {"property": "starz", "operator": "=", "value": 1}]}),
        {"identifier": "y", "level": "Gold", "expression": "git ="},
    ]  # fmt: skip
    answer = admin.post(url, {**card(rules=rules), "blueprint": "service"}).json()
    assert [one["field"] for one in answer["problems"]] == ["rules.1"]
    assert answer["warnings"] == [
        {"field": "filter.conditions.0", "message": 'There is no relation "owner"'},
        {
            "field": "rules.0.query.conditions.0",
            "message": 'There is no property "starz"; is it stars?',
            "rule": "x",
        },
    ]
    assert admin.post(url, card(levels=[])).json()["problems"][0]["field"] == "levels"
    assert send_yaml(admin, "POST", url, "a: [").json()["problems"][0]["line"] == 1
    assert not Scorecard.objects.exists()


def test_its_owner_may_change_it(admin):
    send_yaml(admin, "POST", "/v1/scorecards", f"{CORTEX}draft: true\n")
    one = "/v1/scorecards/ready"
    owner, other = make_browser("own"), make_browser("bo")
    before = Scorecard.objects.get()
    assert other.get(one).status_code == 404
    assert send_yaml(other, "PUT", one, CORTEX).status_code == 404
    assert owner.get("/v1/scorecards").json()["scorecards"][0]["identifier"] == "ready"
    admin.put(one, {**admin.get(one).json()["scorecard"], "state": "active"})
    changed = CORTEX.replace("Ready", "Steady")
    for method, url in (("PUT", one), ("POST", "/v1/scorecards")):
        assert send_yaml(other, method, url, changed).status_code == 403
    assert other.post(f"{one}/versions/1/restore").status_code == 403
    assert (Scorecard.objects.get().title, before.title) == ("Ready", "Ready")
    assert send_yaml(owner, "PUT", one, changed).json()["scorecard"]["title"] == "Steady"
    assert owner.post(f"{one}/versions/1/restore").json()["scorecard"]["title"] == "Ready"
    assert owner.delete(one).status_code == 403
    assert owner.delete("/api/v1/scorecards/ready").status_code == 403
    new = changed.replace("ready", "n")
    assert send_yaml(owner, "POST", "/v1/scorecards", new).status_code == 403
    assert Scorecard.objects.count() == 1


def test_expressions_are_not_endless(admin):
    text = " and ".join(["git != null"] * 1200)
    rules = [{"identifier": f"r{n}", "expression": text} for n in range(11)]
    body = {"identifier": "endless", "title": "Endless", "rules": rules}
    [problem] = admin.post("/v1/scorecards/validate", body).json()["problems"]
    assert (problem["field"], problem["expected"]) == ("rules", "at most 200,000")
    assert admin.post("/v1/scorecards", body).status_code == 422
